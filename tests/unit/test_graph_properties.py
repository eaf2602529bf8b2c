"""Whatever graph it is and however its jobs end, a workflow comes to rest, and each step ends as its rule says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml
from graphworld import GraphWorld, fails, gives, new_run, says
from hypothesis import given, settings
from hypothesis import strategies as st
from world import bad

from lib.events import Event, JobEnded, JobSpawned, StateEdited
from lib.jobs import Job, JobResult, ProcessIdentity
from lib.model import Edit, Owner, Step
from lib.steps import StepKind, StepStatus, TriggerRule
from lib.workflow.compiled import plan_of
from lib.workflow.rules import Need, Start, start

RULES = tuple(rule.value for rule in TriggerRule)
CODES = ("exit_nonzero", "timeout", "lost", "stopped", "rebooted", "not_started", "rate_limit", "schema")
FINAL = frozenset({"done", "failed", "skipped", "cancelled"})
IDS = ("a", "b", "c", "d", "e", "f")


@st.composite
def work(draw: st.DrawFn) -> dict[str, Any]:
    """A step that does something, without its id and needs."""
    kind = draw(st.sampled_from(("run", "run", "prompt", "gate")))
    step: dict[str, Any] = {kind: {"message": "Go on?"} if kind == "gate" else "x"}
    if kind != "gate":
        step["workspace"] = draw(st.sampled_from(("none", "shared")))
        if draw(st.booleans()):
            step["access"] = "read"
        if draw(st.booleans()):
            step["retry"] = {"max_attempts": draw(st.integers(1, 3)), "delay_s": draw(st.sampled_from((0.0, 2.0)))}
        step["on_interrupt"] = draw(st.sampled_from(("rerun", "ask", "skip")))
    return step


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    """A graph without cycles: each step may need those before it."""
    names = IDS[: draw(st.integers(1, len(IDS)))]
    steps = []
    for number, name in enumerate(names):
        needs = draw(st.lists(st.sampled_from(names[:number]), unique=True)) if number else []
        step = {"id": name, "needs": needs, **draw(work())}
        if "gate" in step and needs and draw(st.booleans()):
            step["gate"] = {"message": "Go on?", "on_reject": {"back_to": needs[0], "max_rounds": 2}}
        if draw(st.integers(0, 4)) == 0:
            inner = [{"id": "x", **draw(work())}, {"id": "y", "needs": ["x"], **draw(work())}]
            step = {"id": name, "needs": needs, "group": inner}
        if "gate" not in step and draw(st.integers(0, 3)) == 0:
            step["foreach"] = {"in": ["k1", "k2"], "join": draw(st.sampled_from(("all_success", "all_done")))}
        step["trigger_rule"] = draw(st.sampled_from(RULES))
        if draw(st.integers(0, 4)) == 0:
            step["when"] = "false"
        step["optional"] = draw(st.integers(0, 4)) == 0
        step["on_failure"] = draw(st.sampled_from(("stop", "continue", "retry"))) if "group" not in step else "stop"
        steps.append(step)
    if draw(st.integers(0, 5)) == 0:
        steps.append({"id": "end", "needs": [draw(st.sampled_from(names))], "end": {"status": "done"}})
    return {
        "steps": steps,
        "on_error": draw(st.sampled_from(("stop", "continue"))),
        "parallel": draw(st.integers(1, 4)),
    }


def ended(job: Job, code: str | None) -> list[Event]:
    events: list[Event] = []
    if job.is_process and job.process is None:
        events.append(JobSpawned(job=job.id, process=ProcessIdentity(pid=7, start_ticks=1, boot_id="b")))
    result: JobResult
    if code is None:
        result = says("done") if job.turn else gives("x")
    else:
        result = fails() if code == "exit_nonzero" else bad(code, printed=False)
    return [*events, JobEnded(job=job.id, result=result)]


def need(step: Step) -> Need:
    """The state of a step for those that need it, told apart from the engine's own way."""
    match step.status:
        case StepStatus.DONE:
            return Need.DONE
        case StepStatus.SKIPPED:
            return Need.SKIPPED if step.ruled_out else Need.WAIVED
        case StepStatus.FAILED if step.tolerated:
            return Need.FAILED
    return Need.PENDING


def check(world: GraphWorld, known: dict[str, StepStatus]) -> None:
    """The promises that hold at each moment; `known` are the statuses at the last one."""
    steps = world.run.steps
    live: dict[str, int] = {}
    for job in world.run.ledger.live():
        if job.spec.step:
            live[job.spec.step] = live.get(job.spec.step, 0) + 1
    assert all(count == 1 for count in live.values()), f"two live jobs of one step: {live}"
    assert len({job.id for job in world.started}) == len(world.started)
    works = [steps[name] for name in live if steps[name].kind in {StepKind.RUN, StepKind.PROMPT}]
    busy = [step.id for step in works if step.status is StepStatus.RUNNING]
    assert world.run.definition is not None
    assert len(busy) <= (plan_of(world.run.definition).workflow.parallel or 0), f"{busy} are at work at once"
    shared = [job for job in world.run.ledger.live() if job.spec.worktree == "_shared" and job.is_process]
    writers = [job for job in shared if not getattr(job.spec, "read_only", False)]
    assert len(writers) == 0 or len(shared) == 1, f"{[job.id for job in shared]} are in the worktree"
    for name, step in steps.items():
        if known.get(name, StepStatus.PENDING) is StepStatus.PENDING and step.status is StepStatus.RUNNING:
            needs = [need(steps[each]) for each in step.needs]
            assert start(step.rule, needs) is Start.RUN, f"{name} began with {needs}"
            assert not step.parent or steps[step.parent].status is StepStatus.RUNNING
        if step.status in {StepStatus.DONE, StepStatus.FAILED}:
            assert name not in live, f"{name} is over and has a live job"
    known.update({name: step.status for name, step in steps.items()})


