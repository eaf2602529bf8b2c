"""Questions of assistants reach a person, and the answer reaches the one that asked."""

from __future__ import annotations

import json

import pytest
from world import World, bad, new_run, ok

from lib.design.final_json import questions_of
from lib.events import JobEnded
from lib.jobs import Job, JobResult
from lib.model import Owner, RunOutcome

ASKS = '{"questions": ["which currency?", "which year?"]}'
PARTS = {"components": [{"id": name} for name in ("one", "two")]}


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        (f"I looked.\n```json\n{ASKS}\n```", ("which currency?", "which year?")),
        ('{"questions": "which currency?"}', ("which currency?",)),
        ("I looked.\n**STUCK: which currency? ask the owner**", ("which currency? ask the owner",)),
        ("STUCK:", ("it is stuck",)),
        ('The quiz has {"questions": ["1 + 1?"]} now. Done.', ()),
        ('{"title": "quiz", "questions": ["1 + 1?"]}', ()),
        ('{"questions": []}', ()),
        ("STUCK: no longer\nall done", ()),
        ("", ()),
        ("}", ()),
    ],
)
def test_questions_are_the_end_of_a_message_and_nothing_else(text: str, questions: tuple[str, ...]) -> None:
    assert questions_of(text) == questions


def turns(world: World, name: str, builder: str | None = None) -> list[Job]:
    return [job for job in world.started if job.spec.name == name and job.spec.step == builder]


def test_the_architects_questions_are_asked_and_answered_in_its_conversation() -> None:
    world = World(new_run(gates={"design": "none"}, assistant="codex"), design=PARTS)
    said = iter([ASKS, json.dumps(PARTS)])
    world.answers["design"] = lambda _: ok(text=next(said)).model_copy(update={"session": "s"})
    world.settle()
    state = world.run.state
    assert (state.action_owner, state.action_needed) == (Owner.CI, "answer_questions")
    assert "The architect asks: which currency? which year?" in state.message
    assert world.offers() == ['relay answer "words"', "relay approve"]
    world.edit(action_owner=Owner.CODE, feedback="the euro")
    again = turns(world, "design")[1].spec
    assert (again.session, again.prompt["goes_on"], again.prompt["feedback"]) == ("s", True, "the euro")
    assert again.prompt["questions"] == ["which currency?", "which year?"]
    assert world.run.state.outcome is RunOutcome.LANDED


def test_a_builders_question_is_asked_at_once_and_the_answer_is_for_it_alone() -> None:
    world = World(new_run(gates={"design": "none"}, assistant="codex", attempts=1), design=PARTS)
    answers: dict[str, list[JobResult]] = {
        "one": [ok(text=ASKS).model_copy(update={"session": "s"}), ok(text="done")],
        "two": [bad("exit_nonzero"), ok(text="done")],
    }
    world.answers["build"] = lambda job: answers[job.spec.step or ""].pop(0)
    world.settle()
    assert world.run.state.action_needed == "answer_questions"
    assert "one asks: which currency? which year?" in world.run.state.message
    world.edit(action_owner=Owner.CODE, feedback="the euro")
    _, again = turns(world, "build", "one")
    assert (again.spec.session, again.spec.prompt["goes_on"], again.spec.prompt["feedback"]) == ("s", True, "the euro")
    assert again.spec.prompt["questions"] == ["which currency?", "which year?"]
    assert len(turns(world, "build", "two")) == 1
    assert world.run.state.action_needed == "fix_failure"
    world.edit(action_owner=Owner.CODE)
    assert world.run.state.outcome is RunOutcome.LANDED


THREE = {"components": [{"id": "one"}, {"id": "two"}, {"id": "three"}, {"id": "after", "depends_on": ["one"]}]}


def asking(answers: dict[str, list[JobResult]], **settings: object) -> World:
    """Builds `THREE`; builders give their answers one after the other, and then are done."""
    world = World(new_run(gates={"design": "none"}, assistant="codex", **settings), design=THREE)

    def next_answer(job: Job) -> JobResult:
        left = answers.get(job.spec.step or "", [])
        return left.pop(0) if left else ok(text="done")

    world.answers["build"] = next_answer
    world.settle()
    return world


