"""Whatever jobs answer and people edit, in whatever order, some things hold at every tick."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from world import HANDLERS, World, bad, new_run, ok

from lib.events import JobEnded, JobSpawned, StateEdited
from lib.jobs import Job, JobResult, ProcessIdentity
from lib.model import Edit, Owner, RunOutcome
from lib.steps import StepStatus
from orchestrator.engine.handing_back import legal_actions

CODES = ("exit_nonzero", "timeout", "lost", "stopped", "not_started", "rebooted", "conflict", "system")
IDS = ("a", "b", "c", "d")


@st.composite
def designs(draw: st.DrawFn) -> dict[str, Any]:
    """A graph without cycles: each may depend on those before it."""
    names = IDS[: draw(st.integers(1, len(IDS)))]
    parts = []
    for number, name in enumerate(names):
        depends_on = draw(st.lists(st.sampled_from(names[:number]), unique=True)) if number else []
        parts.append({"id": name, "depends_on": depends_on})
    return {"components": parts}


def usual_or_bad(world: World, job: Job, code: str | None) -> JobResult:
    return world.usual(job) if code is None else bad(code)


def edits(world: World) -> list[Edit]:
    """The edits that `lib.statefile.edits.judge` lets through in the present state."""
    state = world.run.state
    actions = [name for name in legal_actions(world.run, HANDLERS) if name not in {"retry", "skip"}]
    if state.action_owner is Owner.CI:
        found = [Edit(action_owner=Owner.CODE)]
        found += [Edit(action_owner=Owner.CODE, action_needed=action, feedback="words") for action in actions]
    else:
        found = [Edit(action_needed="cancel")]
    found += [Edit(paused=not state.paused)]
    owner = {"action_owner": Owner.CODE} if state.action_owner is Owner.CI else {}
    found += [Edit(**owner, action_needed=f"{verb} {name}") for verb in ("retry", "skip") for name in world.run.steps]
    return found


def check(world: World) -> None:
    run = world.run
    live = Counter(job.spec.step for job in run.ledger.live() if job.spec.step)
    assert all(count == 1 for count in live.values()), "two live copies of a builder"
    assert len({job.id for job in world.started}) == len(world.started), "a job id was used twice"
    for builder in run.steps.values():
        if builder.status is StepStatus.DONE:
            assert builder.commit, "built without a commit"
        assert builder.merged or not builder.landed, "landed without being merged"
        if builder.status is StepStatus.RUNNING:
            assert builder.job in run.jobs, "at work without a job"
    if run.state.outcome is RunOutcome.LANDED:
        landings = [job for job in run.jobs.values() if job.spec.name == "land" and job.result and job.result.ok]
        assert landings, "landed without a landing"
        assert run.state.phase == "storage"


@settings(max_examples=150, deadline=None)
@given(data=st.data(), design=designs())
def test_no_history_breaks_a_promise(data: st.DataObject, design: dict[str, Any]) -> None:
    world = World(new_run(attempts=2, verify="true", parallel=2), design=design)
    world.tick()
    for _ in range(data.draw(st.integers(5, 60))):
        live = [job for job in world.run.ledger.live() if world.run.state.outcome is None or job.stopping]
        choice = data.draw(st.integers(0, 9))
        if choice < 7 and live:
            job = data.draw(st.sampled_from(live))
            facts: list[Any] = []
            if job.is_process and job.process is None:
                facts.append(JobSpawned(job=job.id, process=ProcessIdentity(pid=9, start_ticks=1, boot_id="b")))
            code = job.stopping or data.draw(st.sampled_from((None, None, None, *CODES)))
            world.tick(*facts, JobEnded(job=job.id, result=usual_or_bad(world, job, code or None)))
        elif choice == 7 and world.run.state.outcome is None:
            world.tick(StateEdited(edit=data.draw(st.sampled_from(edits(world)))))
        else:
            world.mono_s += data.draw(st.floats(0, 5000))
            world.tick()
        check(world)


@settings(max_examples=60, deadline=None)
@given(design=designs(), parallel=st.integers(1, 4))
def test_without_trouble_every_design_lands_each_builder_built_once(design: dict[str, Any], parallel: int) -> None:
    world = World(new_run(gates={"design": "none"}, parallel=parallel), design=design)
    world.answers["verify"] = ok()
    world.settle()
    assert world.run.state.outcome is RunOutcome.LANDED
    built = Counter(job.spec.step for job in world.started if job.spec.name == "build")
    assert built == dict.fromkeys((part["id"] for part in design["components"]), 1)
