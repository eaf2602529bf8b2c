"""Words are given to who reads them, or refused with what to type."""

from __future__ import annotations

from typing import Any

import pytest
from states import edited, known, state
from world import World, bad, new_run, ok

from lib.handback import Bad, Edited, judge
from lib.model import Owner
from lib.statefile import render
from orchestrator.words import wordless

CONFLICT = {"builder": "two", "paths": [{"path": "a.py", "kind": "content"}]}
QUICK = {"gates": {"design": "none"}}


def run(answers: dict[str, Any], **settings: Any) -> World:
    world = World(new_run(**{**QUICK, "attempts": 1, **settings}), answers=answers)
    world.settle()
    return world


@pytest.mark.parametrize(
    ("answers", "settings", "asked", "remedy"),
    [
        ({}, {"gates": {"design": "person"}}, "approve_design", 'relay reject "words"'),
        ({"verify": lambda job: ok() if job.spec.builder else bad("exit_nonzero")}, {"verify": "t"}, "fix_failure",
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


@pytest.mark.parametrize(
    "changes",
    [{"feedback": "words"}, {"feedback": "words", "action_needed": "retry"}, {"feedback": "words", "paused": True},
     {"feedback": "words", "action_needed": "skip web"}],
)  # fmt: skip
def test_words_in_the_file_that_nobody_would_read_are_refused_with_what_to_type(changes: dict[str, Any]) -> None:
    newest = state(action_owner=Owner.CODE, action_needed="execution", next_action="none", phase="execution")
    remedies = dict.fromkeys(("", "retry", "skip ID"), 'relay retry web "words"')
    verdict = judge(edited(render(newest), **changes), known(newest, wordless=remedies))
    assert isinstance(verdict, Bad)
    assert verdict.problem.code == "unread_words"
    assert 'relay retry web "words"' in verdict.problem.message


@pytest.mark.parametrize("changes", [{"feedback": "words"}, {"action_owner": "code", "paused": True}])
def test_words_may_be_written_before_the_run_is_handed_back(changes: dict[str, Any]) -> None:
    verdict = judge(edited(render(state()), **changes), known(state(), wordless={"": "relay approve"}))
    assert isinstance(verdict, Edited)


def test_words_that_were_written_before_are_refused_at_the_hand_back() -> None:
    newest = state(feedback="words")
    verdict = judge(edited(render(newest), action_owner="code"), known(newest, wordless={"": "relay approve"}))
    assert isinstance(verdict, Bad)
