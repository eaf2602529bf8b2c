"""A run that goes on from a checkpoint, as the machine takes it up: what is kept, what begins again. Pure."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from graphworld import End, GraphWorld, fails, gives, graph
from world import DESIGN, World, bad, new_run, ok

from lib.errors import RelayError
from lib.events import JobEnded, RunStarted
from lib.model import Owner
from lib.names import to_json
from lib.store.rows import Cause, StepRow, StoredCheckpoint
from orchestrator.commands.fork import Fork
from orchestrator.commands.restore import of_checkpoint
from orchestrator.engine.run import Run, apply, begin
from orchestrator.persistence.checkpoints import checkpoint_for

NEW = "r2"


def saved(world: World) -> StoredCheckpoint:
    """A checkpoint of the run as it is now, as the run database would have it."""
    run = world.run
    made = checkpoint_for(Cause.PERSON, run, "x", json.dumps(DESIGN), world.now())
    header = {**run.state.model_dump(mode="json", exclude={"builders", "steps"}),
              "engine": run.engine.model_dump(mode="json")}  # fmt: skip
    return StoredCheckpoint(
        id=7, run=run.state.run, event_seq=1, label=made.label, at=made.at, header=json.loads(json.dumps(header)),
        steps=tuple(StepRow(step.id, to_json(step)) for step in run.steps.values()), commits=dict(made.commits),
        config=run.config.model_dump(mode="json"), design=made.design,
    )  # fmt: skip


def begun(world: World, fork: Fork) -> Run:
    """The new run, as it is recorded."""
    started = RunStarted(
        run=NEW, workflow=world.run.state.workflow, instance="default", requirement=fork.requirement, base=fork.base,
        phase=fork.phase, action=fork.action, feedback=fork.feedback, origin=fork.origin,
    )  # fmt: skip
    run = begin(started, fork.config, world.now(), fork.definition)
    for event in fork.events(NEW):
        apply(run, event, world.now())
    run.ledger.settle()
    return run


def restored(world: World) -> World:
    """A world with a run that goes on from what the run of another world is now; it has not decided anything yet."""
    made = World(begun(world, of_checkpoint(saved(world), None)), files={"design.json": json.dumps(DESIGN)})
    made.mono_s = world.mono_s
    return made


def gated(**settings: Any) -> World:
    return World(new_run(gates={"design": "none"}, **settings))


def waits(world: World, name: str, step: str) -> World:
    """The job of that name of a step does not end."""
    world.answers[name] = lambda job: None if job.spec.step == step else world.usual(job)
    return world


def asked(world: World) -> str:
    return world.run.state.action_needed if world.run.state.action_owner is Owner.CI else ""


# --- runs of build ---------------------------------------------------------------------------------------------------


def test_at_the_gate_of_the_design_it_asks_again_and_builds_what_is_approved() -> None:
    old = World(new_run())
    old.settle()
    new = restored(old)
    assert asked(new) == "approve_design"
    assert new.run.state.message == old.run.state.message.replace("r1", NEW)
    assert f".project/runs/{NEW}/design.md" in new.run.state.message
    assert new.offers() == old.offers()
    new.settle()
    assert asked(new) == "approve_design"
    new.edit(action_owner=Owner.CODE)
    assert new.run.state.outcome == "landed"
    assert "run:design" not in new.names()


def test_a_rejection_after_a_restore_reaches_the_architect() -> None:
    old = World(new_run())
    old.settle()
    new = restored(old)
    new.edit(action_owner=Owner.CODE, action_needed="design", feedback="smaller")
    [turn] = [job for job in new.started if job.spec.name == "design"]
    assert turn.turn is not None
    assert turn.turn.prompt["feedback"] == "smaller"
    assert asked(new) == "approve_design"


def test_words_for_an_architect_at_work_reach_the_one_that_begins_again() -> None:
    old = World(new_run())
    old.settle()
    old.answers["design"] = None
    old.edit(action_owner=Owner.CODE, action_needed="design", feedback="smaller")
    new = restored(old)
    new.settle()
    [turn] = [job for job in new.started if job.spec.name == "design"]
    assert turn.turn is not None
    assert turn.turn.prompt["feedback"] == "smaller"


def test_what_was_built_stays_built_and_what_was_at_work_begins_again_from_its_commit() -> None:
    old = waits(gated(), "build", "two")
    old.settle()
    new = restored(old)
    assert new.statuses() == {"one": "built", "two": "pending"}
    assert new.run.steps["one"].branch == f"relay/{NEW}/one"
    assert new.run.steps["two"].worktree == f".project/worktrees/{NEW}/two"
    new.settle()
    assert new.run.state.outcome == "landed"
    assert not [name for name in new.names() if name.startswith("one:")]
    assert new.run.steps["two"].attempt == 1
    assert new.run.steps["one"].commit == "c-one"


def test_an_attempt_that_was_cut_off_does_not_count_and_the_failure_before_it_is_told() -> None:
    old = gated(attempts=2)
    ends = iter([bad("exit_nonzero", "red", text="")])
    old.answers["build"] = lambda job: ok(text="x") if job.spec.step == "two" else next(ends, None)
    old.settle()
    old.mono_s += 100
    old.settle()
    assert (old.statuses()["one"], old.run.steps["one"].attempt) == ("running", 2)
    new = restored(old)
    assert new.run.steps["one"].attempt == 1
    new.settle()
    turn = next(job.turn for job in new.started if job.spec.name == "build")
    assert turn is not None
    assert "red" in str(turn.prompt)
    assert new.run.state.outcome == "landed"


def test_a_builder_in_the_pause_before_its_next_attempt_goes_on() -> None:
    old = gated()
    old.answers["build"] = lambda job: bad("exit_nonzero") if job.spec.step == "one" else ok(text="x")
    old.settle()
    assert old.statuses()["one"] == "retrying"
    new = restored(old)
    new.settle()
    assert new.run.state.outcome == "landed"


def test_a_builder_that_failed_is_asked_about_again_and_retried() -> None:
    old = gated(attempts=1)
    old.answers["build"] = lambda job: bad("exit_nonzero") if job.spec.step == "one" else ok(text="x")
    old.settle()
    assert asked(old) == "fix_failure"
    new = restored(old)
    new.settle()
    assert (asked(new), new.started) == ("fix_failure", [])
    new.edit(action_owner=Owner.CODE, feedback="like this")
    assert new.run.state.outcome == "landed"


def test_a_question_of_a_builder_is_asked_again_and_answered() -> None:
    old = gated()
    question = '```json\n{"questions": ["Which colour?"]}\n```'
    old.answers["build"] = lambda job: ok(text=question if job.spec.step == "one" else "x")
    old.settle()
    assert asked(old) == "answer_questions"
    new = restored(old)
    new.settle()
    assert asked(new) == "answer_questions"
    assert "Which colour?" in new.run.state.message
    new.edit(action_owner=Owner.CODE, feedback="red")
    turn = next(job.turn for job in new.started if job.spec.name == "build")
    assert turn is not None
    assert "red" in str(turn.prompt)
    assert new.run.state.outcome == "landed"


def test_what_was_merged_is_merged_and_the_landing_is_asked_about_again() -> None:
    old = gated(land="ask")
    old.settle()
    assert asked(old) == "approve_landing"
    new = restored(old)
    assert new.statuses() == {"one": "merged", "two": "merged"}
    assert new.run.engine.origin is not None
    assert new.run.engine.origin.merged == "h"
    assert saved(new).commits == saved(old).commits
    new.settle()
    assert asked(new) == "approve_landing"
    new.edit(action_owner=Owner.CODE)
    assert new.run.state.outcome == "landed"
    assert {name.partition(":")[0] for name in new.names()} == {"run"}


def test_a_run_that_was_cancelled_goes_on_where_it_was() -> None:
    old = waits(gated(), "build", "two")
    old.settle()
    old.edit(action_needed="cancel")
    new = restored(old)
    new.settle()
    assert new.run.state.outcome == "landed"
    assert not [name for name in new.names() if name.startswith("one:")]


def test_a_run_that_has_landed_is_merged_and_landed_again() -> None:
    old = gated()
    old.settle()
    new = restored(old)
    new.settle()
    assert new.run.state.outcome == "landed"
    assert {name.partition(":")[0] for name in new.names()} == {"run"}


def test_a_skipped_builder_stays_skipped() -> None:
    old = gated()
    old.answers["build"] = lambda job: None if job.spec.step == "one" else ok(text="x")
    old.settle()
    old.edit(action_needed="skip one")
    old.answers["build"] = None
    new = restored(old)
    new.settle()
    assert (new.run.state.outcome, new.statuses()["one"]) == ("landed", "skipped")


# --- what can't be restored ------------------------------------------------------------------------------------------


def test_the_end_of_a_run_that_has_nothing_left_to_do_is_refused() -> None:
    old = graph("defaults: {workspace: none}\nsteps:\n  - {id: a, run: x}\n")
    assert old.outcome == "done"
    with pytest.raises(RelayError, match="had ended as done: nothing is left to do"):
        of_checkpoint(saved(old), old.run.definition)


def test_a_checkpoint_of_version_0_1_is_refused() -> None:
    old = World(new_run())
    old.settle()
    with pytest.raises(RelayError, match=r"version 0\.1, which kept neither configuration nor design"):
        of_checkpoint(saved(old)._replace(config=None), None)


@pytest.mark.parametrize(
    "spoilt", [{"header": {"rev": 1}}, {"config": {"colour": "red"}}, {"steps": (StepRow("x", "{}"),)}]
)
def test_a_checkpoint_that_this_version_can_not_read_is_refused(spoilt: dict[str, Any]) -> None:
    old = World(new_run())
    old.settle()
    with pytest.raises(RelayError) as refused:
        of_checkpoint(saved(old)._replace(**spoilt), None)
    assert refused.value.code == "checkpoint_unreadable"


# --- runs of other workflows -----------------------------------------------------------------------------------------

GRAPH = """
parallel: 2
steps:
  - {id: list, workspace: none, run: x}
  - {id: write, run: x}
  - id: each
    needs: [list]
    foreach: {in: [p, q, r], as: it}
    run: "echo {{ it }}"
  - {id: read, needs: [write], access: read, prompt: look}
  - id: tries
    needs: [each]
    loop: {until: "loop.index >= 2", max_iterations: 3}
    group:
      - {id: inner, run: x}
      - {id: outer, needs: [inner], workspace: none, run: x}
  - {id: ok, needs: [read], gate: {message: "Good?"}}
  - {id: last, needs: [ok, tries], run: x}
