"""The screens of `relay stats`: one of all workflows, one of the steps of one."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import typer

from lib.display import counted, escaped
from orchestrator.cli.formats import tell
from orchestrator.status.screen import Look, ago, spent, table, terminal_width, wrapped

if TYPE_CHECKING:
    from lib.store.history import Figures
    from orchestrator.commands.run_statistics import StepStatistics, WorkflowStatistics

#: Rows that a screen has room for.
_SHOWN: Final = 15
#: Columns of prose that is piped.
_PROSE: Final = 80
_TENTHS_BELOW_S: Final = 10
_NOTHING: Final = "-"


def workflows_page(every: Sequence[Figures]) -> None:
    rows = [[each["workflow"], str(each["runs"]), _rate(each["succeeded"], each["ended"]), _took(each["median_s"]),
             _took(each["mean_s"]), _retries(each["retried"], each["retried_done"]),
             _percent(each["parallel_efficiency"]), _cost(each)] for each in every[:_SHOWN]]  # fmt: skip
    head = ["workflow", "runs", "succeeded", "median", "mean", "retried", "parallel", "cost"]
    typer.echo(_table(head, rows))
    _say_rest(len(every), "workflow")
    tell(f"\nIts steps: relay stats {every[0]['workflow']}")


def workflow_page(one: WorkflowStatistics) -> None:
    figures = one.figures
    succeeded = (
        f"{_rate(figures['succeeded'], figures['ended'])} succeeded" if figures["ended"] else "none has ended yet"
    )
    told = [counted(figures["runs"], "run"), succeeded]
    if figures["median_s"] is not None:
        told += [f"median {_took(figures['median_s'])}", f"mean {_took(figures['mean_s'])}"]
    if figures["parallel_efficiency"] is not None:
        told.append(f"parallel efficiency {_percent(figures['parallel_efficiency'])}")
    if figures["retried"]:
        told.append(f"{counted(figures['retried'], 'step')} retried, {figures['retried_done']} of them done")
    told += [cost] if (cost := _cost(figures)) else []
    _say(f"{figures['workflow']}: {'; '.join(told)}")
    shown = _foremost(one.steps)
    if shown:
        typer.echo()
        typer.echo(_table(["step", "runs", "done", "p50", "p90", "retried", "critical", "cost", "failures"],
                          [_row(step) for step in shown]))  # fmt: skip
    _say_rest(len(one.steps), "step")
    if one.failures:
        _say(f"\nOf no step: {_kinds(one.failures)}")
    if one.critical_path:
        took = f"{counted(one.critical_runs, 'run')}, median {_took(one.critical_s)}"
        _say(f"\nUsual critical path: {' → '.join(one.critical_path)} ({took})")
    has_failed = figures["failed"] or any(step.failed for step in one.steps)
    which = "Those that failed" if has_failed else "Its runs"
    tell(f"\n{which}: relay runs --workflow {figures['workflow']}{' --failed' if has_failed else ''}")


def _foremost(steps: Sequence[StepStatistics]) -> Sequence[StepStatistics]:
    """The steps that most runs have, as many as a screen has room for, in their order."""
    if len(steps) <= _SHOWN:
        return steps
    most = sorted(steps, key=lambda step: (step.runs, step.critical, step.failed), reverse=True)[:_SHOWN]
    chosen = {step.step for step in most}
    return [step for step in steps if step.step in chosen]


def _row(step: StepStatistics) -> list[str]:
    rate = _rate(step.done, step.done + step.failed)
    return [step.step, str(step.runs), rate, _took(step.p50_s), _took(step.p90_s),
            _retries(step.retried, step.retried_done), str(step.critical or _NOTHING),
            spent(step.tokens, step.cost_usd) or _NOTHING, _kinds(step.failures) or _NOTHING]  # fmt: skip


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table without the columns in which no row says anything."""
    kept = [at for at in range(len(head)) if any(row[at] not in {_NOTHING, ""} for row in rows)]
    cells = [[row[at] for at in kept] for row in rows]
    return Look.of(sys.stdout).fit(table([head[at] for at in kept], cells, terminal_width()))


def _kinds(failures: Mapping[str, int]) -> str:
    ordered = sorted(failures.items(), key=lambda item: -item[1])
    return ", ".join(f"{kind} {number}" for kind, number in ordered)


def _rate(good: int, of: int) -> str:
    return f"{good} of {of}" if of else _NOTHING


def _retries(retried: int, done: int) -> str:
    """The steps that were retried, and how many of them were done in the end."""
    return f"{retried}, {done} done" if retried else _NOTHING


def _percent(share: float | None) -> str:
    return _NOTHING if share is None else f"{100 * share:.0f}%"


def _took(seconds: float | None) -> str:
    if seconds is None:
        return _NOTHING
    return f"{seconds:.1f}s" if seconds < _TENTHS_BELOW_S else ago(seconds)


def _cost(figures: Figures) -> str:
    return spent(figures["input_tokens"] + figures["output_tokens"], figures["cost_usd"])


def _say_rest(number: int, what: str) -> None:
    if number > _SHOWN:
        tell(f"{counted(number - _SHOWN, f'more {what}')}: add --json for all")


def _say(text: str) -> None:
    for line in text.split("\n"):
        look = Look.of(sys.stdout)
        for at, part in enumerate(wrapped(escaped(line), min(terminal_width(), _PROSE)) or [""]):
            typer.echo(look.fit(("  " if at else "") + part))
