"""Cost of a step in a run and in one of ten times as many: decided, committed to the database, presented as state.json;
and of reading the larger run when half of it is built.

The steps are builders in twenty levels whose jobs end at once, as told here; nothing else is started.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import Goal, Row
from benchmarks.scratch import BARE_PYTHON, RELAY, STATUS, Scratch, in_turns, scratch
from lib.config.model import Config
from lib.effects import Collect, CollectResult, EffectResult, Prepare, PrepareResult
from lib.events import Event, JobEnded, JobSpawned, RunStarted, StepAdded
from lib.jobs import Job, JobResult, ProcessIdentity
from lib.model import Base, Component, Step
from lib.process import now
from lib.project.paths import Project, find_project
from lib.statefile.document import render
from lib.steps import BuilderStatus
from lib.store.rundb import RunDB
from orchestrator.engine.decide import decide
from orchestrator.engine.decision import Seen
from orchestrator.engine.run import Run, apply, begin
from orchestrator.handlers import phase_handlers
from orchestrator.persistence.presenting import present
from orchestrator.persistence.project_folders import make_home
from orchestrator.persistence.run_store import restore, save

LEVELS = 20
BASE = Base(branch="main", commit="0" * 40)
PROCESS = ProcessIdentity(pid=1, start_ticks=1, boot_id="b")


#: How often the run is read.
READS = 5


@dataclass(slots=True)
class Drive:
    """A run on its way: its handler is asked, its jobs end at once, and what it cost is counted."""

    project: Project
    db: RunDB
    run: Run
    facts: list[Event] = field(default_factory=list)
    took_s: float = 0.0
    state_bytes: int = 0

    def until(self, built: int) -> None:
        """Goes on until so many steps are built, or all."""
        handlers = phase_handlers(self.project)
        begun = time.process_time()
        while self.run.state.phase == "execution" and self.run.ledger.count(BuilderStatus.BUILT) < built:
            instant = now()
            decision = decide(self.run, Seen(self.facts), handlers, instant, lambda _: None)
            shown = render(present(decision.run))
            save(self.db, self.run, decision.run, decision.events, instant, file_bytes=shown)
            self.run, self.state_bytes = decision.run, max(self.state_bytes, len(shown))
            self.run.ledger.settle()
            self.facts = [event for job in decision.start for event in _ended(job)]
        self.took_s += time.process_time() - begun


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of processor time a step, and the bytes of the largest state.json."""

    step_ms: float
    state_bytes: int


def measure(folder: Path, runs: int) -> list[Row]:
    return _measured(folder, runs, 10_000)


def thousand(folder: Path, runs: int) -> list[Row]:
    return _measured(folder, runs, 1_000)


def _measured(folder: Path, runs: int, many_steps: int) -> list[Row]:
    few_steps = many_steps // 10
    with scratch(folder / "scale") as project:
        place = find_project(project.root)
        make_home(place)
        few = [_through(place, f"few-{number}", few_steps, []) for number in range(runs)]
        reads: list[Row] = []
        many = [_through(place, f"many-{number}", many_steps, reads, project) for number in range(runs)]
    step = f"a step of {many_steps:,}: processor time to decide, commit and present"
    size = f"state.json of {many_steps:,} steps"
    large, small = ([cost.step_ms for cost in each] for each in (many, few))
    return [
        Row(step, "ms", large, [Goal("ratio", 1.2)], f"a step of {few_steps:,}", small),
        Row(size, "kB", [cost.state_bytes / 1000 for cost in many], [Goal("max", 100)]),
        *reads[:3],
    ]


def _through(project: Project, name: str, steps: int, reads: list[Row], place: Scratch | None = None) -> Cost:
    """Takes a run through all of its steps; reads it in the middle."""
    with RunDB.open(project) as db:
        drive = Drive(project, db, _begun(db, name, steps))
        drive.until(steps // 2)
        if place is not None:
            reads += _read(place, db, name, steps)
        drive.until(steps)
    assert drive.run.ledger.counts() == {"built": steps}, drive.run.ledger.counts()
    return Cost(drive.took_s / steps * 1000, drive.state_bytes)


def _read(place: Scratch, db: RunDB, name: str, steps: int) -> list[Row]:
    def floor() -> float:
        return _child_ms(place, *BARE_PYTHON)

    script = in_turns(READS, lambda: _child_ms(place, *STATUS), floor)
    command = in_turns(READS, lambda: _child_ms(place, *RELAY, "status"), floor)
    restored = [_restored_s(db, name) for _ in range(READS)]
    goal, floor_name = [Goal("ratio", 10)], "python3 -c pass"
    of = f"of a run of {steps:,} steps: processor time"
    return [
        Row(f"status.py {of}", "ms", script[0], goal, floor_name, script[1]),
        Row(f"relay status {of}", "ms", command[0], goal, floor_name, command[1]),
        Row(f"a run of {steps:,} steps restored from the database: processor time", "s", restored, [Goal("max", 1)]),
    ]


def _child_ms(place: Scratch, *command: str) -> float:
    """Milliseconds of processor time that a command takes with all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    place.run(*command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def _restored_s(db: RunDB, name: str) -> float:
    begun = time.process_time()
    restore(db, name)
    return time.process_time() - begun


def _begun(db: RunDB, name: str, steps: int) -> Run:
    """A run that is about to build so many components."""
    instant = now()
    started = RunStarted(run=name, workflow="build", instance="default", requirement="scale", base=BASE,
                         phase="execution", action="execution")  # fmt: skip
    run = begin(started, Config(), instant)
    events: list[Event] = [started, *(StepAdded(step=step) for step in _steps(name, steps))]
    for event in events[1:]:
        apply(run, event, instant)
    save(db, None, run, events, instant, file_bytes=render(present(run)))
    run.ledger.settle()
    return run


def _steps(run: str, count: int) -> Iterator[Step]:
    width = count // LEVELS
    for number in range(count):
        needs = (f"part-{number - width}",) if number >= width else ()
        component = Component(id=f"part-{number}", title=f"Part {number}", depends_on=needs)
        worktree = f".project/worktrees/{run}/{component.id}"
        yield Step(id=component.id, component=component, branch=f"relay/{run}/{component.id}", worktree=worktree,
                   attempts=3, assistant="claude", chain=("claude",))  # fmt: skip


def _ended(job: Job) -> Iterator[Event]:
    if job.is_process:
        yield JobSpawned(job=job.id, process=PROCESS)
    yield JobEnded(job=job.id, result=JobResult(ok=True, text="Done.", data=_data(job)))


def _data(job: Job) -> dict[str, object]:
    result: EffectResult | None = None
    if prepare := job.args(Prepare):
        result = PrepareResult(base=prepare.base, made=True)
    elif job.args(Collect):
        result = CollectResult(commit=f"{job.id:0>40}"[-40:])
    return result.model_dump(mode="json") if result else {}
