"""state.json as it is to be written, made of a run. Pure."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, islice
from typing import Any

from lib.jobs import Condition, Job, Progress
from lib.logs.sentences import beyond
from lib.model import BuilderLine, Owner, State, Step, StepLine, Usage
from lib.question import Answer, told
from lib.statefile.document import MAX_BUILDERS
from lib.steps import AT_WORK, BuilderStatus, StepKind
from orchestrator.engine.run import Run

#: Builders that have a line in any case.
_FIRST = (*AT_WORK, BuilderStatus.RETRYING, BuilderStatus.FAILED)


def present(run: Run, named: Callable[[str], str] = str) -> State:
    """state.json as it is to be written: the run's state with its steps in short, its texts as `named` has them."""
    live = run.ledger.live()
    usage = run.state.usage.plus(run.ledger.spent)
    for job in live:
        usage = usage.plus(job.progress.usage)
    delays = (job.delay.problem for job in live if job.delay)
    error = run.state.error or next(delays, None)
    if error:
        error = error.model_copy(update={"message": named(error.message), "remedy": named(error.remedy)})
    steps = _shown(run)
    builders = (_builder_line(run, step) for step in steps if step.kind is StepKind.BUILDER)
    others = (_step_line(run, step) for step in steps if step.kind is not StepKind.BUILDER)
    typed = run.state.answers if run.state.action_owner is Owner.CI else ()
    answers = tuple(Answer(named(each.command), named(each.does)) for each in typed)
    return run.state.model_copy(
        update={"builders": tuple(line.model_copy(update={"worktree": named(line.worktree), "note": named(line.note)})
                                  for line in builders),
                "steps": tuple(line.model_copy(update={"note": named(line.note)}) for line in others),
                "progress": run.ledger.counts(), "error": error,
                "message": told(named(run.state.message), answers), "answers": answers,
                "usage": usage if usage != Usage() else Usage()}
    )  # fmt: skip


def _shown(run: Run) -> list[Step]:
    """The steps that have a line: at work or in trouble first, then what waits, then what ended last."""
    ledger, statuses = run.ledger, (*_FIRST, BuilderStatus.PENDING)
    ended = (step for status in BuilderStatus if status not in statuses for step in ledger.newest(status))
    steps = chain(ledger.within(*_FIRST), ledger.first(BuilderStatus.PENDING), ended)
    names = (step.id for step in steps if step.kind is not StepKind.WORKSPACE)
    return ledger.in_order(islice(names, MAX_BUILDERS))


def _builder_line(run: Run, builder: Step) -> BuilderLine:
    return BuilderLine(branch=builder.branch, worktree=builder.worktree, **_facts(run, builder))


def _step_line(run: Run, step: Step) -> StepLine:
    return StepLine(kind=step.kind, **_facts(run, step))


def _facts(run: Run, step: Step) -> dict[str, Any]:
    """The fields that the lines of builders and of other steps share."""
    job = run.jobs.get(step.job or "")
    live = job is not None and job.result is None and job.is_process
    return {
        "id": step.id,
        "status": step.shown,
        "assistant": step.assistant,
        "attempt": step.attempt,
        "pid": job.process.pid if job and live and job.process else None,
        "started_at": step.started_at,
        "ended_at": step.ended_at,
        "verified": step.verified,
        "note": (job and _waits(job))
        or (said(job.progress) if job and live else "")
        or (step.error.message if step.error else _note(step)),
    }


def _waits(job: Job) -> str:
    """The reason why a job is delayed; empty if it is not."""
    return f"{job.spec.name} waits: {job.delay.problem.message}" if job.delay and job.result is None else ""


def _note(builder: Step) -> str:
    return "; ".join(filter(None, (beyond(builder.reach.outside, builder.reach.deleted), builder.note)))


def said(progress: Progress) -> str:
    """The condition of a turn in words; nothing while it simply works."""
    if progress.condition is Condition.WORKING:
        return ""
    until = f", until {progress.until:%H:%M:%S} UTC" if progress.until else ""
    words = progress.condition.value.replace("_", " ")
    return f"{words}{until}" + (f": {progress.reason}" if progress.reason else "")