def test_while_one_asks_the_others_are_verified_and_tried_again_and_only_what_depends_on_it_waits() -> None:
    world = asking({"one": [ok(text=ASKS)], "two": [bad("exit_nonzero")]}, verify="true")
    assert world.run.state.action_needed == "answer_questions"
    assert world.statuses() == {"one": "failed", "two": "retrying", "three": "built", "after": "pending"}
    assert world.last is not None
    assert world.last.wake_at_mono_s == world.run.steps["two"].retry_at_mono_s
    world.mono_s += 10
    world.settle()
    state = world.run.state
    assert world.statuses() == {"one": "failed", "two": "built", "three": "built", "after": "pending"}
    assert (state.action_owner, state.action_needed, state.next_action) == (Owner.CI, "answer_questions", "execution")
    assert [event.message for event in world.events if event.kind == "asked"] == [state.message]
    world.edit(action_owner=Owner.CODE, feedback="the euro")
    assert world.run.state.outcome is RunOutcome.LANDED
    assert [job.spec.prompt["feedback"] for job in turns(world, "build", "one")] == ["", "the euro"]


def test_an_answer_is_for_the_question_that_was_put_and_the_next_one_follows_it() -> None:
    late = bad("exit_nonzero")
    world = asking({"one": [ok(text=ASKS)], "two": [late, ok(text="STUCK: which month?")]})
    world.mono_s += 10
    world.settle()
    assert "which month" not in world.run.state.message
    assert world.statuses()["two"] == "failed"
    world.edit(action_owner=Owner.CODE, feedback="the euro")
    assert "two asks: which month?" in world.run.state.message
    assert len(turns(world, "build", "two")) == 2
    world.edit(action_owner=Owner.CODE, feedback="May")
    assert turns(world, "build", "two")[-1].spec.prompt["feedback"].startswith("May\n")
    assert world.run.state.outcome is RunOutcome.LANDED


def test_a_question_stays_while_another_builder_is_skipped_or_tried_again() -> None:
    world = asking({"one": [ok(text=ASKS)], "two": [bad("exit_nonzero")]})
    world.edit(action_owner=Owner.CODE, action_needed="retry two", feedback="try harder")
    assert turns(world, "build", "two")[-1].spec.prompt["feedback"].startswith("try harder")
    world.edit(action_owner=Owner.CODE, action_needed="skip three")
    assert "one asks" in world.run.state.message
    assert len(turns(world, "build", "one")) == 1
    world.edit(action_owner=Owner.CODE, action_needed="skip one")
    assert world.run.state.outcome is RunOutcome.LANDED


@pytest.mark.parametrize("action", ["skip one", "retry one", "retry"])
def test_a_builder_that_fails_after_another_ones_question_is_settled_gets_no_round_of_it(action: str) -> None:
    world = World(new_run(gates={"design": "none"}, assistant="codex", attempts=1), design=PARTS)
    said = iter([ok(text=ASKS), ok(text="done")])
    world.answers["build"] = lambda job: None if job.spec.step == "two" else next(said)
    world.settle()
    world.edit(action_owner=Owner.CODE, action_needed=action, feedback="the euro")
    (turn,) = turns(world, "build", "two")
    world.settle(JobEnded(job=turn.id, result=bad("exit_nonzero")))
    assert len(turns(world, "build", "two")) == 1
    assert world.run.state.action_needed == "fix_failure"
    assert world.statuses() == {"one": "skipped" if "skip" in action else "built", "two": "failed"}


def test_nothing_goes_on_beside_a_question_while_the_run_is_paused() -> None:
    world = asking({"one": [ok(text=ASKS)], "two": [bad("exit_nonzero")]})
    world.edit(paused=True)
    world.mono_s += 10
    world.settle()
    assert world.statuses()["two"] == "retrying"
