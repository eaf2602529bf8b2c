"""Figures of the steps of a workflow over all of its runs. Pure, but for the look at the run database."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from lib.critical_path import critical_path
from lib.steps import BOXES

if TYPE_CHECKING:
    from lib.store.history import Figures, History, StepFigures, Wanted


@dataclass(slots=True)
class StepStatistics:
    """One step of a workflow over its runs that have ended; all instances of it count as one step.

    Counts are of its records: `runs` that had it, those that ended `done` or `failed`, those that were `retried` and of
    these `retried_done`. `p50_s` and `p90_s` are seconds from its first start to its end. `failures` counts failed
    attempts by kind. It was on the critical path of `critical` runs.
    """

    step: str
    kind: str
    runs: int = 0
    done: int = 0
    failed: int = 0
    retries: int = 0
    retried: int = 0
    retried_done: int = 0
    success_rate: float | None = None
    p50_s: float | None = None
    p90_s: float | None = None
    cost_usd: float = 0.0
    tokens: int = 0
    critical: int = 0
    failures: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class WorkflowStatistics:
    """One workflow: its figures, its steps in the order of a run, failures of no step by kind, and the steps that were
    its critical path most often, with the number of these runs and the median of its seconds in them.
    """

    figures: Figures
    steps: list[StepStatistics]
    failures: dict[str, int]
    critical_path: tuple[str, ...]
    critical_runs: int
    critical_s: float

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.figures,
            "failures": self.failures,
            "critical_path": {"steps": self.critical_path, "runs": self.critical_runs, "median_s": self.critical_s},
            "steps": [step.as_dict() for step in self.steps],
        }


def statistics_of(history: History, wanted: Wanted) -> WorkflowStatistics | None:
    """The statistics of the workflow that is wanted; None if it has had no run. Raises `StoreError`."""
    figures = next(iter(history.workflows(wanted)), None)
    if figures is None:
        return None
    failures: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in history.failures(wanted):
        failures[row["step"]][row["kind"]] = row["failures"]
    rows = list(history.steps(wanted))
    paths = [_path(list(run)) for _, run in groupby(rows, key=lambda row: row.run)]
    steps = _steps(rows, [path for path, _ in paths], failures)
    usual = Counter(path for path, _ in paths if path).most_common(1)
    (usually, times), took = usual[0] if usual else ((), 0), sorted(s for p, s in paths if usual and p == usual[0][0])
    of_the_run = {kind: number for step, kinds in failures.items() if not step for kind, number in kinds.items()}
    return WorkflowStatistics(figures, steps, of_the_run, usually, times, percentile(took, 50) or 0.0)


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """The value at or below which so many percent of the values in order are; None of none."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else None


def _path(run: Sequence[StepFigures]) -> tuple[tuple[str, ...], float]:
    """The critical path of a run by the steps of its workflow, and its seconds."""
    nodes = {row.timed.id: row.node for row in run}
    path = critical_path(row.timed for row in run)
    return tuple(dict.fromkeys(nodes[name] for name in path.steps)), path.seconds


def _steps(
    rows: Iterable[StepFigures], paths: Sequence[tuple[str, ...]], failures: dict[str, dict[str, int]]
) -> list[StepStatistics]:
    on_path = Counter(node for path in paths for node in path)
    of: defaultdict[str, list[StepFigures]] = defaultdict(list)
    for row in rows:
        if row.timed.kind not in BOXES:
            of[row.node].append(row)
    return [_step(node, found, on_path[node], failures.get(node, {})) for node, found in of.items()]


def _step(node: str, rows: Sequence[StepFigures], critical: int, failures: dict[str, int]) -> StepStatistics:
    done, failed = sum(row.done for row in rows), sum(row.failed for row in rows)
    took = sorted(row.seconds for row in rows if row.seconds is not None and (row.done or row.failed))
    return StepStatistics(
        step=node,
        kind=rows[0].timed.kind,
        runs=len({row.run for row in rows}),
        done=done,
        failed=failed,
        retries=sum(row.retries for row in rows),
        retried=sum(row.retries > 0 for row in rows),
        retried_done=sum(row.retries > 0 and row.done for row in rows),
        success_rate=done / (done + failed) if done + failed else None,
        p50_s=percentile(took, 50),
        p90_s=percentile(took, 90),
        cost_usd=round(sum(row.cost_usd for row in rows), 6),
        tokens=sum(row.tokens for row in rows),
        critical=critical,
        failures=failures,
    )
