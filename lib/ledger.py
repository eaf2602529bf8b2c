"""The steps and jobs of a run, and what is asked of them again and again, kept up to date at each change.

What a question costs does not grow with the run. Changes can be undone until they are settled. The ended jobs of steps
that have finished are not held, but recalled for those who ask. Pure, but for that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from lib.jobs import Job
from lib.model import Step, Usage
from lib.steps import BuilderStatus, StepKind, StepStatus, TriggerRule, is_counted


class HasLedger:
    """The steps and jobs of a value that has a ledger."""

    __slots__ = ()
    ledger: Ledger

    @property
    def steps(self) -> Mapping[str, Step]:
        """All steps by id."""
        return self.ledger.steps

    @property
    def jobs(self) -> Mapping[str, Job]:
        """The jobs at hand by id: all but the ended ones of finished steps."""
        return self.ledger.jobs


class Ledger:
    """Steps and jobs in the order in which they were added.

    `recall` gives all jobs of a step as they were settled, oldest first; without it, all of them are held.
    """

    def __init__(
        self,
        steps: Iterable[Step] = (),
        jobs: Iterable[Job] = (),
        recall: Callable[[str], Iterable[Job]] | None = None,
    ) -> None:
        self._steps: dict[str, Step] = {}
        self._jobs: dict[str, Job] = {}
        self._place: dict[str, int] = {}
        self._ids: list[str] = []
        self._in_status: dict[BuilderStatus, dict[str, None]] = {status: {} for status in BuilderStatus}
        self._counted: Counter[BuilderStatus] = Counter()
        self._needed_by: defaultdict[str, list[str]] = defaultdict(list)
        self._unmet: dict[str, int] = {}
        self._lost: dict[str, int] = {}
        self._open: defaultdict[str, int] = defaultdict(int)
        self._of_kind: defaultdict[StepKind, list[str]] = defaultdict(list)
        self._ready: list[int] = []
        self._jobs_of: defaultdict[str | None, list[str]] = defaultdict(list)
        self._job_place: dict[str, int] = {}
        self._jobs_put = 0
        self._recall = recall
        self._live: set[str] = set()
        self._spent = Usage()
        self._steps_before: dict[str, Step | None] = {}
        self._jobs_before: dict[str, Job | None] = {}
        for step in steps:
            self._set_step(step)
        for job in jobs:
            self._set_job(job)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ledger) and (self._steps, self._jobs) == (other._steps, other._jobs)

    __hash__ = None  # type: ignore[assignment]

    def copy(self) -> Ledger:
        """Another one, which may be changed without touching this."""
        made = Ledger(self._steps.values(), self._jobs.values(), self._recall)
        made._jobs_of.update({step: list(names) for step, names in self._jobs_of.items()})
        made._job_place |= self._job_place
        made._jobs_put = self._jobs_put
        return made

    # --- questions -----------------------------------------------------------------------------------------------

    @property
    def steps(self) -> Mapping[str, Step]:
        return MappingProxyType(self._steps)

    @property
    def jobs(self) -> Mapping[str, Job]:
        return MappingProxyType(self._jobs)

    @property
    def spent(self) -> Usage:
        """The tokens and cost of the ended jobs of all steps."""
        return self._spent

    def live(self) -> list[Job]:
        """The jobs that have not ended, oldest first."""
        return [self._jobs[name] for name in sorted(self._live, key=self._job_place.__getitem__)]

    def jobs_of(self, step: str | None) -> list[Job]:
        """The jobs of a step, or of the run as a whole, oldest first. Raises what `recall` raises."""
        held = [self._jobs[name] for name in self._jobs_of.get(step, ())]
        if step is None or self._recall is None or not self._is_finished(step):
            return held
        return list(({job.id: job for job in self._recall(step)} | {job.id: job for job in held}).values())

    def count(self, *statuses: BuilderStatus) -> int:
        return sum(len(self._in_status[status]) for status in statuses)

    def counts(self) -> dict[str, int]:
        """The number of steps in each status that any has: of those that count, see `lib.steps.is_counted`."""
        return {status.value: number for status in BuilderStatus if (number := self._counted[status])}

    def within(self, *statuses: BuilderStatus) -> list[Step]:
        """The steps in any of these statuses, in order."""
        names = [name for status in statuses for name in self._in_status[status]]
        return [self._steps[name] for name in sorted(names, key=self._place.__getitem__)]

    def first(self, status: BuilderStatus) -> Iterator[Step]:
        """The steps in a status, the one that came to it first before the others."""
        return (self._steps[name] for name in self._in_status[status])

    def newest(self, status: BuilderStatus) -> Iterator[Step]:
        """The steps in a status, the one that came to it last before the others."""
        return (self._steps[name] for name in reversed(self._in_status[status]))

    def ready(self) -> Iterator[Step]:
        """The pending steps of which all needs are met, in order, and those whose rule may decide without."""
        return (self._steps[self._ids[place]] for place in self._ready)

    def count_open(self, box: str) -> int:
        """The number of steps in a box, of the run's own level for "", that are not over."""
        return self._open[box]

    def of_kind(self, kind: StepKind) -> Iterator[Step]:
        """The steps of a kind, in order."""
        return (self._steps[name] for name in self._of_kind.get(kind, ()))

    def needing(self, name: str) -> Iterable[str]:
        """The steps that need a step."""
        return tuple(self._needed_by.get(name, ()))

    def in_order(self, names: Iterable[str]) -> list[Step]:
        return [self._steps[name] for name in sorted(names, key=self._place.__getitem__)]

    # --- changes -------------------------------------------------------------------------------------------------

    def put_step(self, step: Step) -> None:
        """Adds a step, or changes it."""
        self._steps_before.setdefault(step.id, self._steps.get(step.id))
        self._set_step(step)

    def put_job(self, job: Job) -> None:
        """Adds a job, or changes it."""
        self._jobs_before.setdefault(job.id, self._jobs.get(job.id))
        self._set_job(job)

    def changed_steps(self) -> list[Step]:
        """The steps that were added or changed since the last `settle` or `undo`."""
        return [self._steps[name] for name, old in self._steps_before.items() if self._steps[name] is not old]

    def changed_jobs(self) -> list[Job]:
        """The jobs that were."""
        return [self._jobs[name] for name, old in self._jobs_before.items() if self._jobs[name] is not old]

    def settle(self) -> None:
        """Keeps what was changed, and forgets the ended jobs of steps that have finished."""
        jobs = (self._jobs[name] for name in self._jobs_before if name in self._jobs)
        touched = self._steps_before.keys() | {job.spec.step for job in jobs if job.spec.step}
        self._steps_before.clear()
        self._jobs_before.clear()
        for step in touched if self._recall else ():
            if self._is_finished(step):
                for name in [name for name in self._jobs_of.get(step, ()) if name not in self._live]:
                    self._drop_job(name)

    def undo(self) -> None:
        """Takes back what was changed since the last `settle`."""
        for name, job in reversed(self._jobs_before.items()):
            self._drop_job(name) if job is None else self._set_job(job)
        for name, step in reversed(self._steps_before.items()):
            self._drop_step(name) if step is None else self._set_step(step)
        self.settle()

    def _is_finished(self, step: str) -> bool:
        return step in self._steps and not self._steps[step].status.is_unfinished

    def _set_step(self, step: Step) -> None:
        old = self._steps.get(step.id)
        if old is not None and step.status.is_unfinished and not old.status.is_unfinished:
            self._hold_all(step.id)
        self._steps[step.id] = step
        if old is None:
            self._place[step.id] = len(self._ids)
            self._ids.append(step.id)
            self._of_kind[step.kind].append(step.id)
            self._unmet[step.id] = self._lost[step.id] = 0
            for need in step.needs:
                self._needed_by[need].append(step.id)
                self._unmet[step.id] += need in self._steps and not self._steps[need].is_satisfied
                self._lost[step.id] += need in self._steps and self._steps[need].is_lost
        else:
            del self._in_status[old.shown][old.id]
            self._counted[old.shown] -= is_counted(old.kind, old.shown)
        self._in_status[step.shown][step.id] = None
        self._counted[step.shown] += is_counted(step.kind, step.shown)
        self._weigh(old, step)
        if old is None or step.usage is not old.usage:
            self._spent = self._spent.plus(step.usage).minus(old.usage if old else Usage())
        self._rank(step.id)

    def _drop_step(self, name: str) -> None:
        step = self._steps[name]
        self._weigh(step, None)
        del self._steps[name], self._place[name], self._in_status[step.shown][name]
        del self._unmet[name], self._lost[name]
        self._of_kind[step.kind].remove(name)
        self._counted[step.shown] -= is_counted(step.kind, step.shown)
        for need in step.needs:
            self._needed_by[need].remove(name)
        place = len(self._ids) - 1
        if self._ids.pop() != name:
            raise AssertionError(f"{name} was not added last")
        if self._ready and self._ready[-1] == place:
            self._ready.pop()
        self._spent = self._spent.minus(step.usage)

    def _weigh(self, old: Step | None, new: Step | None) -> None:
        """Counts a change of a step, one of which may be none, for its box and the steps that need it."""
        step = new or old
        if step is None:
            return
        self._open[step.parent] += _counts(new, _is_open) - _counts(old, _is_open)
        unmet = _counts(new, _is_unmet) - _counts(old, _is_unmet)
        lost = _counts(new, _is_lost) - _counts(old, _is_lost)
        for name in self._needed_by.get(step.id, ()) if unmet or lost else ():
            self._unmet[name] += unmet
            self._lost[name] += lost
            self._rank(name)

    def _rank(self, name: str) -> None:
        """Puts a step among those that are ready, or takes it out."""
        place = self._place[name]
        at = bisect_left(self._ready, place)
        is_there = at < len(self._ready) and self._ready[at] == place
        is_ready = self._steps[name].status is StepStatus.PENDING and self._may_decide(name)
        if is_ready and not is_there:
            self._ready.insert(at, place)
        elif is_there and not is_ready:
            del self._ready[at]

    def _may_decide(self, name: str) -> bool:
        step, unmet = self._steps[name], self._unmet[name]
        is_enough = step.rule is TriggerRule.ONE_SUCCESS and unmet < len(step.needs)
        return not unmet or bool(self._lost[name]) or is_enough

    def _hold_all(self, step: str) -> None:
        """Holds all jobs of a finished step, which is begun again."""
        jobs = self.jobs_of(step)
        for job in jobs:
            self._set_job(job)
        self._jobs_of[step] = [job.id for job in jobs]

    def _set_job(self, job: Job) -> None:
        if job.id not in self._jobs:
            self._jobs_of[job.spec.step].append(job.id)
            self._job_place[job.id] = self._jobs_put
            self._jobs_put += 1
        self._jobs[job.id] = job
        if job.result is None:
            self._live.add(job.id)
        else:
            self._live.discard(job.id)

    def _drop_job(self, name: str) -> None:
        job = self._jobs.pop(name)
        self._jobs_of[job.spec.step].remove(name)
        if not self._jobs_of[job.spec.step]:
            del self._jobs_of[job.spec.step]
        self._live.discard(name)
        del self._job_place[name]


def _counts(step: Step | None, what: Callable[[Step], bool]) -> int:
    return int(step is not None and what(step))


def _is_open(step: Step) -> bool:
    return not (step.is_satisfied or step.is_lost)


def _is_unmet(step: Step) -> bool:
    return not step.is_satisfied


def _is_lost(step: Step) -> bool:
    return step.is_lost
