"""Words are given to who reads them, or refused with what to type."""

from __future__ import annotations

from typing import Any

import pytest
from states import edited, known, state
from world import World, bad, new_run, ok

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
