"""Cost of a step in a run of 1,000 steps and of 10,000: decided, committed to the database, presented as state.json.

The steps are builders in twenty levels whose jobs end at once, as told here; nothing else is started.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Goal, Row
from benchmarks.scratch import scratch
from lib.config.model import Config
from lib.effects import Collect, CollectResult, EffectResult, Prepare, PrepareResult
from lib.events import Event, JobEnded, JobSpawned, RunStarted, StepAdded
from lib.jobs import Job, JobResult, ProcessIdentity
from lib.model import Base, Component, Step
from lib.process import now
from lib.project.paths import Project, find_project
from lib.statefile.document import render
from lib.store.rundb import RunDB
from orchestrator.engine.decide import decide
from orchestrator.engine.decision import Seen
from orchestrator.engine.run import Run, apply, begin
from orchestrator.handlers import phase_handlers
from orchestrator.persistence.presenting import present
from orchestrator.persistence.project_folders import make_home
from orchestrator.persistence.run_store import save

FEW, MANY = 1_000, 10_000
LEVELS = 20
BASE = Base(branch="main", commit="0" * 40)
PROCESS = ProcessIdentity(pid=1, start_ticks=1, boot_id="b")


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of processor time a step, and the bytes of the largest state.json."""

    step_ms: float
    state_bytes: int


def measure(folder: Path, runs: int) -> list[Row]:
    with scratch(folder / "scale") as project:
        place = find_project(project.root)
        make_home(place)
        costs = [[_through(place, f"{steps}-{number}", steps) for steps in (FEW, MANY)] for number in range(runs)]
    few, many = ([cost[which].step_ms for cost in costs] for which in (0, 1))
    largest = [cost[1].state_bytes / 1000 for cost in costs]
    return [
        Row("a step of 10,000: processor time to decide, commit and present", "ms", many, [Goal("ratio", 1.2)],
            "a step of 1,000", few),
        Row("state.json of 10,000 steps", "kB", largest, [Goal("max", 100)]),
    ]  # fmt: skip


def _through(project: Project, name: str, steps: int) -> Cost:
    """Takes a run through all of its steps."""
    handlers, facts, largest = phase_handlers(project), list[Event](), 0
    with RunDB.open(project) as db:
        run = _begun(db, name, steps)
        begun = time.process_time()
        while run.state.phase == "execution":
            instant = now()
            decision = decide(run, Seen(facts), handlers, instant, lambda _: None)
            shown = render(present(decision.run))
            save(db, run, decision.run, decision.events, instant, file_bytes=shown)
            run, largest = decision.run, max(largest, len(shown))
            run.ledger.settle()
            facts = [event for job in decision.start for event in _ended(job)]
        took_s = time.process_time() - begun
    assert run.ledger.counts() == {"built": steps}, run.ledger.counts()
    return Cost(took_s / steps * 1000, largest)


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
