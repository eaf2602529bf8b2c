"""Runs as they are at some moment, made of the real models and saved in a real run database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from lib.config.model import Config
from lib.effects import Clean
from lib.events import Event
from lib.files.replace import replace_file
from lib.jobs import AssistantTurn, Command, Job, JobKind, JobSpec, ProcessIdentity, effect
from lib.ledger import Ledger
from lib.model import Base, Component, Owner, Problem, State, Step, Usage
from lib.process import now
from lib.project.paths import Project
from lib.statefile.document import render
from lib.steps import BuilderStatus, StepKind, StepStatus
from lib.store.rundb import RunDB
from lib.store.upgrades import Kind, upgraded
from orchestrator.engine.run import Engine, Run
from orchestrator.persistence.presenting import present
from orchestrator.persistence.project_folders import make_home
from orchestrator.persistence.run_store import save
from orchestrator.status.view import View, status_view

RUN = "20260101-120000-build-a-calculator-1a2b"
PID = 4711
REQUIREMENT = "Build a calculator with add, subtract, multiply and divide, and a command-line front"


def state(**fields: Any) -> State:
    """A run in its execution phase that code has, changed by `fields`."""
    at = now().wall - timedelta(minutes=12)
    usual = {
        "rev": 7, "run": RUN, "requirement": REQUIREMENT, "phase": "execution", "action_owner": Owner.CODE,
        "action_needed": "execution", "base": Base(branch="main", commit="1a2b3c4d5e" * 4), "created_at": at,
        "updated_at": at + timedelta(minutes=11),
    }  # fmt: skip
    return State.model_validate({**usual, **fields})


def waiting(action: str, message: str, **fields: Any) -> State:
    """A run in which ci is asked for `action`."""
    return state(action_owner=Owner.CI, action_needed=action, message=message, **fields)


def builder(name: str, status: BuilderStatus = BuilderStatus.RUNNING, *, minutes: float = 2, **fields: Any) -> Step:
    ended = not (status.is_at_work or status in {BuilderStatus.PENDING, BuilderStatus.RETRYING})
    began = None if status is BuilderStatus.PENDING else now().wall - timedelta(minutes=minutes)
    usual = {
        "id": name, "component": Component(id=name, title=name.title()),
        **upgraded(Kind.STEP, {"status": status.value}, written=1),
        "branch": f"relay/{RUN}/{name}", "worktree": f".project/worktrees/{RUN}/{name}",
        "chain": ("claude",), "assistant": "claude",
        "attempt": 0 if began is None else 1, "attempts": 3, "base_commit": "" if began is None else "c" * 40,
        "commit": "d" * 40 if ended else "", "started_at": began,
        "ended_at": began + timedelta(minutes=minutes / 2) if began and ended else None,
    }  # fmt: skip
    return Step.model_validate({**usual, **fields})


def step(name: str, kind: StepKind, status: StepStatus = StepStatus.RUNNING, **fields: Any) -> Step:
    """A step of a workflow."""
    is_over = status not in {StepStatus.PENDING, StepStatus.RETRYING, StepStatus.RUNNING}
    began = None if status is StepStatus.PENDING else now().wall - timedelta(minutes=2)
    usual = {
        "id": name, "kind": kind, "node": name.partition(":")[0], "status": status,
        "attempt": 0 if began is None else 1, "started_at": began,
        "ended_at": began + timedelta(minutes=1) if began and is_over else None,
    }  # fmt: skip
    return Step.model_validate({**usual, **fields})


#: A workflow whose fan-out is at work, in the order in which its steps are added.
SMALL = (
    step("_shared", StepKind.WORKSPACE, StepStatus.DONE, component=Component(id="workflow"), branch="b", commit="c"),
    step("list", StepKind.RUN, StepStatus.DONE),
    step("look", StepKind.FAN, members=("look:a", "look:b")),
    step("ok", StepKind.GATE, StepStatus.PENDING),
    step("look:a", StepKind.PROMPT, StepStatus.DONE, parent="look", assistant="claude"),
    step("look:b", StepKind.PROMPT, parent="look", assistant="claude"),
)


def job(name: str, of: str | None = None, **spec: Any) -> Job:
    """A job that is at work, of the builder `of` or of the run."""
    usual = {"name": name, "step": of}
    kind = spec.pop("kind", JobKind.ASSISTANT)
    task: JobSpec = (
        Command(**usual, command=spec.pop("command", "true"), **spec)
        if kind is JobKind.COMMAND
        else effect(spec.pop("args", Clean(branch="main")), step=of, **spec)
        if kind is JobKind.EFFECT
        else AssistantTurn(**usual, **spec)
    )
    return Job(
        id=f"0001-{of or 'run'}-{name}", spec=task, attempt=1, dispatch=1,
        started_at=now().wall - timedelta(seconds=43), started_mono_s=0.0,
        process=ProcessIdentity(pid=7, start_ticks=1, boot_id="b"),
    )  # fmt: skip


def view_of(
    stands: State,
    builders: Sequence[Step] = (),
    jobs: Sequence[Job] = (),
    *,
    problem: Problem | None = None,
    pid: int | None = PID,
    lines: dict[str, str] | None = None,
    engine: dict[str, Any] | None = None,
) -> View:
    """The view of a run, as the orchestrator `pid` drives it; None drives none."""

    def dumped(value: Any) -> Any:
        return json.loads(value.model_dump_json())

    held = dumped(problem) if problem else None
    parts = ([dumped(item) for item in builders], [dumped(item) for item in jobs])
    header = dumped(stands) | ({"engine": engine} if engine else {})
    return status_view(header, *parts, held, pid, now().wall, lines or {})


def store(
    project: Project,
    stands: State,
    builders: Sequence[Step] = (),
    jobs: Sequence[Job] = (),
    *,
    problem: Problem | None = None,
    events: Sequence[Event] = (),
    prints: str = "",
) -> Run:
    """Saves the run as the orchestrator does, state.json included; each job at work has printed `prints`."""
    at_work = {item.spec.step: item.id for item in jobs}
    known = [item.model_copy(update={"job": at_work.get(item.id)}) for item in builders]
    run = Run(stands, Config(), Engine(problem=problem), ledger=Ledger(known, jobs))
    make_home(project)
    data = render(present(run))
    with RunDB.open(project) as db:
        save(db, None, run, events, now(), file_bytes=data)
    replace_file(project.state_file, data)
    for item in jobs:
        folder = project.output_dir(stands.run, item.spec.step, item.id)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "output.log").write_text(prints)
    return run


SPENT = Usage(input_tokens=41_300, output_tokens=2_100, cost_usd=0.42)
