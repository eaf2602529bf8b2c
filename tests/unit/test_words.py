"""Words are given to who reads them, or refused with what to type."""

from __future__ import annotations

from typing import Any

import pytest
from states import edited, known, state
from world import World, bad, new_run, new_workflow, ok

from lib.model import Edit, Owner
from lib.statefile.document import render
from lib.statefile.edits import Bad, Edited, judge
from orchestrator.engine.words import refused, unread, wordless

CONFLICT = {
    "builder": "two",
    "branch": "b",
    "head": "h",
    "theirs": "c-two",
    "paths": [{"path": "a.py", "kind": "content"}],
}
QUICK = {"gates": {"design": "none"}}


def run(answers: dict[str, Any], **settings: Any) -> World:
    world = World(new_run(**{**QUICK, "attempts": 1, **settings}), answers=answers)
    world.settle()
    return world


@pytest.mark.parametrize(
    ("answers", "settings", "asked", "remedy"),
    [
        ({}, {"gates": {"design": "person"}}, "approve_design", 'relay reject "words"'),
        ({"verify": lambda job: ok() if job.spec.step else bad("exit_nonzero")}, {"verify": "t"}, "fix_failure",
         'relay retry one "words"'),
        ({"merge": bad("git_failed")}, {}, "fix_failure", 'relay retry one "words"'),
        ({"land": bad("checkout_dirty")}, {}, "clear_the_way", "relay approve"),
        ({}, {"land": "ask"}, "approve_landing", "relay approve"),
        ({"merge": ok(head="h", merged=["one"], conflict=CONFLICT)}, {"conflicts": "person"}, "resolve_conflict",
         "relay approve"),
        ({"build": bad("auth")}, {}, "fix_failure", 'relay retry one "words"'),
        ({"build": bad("exit_nonzero")}, {}, "fix_failure", None),
        ({"build": ok(text="STUCK: which?")}, {}, "answer_questions", None),
        ({"design": bad("exit_nonzero")}, {}, "fix_failure", None),
        ({"merge": ok(head="h", merged=["one"], conflict=CONFLICT), "brief_resolver": ok(ours=[]),
          "resolve": bad("exit_nonzero")}, {}, "resolve_conflict", None),
    ],
)  # fmt: skip
def test_an_answer_takes_words_only_where_somebody_reads_them(
    answers: dict[str, Any], settings: dict[str, Any], asked: str, remedy: str | None
) -> None:
    world = run(answers, **settings)
    assert (world.run.state.action_owner, world.run.state.action_needed) == (Owner.CI, asked)
    found = wordless(world.run)
    assert (found.get(""), found.get("retry")) == (remedy, remedy)
    assert "design" not in found


def test_while_code_has_the_run_only_a_builder_takes_words() -> None:
    world = run({"build": None})
    found = wordless(world.run)
    assert set(found) == {"", "retry", "skip ID", "design_build", "execution", "merge_build"}
    assert set(found.values()) == {'relay retry one "words"'}


def test_words_with_an_approval_of_the_design_are_refused_in_the_file_too() -> None:
    world = run({}, gates={"design": "person"})
    newest = state(feedback="words")
    verdict = judge(edited(render(newest), action_owner="code"), known(newest, wordless=refused(world.run)))
    assert isinstance(verdict, Bad)
    assert verdict.problem.code == "unread_words"
    assert 'relay reject "words"' in verdict.problem.message


@pytest.mark.parametrize("changes", [{"feedback": "words"}, {"action_owner": "code", "paused": True}])
def test_words_may_be_written_before_the_run_is_handed_back(changes: dict[str, Any]) -> None:
    verdict = judge(edited(render(state()), **changes), known(state(), wordless={"": "relay approve"}))
    assert isinstance(verdict, Edited)


@pytest.mark.parametrize(
    ("edit", "told"),
    [(Edit(feedback="words"), True), (Edit(feedback="words", action_needed="skip two"), True),
     (Edit(paused=True), False), (Edit(feedback=""), False),
     (Edit(feedback="words", action_needed="retry one"), False)],
)  # fmt: skip
def test_elsewhere_words_that_nobody_reads_are_told_of_and_hold_nothing(edit: Edit, *, told: bool) -> None:
    world = run({"build": None})
    assert refused(world.run) == {}
    said = 'nobody reads the feedback; type instead: relay retry one "words"' if told else ""
    assert unread(world.run, edit) == said


def test_words_that_wait_in_the_file_are_told_of_when_it_is_handed_back() -> None:
    world = run({}, land="ask")
    world.edit(feedback="ship it")
    assert unread(world.run, Edit(action_owner=Owner.CODE)) == "nobody reads the feedback; type instead: relay approve"
    assert unread(world.run, Edit(feedback="ship it now")) == ""


@pytest.mark.parametrize(
    ("decisions", "remedy"),
    [("approve, reject", 'relay approve "words"'), ("ship, hold", 'relay decide ship "words"')],
)
def test_a_gate_of_a_workflow_reads_words_with_any_of_its_decisions(decisions: str, remedy: str) -> None:
    gate = f'{{message: "Ship it?", decisions: [{decisions}]}}'
    world = World(new_workflow(f"name: small\nsteps: [{{id: ok, gate: {gate}}}]"))
    world.settle()
    assert world.run.state.action_needed == "answer_gate"
    assert wordless(world.run) == {"retry": remedy, "skip ID": remedy}


@pytest.mark.parametrize(
    ("edit", "decision", "words"),
    [
        ({"action_owner": Owner.CODE}, "approve", ""),
        ({"action_owner": Owner.CODE, "feedback": "fine"}, "approve", "fine"),
        ({"action_owner": Owner.CODE, "action_needed": "hold"}, "hold", ""),
    ],
)
def test_an_edit_of_state_json_answers_a_gate(edit: dict[str, Any], decision: str, words: str) -> None:
    gate = '{message: "Ship it?", decisions: [approve, hold, reject]}'
    world = World(new_workflow(f"name: small\nsteps: [{{id: ok, gate: {gate}}}]"))
    world.settle()
    world.edit(**edit)
    assert world.run.state.outcome == "done"
    assert world.run.steps["ok"].output == {"decision": decision, "words": words, "by": "person", "form": {}}


def test_an_edit_of_state_json_rejects_at_a_gate() -> None:
    world = World(new_workflow('name: small\nsteps: [{id: ok, gate: {message: "Ship it?"}}]'))
    world.settle()
    world.edit(action_owner=Owner.CODE, action_needed="reject", feedback="too early")
    step = world.run.steps["ok"]
    assert step.output["decision"] == "reject"
    assert step.error is not None
    assert "too early" in step.error.message