finally:
  - {id: tidy, workspace: none, run: x}
outputs:
  last: "{{ steps.last.output }}"
"""
#: Its turns and commands, the preparing, and the gate.
MOMENTS = 14


def gone_on(world: GraphWorld) -> GraphWorld:
    """The run that goes on from what another one is now, brought to its end; the gate is approved."""
    fork = of_checkpoint(saved(world), world.run.definition)
    new = GraphWorld(begun(world, fork), commits=100)
    new.mono_s = world.mono_s
    ended(new)
    return new


def ended(world: GraphWorld) -> None:
    world.to_rest()
    while world.asked:
        world.hand_back()


def shown(world: GraphWorld) -> dict[str, str]:
    return {name: step.shown.value for name, step in world.own.items()}


@pytest.mark.parametrize("cancelled", [False, True])
def test_from_any_moment_of_a_workflow_it_comes_to_the_same_end_and_does_nothing_again(*, cancelled: bool) -> None:
    whole = graph(GRAPH)
    ended(whole)
    assert whole.outcome == "landed"
    unended: dict[str, End] = {"turn": None, "run": None, "prepare": None}
    world, moments = graph(GRAPH, ends=unended), 0
    while not world.outcome:
        moments += 1
        done = {name for name, status in shown(world).items() if status == "done"}
        old = GraphWorld(world.run.copy(), ends=unended, mono_s=world.mono_s)
        if cancelled:
            old.hand_back("cancel")
        new = gone_on(old)
        assert (new.outcome, shown(new), new.run.engine.outputs) == ("landed", shown(whole), whole.run.engine.outputs)
        assert not done & {job.spec.step for job in new.started}
        assert set(Counter(new.begun()).values()) <= {1}
        if live := world.run.ledger.live():
            world.settle(JobEnded(job=live[0].id, result=world.usual(live[0])))
        else:
            world.hand_back()
    assert moments == MOMENTS


def test_a_step_that_failed_is_asked_about_again_and_gets_another_round() -> None:
    text = "defaults: {workspace: none}\nsteps:\n  - {id: a, run: x}\n  - {id: b, needs: [a], run: x}\n"
    old = graph(text, ends={"b:run": fails()})
    assert old.asked == "fix_failure"
    new = GraphWorld(begun(old, of_checkpoint(saved(old), old.run.definition)), ends={"b:run": gives("x")})
    new.to_rest()
    assert (new.asked, new.begun()) == ("fix_failure", [])
    new.hand_back()
    assert (new.outcome, new.begun()) == ("done", ["b"])


def test_the_commit_of_a_step_that_begins_again_is_taken_back() -> None:
    text = "steps:\n  - {id: a, run: x}\n  - {id: b, needs: [a], run: x, verify: y}\n"
    old = graph(text, ends={"b:verify": None})
    assert [step.commit for step in old.run.steps.values()] == ["commit-2", "commit-1", "commit-2"]
    new = begun(old, of_checkpoint(saved(old), old.run.definition))
    assert [step.commit for step in new.steps.values()] == ["commit-1", "commit-1", ""]


def test_an_answered_gate_stays_answered() -> None:
    text = "defaults: {workspace: none}\nsteps:\n  - {id: ok, gate: {message: m}}\n  - {id: b, needs: [ok], run: x}\n"
    old = graph(text, ends={"b:run": None})
    old.hand_back()
    new = GraphWorld(begun(old, of_checkpoint(saved(old), old.run.definition)))
    new.to_rest()
    assert (new.outcome, new.run.steps["ok"].output["decision"]) == ("done", "approve")


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize(
    ("option", "asks", "begun_again"), [("rerun", "", ["a", "b"]), ("skip", "", ["b"]), ("ask", "fix_failure", [])]
)
def test_a_step_that_is_not_to_be_done_again_is_skipped_or_asked_about(
    option: str, asks: str, begun_again: list[str], *, cancelled: bool
) -> None:
    steps = "steps:\n  - {id: a, run: x, on_interrupt: %s}\n  - {id: b, needs: [a], run: x}\n"
    old = graph("defaults: {workspace: none}\n" + steps % option, ends={"a:run": None})
    if cancelled:
        old.hand_back("cancel")
    new = GraphWorld(begun(old, of_checkpoint(saved(old), old.run.definition)))
    new.to_rest()
    assert (new.asked, new.begun()) == (asks, begun_again)
    if asks:
        assert "may have done something already" in new.why("a")
        new.hand_back("retry a")
        assert (new.outcome, new.begun()) == ("done", ["a", "b"])