def check_end(world: GraphWorld) -> None:
    """The promises that hold once the run is over."""
    assert world.outcome in {"done", "landed"}, world.run.state.message
    is_ended = "end" in world.run.steps and world.run.steps["end"].status is StepStatus.DONE
    for name, step in world.own.items():
        assert step.status.value in FINAL, f"{name} is {step.status}"
        assert step.status is not StepStatus.FAILED or step.tolerated, f"{name} failed, and nobody decided on it"
        assert not (step.ruled_out and step.status is not StepStatus.SKIPPED)
        if is_ended or step.note == "skipped":
            continue
        decision = start(step.rule, [need(world.run.steps[each]) for each in step.needs])
        assert decision is not Start.WAIT, f"{name} waited for nothing"
        if step.status in {StepStatus.DONE, StepStatus.FAILED}:
            assert decision is Start.RUN, f"{name} ran"
        if step.ruled_out and decision is Start.RUN:
            assert step.note in {"its condition is false", "the run ends"}, f"{name} was left out: {step.note}"


def answers(world: GraphWorld) -> list[Edit]:
    """Answers of a person to what is asked now, so that the run goes on."""
    code = {"action_owner": Owner.CODE}
    if world.asked == "answer_gate":
        return [Edit(**code, action_needed=each, feedback="words") for each in ("approve", "reject")]
    failed = [step.id for step in world.own.values() if step.status is StepStatus.FAILED and not step.tolerated]
    skips = [Edit(**code, action_needed=f"skip {' '.join(failed)}")] if failed else []
    return [*skips, *(Edit(**code, action_needed=f"retry {name}") for name in failed), Edit(**code)]


def meddling(world: GraphWorld) -> list[Edit]:
    """Actions of a person on steps that are at work."""
    owner = {"action_owner": Owner.CODE} if world.asked else {}
    names = [step.id for step in world.own.values() if step.status in {StepStatus.RUNNING, StepStatus.RETRYING}]
    return [Edit(**owner, action_needed=f"{verb} {name}") for verb in ("retry", "skip") for name in names]


def play(world: GraphWorld, draw: Callable[[st.SearchStrategy[Any]], Any], rounds: int) -> None:
    """Ends jobs and answers in any order; after so many rounds all is well and each failure is skipped."""
    known: dict[str, StepStatus] = {}
    world.tick()
    for number in range(300):
        check(world, known)
        if world.run.state.outcome is not None:
            return
        wild = number < rounds
        live = world.run.ledger.live()
        facts: list[Event] = []
        if wild and (edits := meddling(world)) and draw(st.integers(0, 9)) == 0:
            facts = [StateEdited(edit=draw(st.sampled_from(edits)))]
        elif live and not (world.asked and wild and draw(st.booleans())):
            job = draw(st.sampled_from(live)) if wild else live[0]
            code = job.stopping or (draw(st.sampled_from((None, None, None, *CODES))) if wild else None)
            facts = ended(job, code) if job.is_process else [JobEnded(job=job.id, result=world.usual(job))]
        elif world.asked:
            possible = answers(world)
            facts = [StateEdited(edit=draw(st.sampled_from(possible)) if wild else possible[0])]
        else:
            assert world.last is not None
            assert world.last.wake_at_mono_s is not None, f"nothing is awaited: {world.statuses()}"
            world.mono_s = max(world.mono_s, world.last.wake_at_mono_s)
        world.tick(*facts)
    raise AssertionError(f"no rest: {world.statuses()}, {world.asked} {world.run.state.message}")


@settings(max_examples=150, deadline=None)
@given(data=st.data(), graph=graphs())
def test_every_run_comes_to_rest_with_each_step_in_the_end_that_its_rule_says(
    data: st.DataObject, graph: dict[str, Any]
) -> None:
    world = GraphWorld(new_run(yaml.safe_dump(graph), sandbox=data.draw(st.sampled_from(("require", "off")))))
    play(world, data.draw, data.draw(st.integers(0, 40)))
    check_end(world)


@settings(max_examples=60, deadline=None)
@given(graph=graphs())
def test_without_trouble_nothing_is_done_twice(graph: dict[str, Any]) -> None:
    world = GraphWorld(new_run(yaml.safe_dump(graph), gates={"design": "none"}))
    world.to_rest()
    check_end(world)
    begun = world.begun()
    assert len(begun) == len(set(begun))
    assert {step.status for step in world.own.values()} <= {StepStatus.DONE, StepStatus.SKIPPED}
