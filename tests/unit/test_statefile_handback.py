"""Verdicts on the state file as somebody else left it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from states import edited, known, state

from lib.model import Edit, Owner, RunOutcome
from lib.statefile.document import render
from lib.statefile.edits import Bad, Behind, Edited, Same, Settling, judge

WAITING = state()
STEPS = ("_shared", "look", "look:a", "review.report")
AT_WORK = state(action_owner=Owner.CODE, action_needed="execution", next_action="none", phase="execution")


def refused(raw: bytes, *args: Any, **kwargs: Any) -> str:
    verdict = judge(raw, known(*args, **kwargs))
    assert isinstance(verdict, Bad), verdict
    assert verdict.problem.remedy
    return f"{verdict.problem.code}: {verdict.problem.message}"


def taken(raw: bytes, *args: Any, **kwargs: Any) -> tuple[dict[str, Any], bool]:
    verdict = judge(raw, known(*args, **kwargs))
    assert isinstance(verdict, Edited), verdict
    return verdict.edit.changes(), verdict.rebased


def test_our_own_bytes_are_no_edit() -> None:
    assert judge(render(WAITING), known(WAITING)) == Same()


def test_another_layout_is_no_edit() -> None:
    assert judge(json.dumps(json.loads(render(WAITING))).encode(), known(WAITING)) == Same()
    assert judge(edited(render(WAITING), **{"$schema": "/elsewhere/state.schema.json"}), known(WAITING)) == Same()


def test_a_feedback_too_long_to_show_is_no_edit_of_it() -> None:
    long = state(feedback="漢" * 20_000)
    assert judge(json.dumps(json.loads(render(long))).encode(), known(long)) == Same()
    older = long.model_copy(update={"rev": 6})
    raw = edited(render(older), paused=True)
    assert taken(raw, long, [older]) == ({"paused": True}, True)


@pytest.mark.parametrize(
    ("newest", "changes"),
    [
        (WAITING, {"action_owner": "code"}),
        (WAITING, {"action_owner": "code", "action_needed": "design_build"}),
        (WAITING, {"action_owner": "code", "action_needed": "design", "feedback": "split the API"}),
        (WAITING, {"action_owner": "code", "action_needed": "retry"}),
        (WAITING, {"action_owner": "code", "action_needed": "skip api web"}),
        (WAITING, {"feedback": "words"}),
        (WAITING, {"paused": True}),
        (AT_WORK, {"paused": True}),
        (AT_WORK, {"action_needed": "retry web", "feedback": "try harder"}),
        (AT_WORK, {"action_needed": "cancel"}),
        (AT_WORK, {"action_needed": "design"}),
    ],
)
def test_a_hand_back_is_taken_up_with_what_was_changed_alone(newest: Any, changes: dict[str, Any]) -> None:
    assert taken(edited(render(newest), **changes), newest) == (changes, False)


@pytest.mark.parametrize(
    ("newest", "changes", "words"),
    [
        (WAITING, {"action_owner": "code", "action_needed": "desing"}, "unknown_action: .*did you mean design\\?"),
        (WAITING, {"action_owner": "code", "action_needed": "dance"}, "unknown_action: .*cancel, design, design_build"),
        (WAITING, {"action_owner": "code", "action_needed": "skip"}, "unknown_action: .*needs the id"),
        (WAITING, {"action_owner": "code", "action_needed": "cancel api"}, "unknown_action: .*nothing can follow"),
        (WAITING, {"action_owner": "code", "action_needed": "retry ap"}, "unknown_builder: .*did you mean api\\?"),
        (WAITING, {"action_needed": "design"}, 'not_handed_back: .*action_owner is still "ci"'),
        (AT_WORK, {"action_owner": "ci"}, "not_yours: .*set paused to true"),
        (WAITING, {"phase": "storage"}, "not_editable: .*phase can't be edited; only action_owner"),
        (WAITING, {"action_owner": "code", "message": ""}, "not_editable: .*message can't"),
        (WAITING, {"requirement": "more", "builders": []}, "not_editable: .*requirement, builders can't"),
        (WAITING, {"rev": 8}, "rev_from_future: .*line 4, .*rev 8"),
        (WAITING, {"run": "r0"}, "stale_edit: .*another run"),
        (WAITING, {"rev": 3, "action_owner": "code"}, r"stale_edit: .*the run moved on while you edited \(rev 3 → 7\)"),
        (state(outcome=RunOutcome.LANDED), {"paused": True}, "run_over: .*landed"),
        (WAITING, {"paused": "yes"}, "state_invalid: .*true or false"),
    ],
)
def test_anything_else_is_refused_in_words(newest: Any, changes: dict[str, Any], words: str) -> None:
    assert re.match(words, refused(edited(render(newest), **changes), newest), re.DOTALL)


def test_an_edit_of_an_older_revision_still_counts_while_the_run_stands_where_it_stood() -> None:
    old = state(rev=5)
    between = state(rev=6)
    raw = edited(render(old), action_owner="code", feedback="fine")
    assert taken(raw, WAITING, [old, between]) == ({"action_owner": "code", "feedback": "fine"}, True)


def test_what_the_author_of_an_older_edit_left_alone_is_not_changed_back() -> None:
    old = state(rev=6)
    newest = state(paused=True, feedback="from somebody else")
    assert taken(edited(render(old), action_owner="code"), newest, [old]) == ({"action_owner": "code"}, True)


@pytest.mark.parametrize(
    "moved", [{"phase": "execution"}, {"action_owner": Owner.CODE}, {"action_needed": "resolve_conflict"}]
)
def test_an_edit_of_an_older_revision_is_told_once_the_run_has_moved_on(moved: dict[str, Any]) -> None:
    old = state(rev=6)
    raw = edited(render(old), feedback="fine")
    assert refused(raw, state(**moved), [old]).startswith("stale_edit: ")


def test_the_same_question_asked_again_is_another_question() -> None:
    old = state(rev=5)
    between = state(rev=6, action_owner=Owner.CODE, action_needed="design")
    assert refused(edited(render(old), action_owner="code"), WAITING, [old, between]).startswith("stale_edit: ")


def test_an_answer_to_a_question_that_was_answered_is_none_to_the_next_one() -> None:
    old = state(rev=6, action_needed="answer_questions", message="one asks: which currency?")
    newest = state(action_needed="answer_questions", message="two asks: which year?")
    raw = edited(render(old), action_owner="code", feedback="the euro")
    assert refused(raw, newest, [old]).startswith("stale_edit: ")


@pytest.mark.parametrize("changes", [{"requirement": "something else"}, {"phase": "storage"}])
def test_an_older_revision_that_was_edited_where_it_may_not_be_is_refused(changes: dict[str, Any]) -> None:
    old = state(rev=6)
    raw = edited(render(old), action_owner="code", **changes)
    assert refused(raw, WAITING, [old]).startswith("not_editable: ")


def test_the_file_that_was_to_be_replaced_is_behind() -> None:
    old = state(rev=6, phase="init")
    assert judge(render(old), known(WAITING, [old], published=False)) == Behind(6)


@pytest.mark.parametrize("raw", [render(state(rev=6)), json.dumps(json.loads(render(state(rev=6)))).encode()])
def test_an_old_copy_that_is_put_back_is_told(raw: bytes) -> None:
    said = refused(raw, WAITING, [state(rev=6)])
    assert said.startswith("stale_edit: ")


def test_the_remedy_of_a_stale_edit_gets_the_newest() -> None:
    verdict = judge(render(state(rev=6)), known(WAITING, [state(rev=6)]))
    assert isinstance(verdict, Bad)
    assert verdict.problem.remedy == "relay resume --discard-edit"


def test_messages_name_the_file_of_the_instance() -> None:
    told = replace(known(WAITING), name=".project/instances/two/state.json")
    verdict = judge(b"{", told)
    assert isinstance(verdict, Bad)
    assert verdict.problem.message.startswith(".project/instances/two/state.json, line 1")


@settings(max_examples=200, deadline=None)
@given(
    changes=st.fixed_dictionaries(
        {},
        optional={
            "action_owner": st.sampled_from(["code", "ci"]),
            "action_needed": st.sampled_from(
                ["design", "retry api", "skip nobody", "approve_design", "dance", "cancel"]
            ),
            "feedback": st.text(max_size=20),
            "paused": st.booleans(),
            "phase": st.sampled_from(["design", "init"]),
            "rev": st.integers(0, 9),
        },
    )
)
def test_an_edit_never_holds_more_than_was_changed_and_may_be(changes: dict[str, Any]) -> None:
    older = [state(rev=rev) for rev in range(4, 7)]
    raw = edited(render(WAITING), **changes)
    verdict = judge(raw, known(WAITING, older))
    if isinstance(verdict, Edited):
        edit = verdict.edit.changes()
        assert edit == {key: value for key, value in changes.items() if key in edit}
        assert edit
        assert set(changes) - set(edit) <= {"rev", "phase", *Edit.model_fields}
        assert changes.get("phase", "design") == "design"
    elif isinstance(verdict, Same):
        before = json.loads(render(WAITING))
        assert all(before[key] == value for key, value in changes.items())
    else:
        assert isinstance(verdict, Bad)


def test_a_bad_file_is_told_once_it_has_not_changed_for_a_second() -> None:
    settling = Settling()
    assert settling.bad(b"{", 10.0) == 11.0
    assert settling.bad(b"{", 10.9) == 11.0
    assert settling.bad(b'{"a', 10.9) == 11.9
    assert settling.bad(b'{"a', 11.8) == 11.9
    assert settling.bad(b'{"a', 11.9) is None
    assert settling.bad(b'{"a', 99.0) is None
    assert settling.bad(None, 99.0) == 100.0


def test_a_good_file_in_between_starts_it_anew() -> None:
    settling = Settling()
    settling.bad(b"{", 10.0)
    settling.good()
    assert settling.bad(b"{", 20.0) == 21.0


@pytest.mark.parametrize("action", ["retry look:a", "skip review.report look:a", "reject"])
def test_steps_of_a_workflow_and_decisions_of_its_gate_can_be_named(action: str) -> None:
    newest = state(workflow="small", action_needed="answer_gate", phase="execution")
    at_gate = replace(known(newest), steps=STEPS, actions=("retry", "skip", "approve", "reject"))
    verdict = judge(edited(render(newest), action_owner="code", action_needed=action), at_gate)
    assert isinstance(verdict, Edited)


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("retry look:b", "unknown_step: .*there is no step look:b; did you mean look:a"),
        ("retry shared", "unknown_step: .*there is no step shared$"),
        ("skip", "unknown_action: .*skip needs the id of a step: skip ID"),
        ("rejct", "unknown_action: .*there is no action rejct now; did you mean reject?"),
    ],
)
def test_an_unknown_step_is_told_with_the_one_that_is_meant_and_never_the_shared_worktree(
    action: str, told: str
) -> None:
    newest = state(workflow="small", action_needed="answer_gate", phase="execution")
    at_gate = replace(known(newest), steps=STEPS, actions=("retry", "skip", "approve", "reject"))
    verdict = judge(edited(render(newest), action_owner="code", action_needed=action), at_gate)
    assert isinstance(verdict, Bad)
    assert re.search(told, f"{verdict.problem.code}: {verdict.problem.message}")
