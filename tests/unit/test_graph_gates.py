"""Gates of workflows through the real machine: what is asked, what an answer does, what a rejection sends back."""

from __future__ import annotations

from typing import Any

import pytest
from graphworld import fails, gives, graph, says

ALONE = "defaults: {workspace: none}\n"
ONE = (
    ALONE
    + """
steps:
  - {id: a, run: x}
  - {id: ok, needs: [a], gate: {message: "Ship {{ steps.a.output }}?"}}
  - {id: b, needs: [ok], run: "echo {{ steps.ok.output.decision }} {{ steps.ok.output.words else '-' }}"}
"""
)


def test_a_gate_asks_with_its_words_and_what_can_be_typed() -> None:
    world = graph(ONE)
    state = world.run.state
    assert (world.asked, state.next_action) == ("answer_gate", "execution")
    assert "ok asks: Ship output of a?" in state.message
    assert world.offers() == ["relay approve", 'relay reject "why"']
    assert world.ends_of == {"a": "done", "ok": "running", "b": "pending"}


@pytest.mark.parametrize("action", [None, "approve", "execution"])
def test_an_approval_goes_on_with_its_words(action: str | None) -> None:
    world = graph(ONE)
    world.hand_back(action, "looks good")
    assert world.outcome == "done"
    assert world.output("ok") == {"decision": "approve", "words": "looks good", "by": "person", "form": {}}
    env = world.env("b")[0]
    assert (env["RELAY_ARG_1"], env["RELAY_ARG_2"]) == ("approve", "looks good")
    assert world.run.state.feedback == ""


def test_a_rejection_without_a_way_back_fails_the_step() -> None:
    world = graph(ONE)
    world.hand_back("reject", "not yet")
    assert (world.asked, world.ends_of["ok"], world.begun()) == ("fix_failure", "failed", ["a"])
    assert "rejected: not yet" in world.run.state.message
    world.hand_back("retry ok")
    assert world.asked == "answer_gate"
    world.hand_back("approve")
    assert world.outcome == "done"


def test_steps_after_a_gate_that_others_go_on_after_see_the_rejection_as_a_failure() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: ok, on_failure: continue, gate: {message: "?"}}
  - {id: yes, needs: [ok], run: x}
  - {id: no, needs: [ok], trigger_rule: all_done, when: "steps.ok.status == 'failed'", run: x}
"""
    )
    world.hand_back("reject")
    assert (world.outcome, world.ends_of) == ("done", {"ok": "failed", "yes": "skipped", "no": "done"})


LOOPED = (
    ALONE
    + """
steps:
  - {id: before, run: x}
  - {id: make, needs: [before], prompt: "Make it"}
  - {id: check, needs: [make], run: x}
  - {id: beside, needs: [before], run: x}
  - id: ok
    needs: [check, beside]
    gate: {message: "{{ steps.check.output }}?", on_reject: {back_to: make, max_rounds: 2}}
  - {id: ship, needs: [ok], run: x}
"""
)


def test_a_rejection_runs_the_steps_between_again_with_its_words_at_first() -> None:
    world = graph(LOOPED)
    assert 'relay reject "why"' in world.offers()
    world.hand_back("reject", "too slow")
    assert (world.asked, world.outcome) == ("answer_gate", "")
    counted = {name: world.begun().count(name) for name in ("before", "make", "check", "beside", "ship")}
    assert counted == {"before": 1, "make": 2, "check": 2, "beside": 1, "ship": 0}
    assert "too slow" in world.prompts("make")[1]["feedback"]
    world.hand_back("approve")
    assert (world.outcome, world.begun()[-1]) == ("done", "ship")


def test_a_gate_that_was_rejected_too_often_fails() -> None:
    world = graph(LOOPED)
    for words in ("one", "two", "three"):
        assert world.asked == "answer_gate"
        world.hand_back("reject", words)
    assert (world.asked, world.ends_of["ok"]) == ("fix_failure", "failed")
    assert "three" in world.run.state.message
    assert [prompt["feedback"] for prompt in world.prompts("make")] == ["", "one", "two"]


def test_the_words_of_a_rejection_are_not_kept_for_the_next_round() -> None:
    world = graph(LOOPED)
    world.hand_back("reject", "one")
    world.hand_back("reject", "")
    assert "one" not in world.prompts("make")[2]["feedback"]


def test_a_rejection_waits_for_what_it_sends_back_and_is_at_work() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: make, run: x}
  - {id: slow, needs: [make], run: x}
  - {id: ok, needs: [make], gate: {message: "?", on_reject: {back_to: make}}}
""",
        ends={"slow:run": [None, gives("x")]},
    )
    assert world.asked == "answer_gate"
    world.hand_back("reject", "again")
    assert "did not come to rest" not in world.run.state.message
    assert (world.asked, world.begun()) == ("", ["make", "slow"])
    world.end("slow", gives("x"))
    assert (world.asked, world.begun()) == ("answer_gate", ["make", "slow", "make", "slow"])


def test_a_step_that_was_left_out_in_one_round_may_run_in_the_next() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: make, run: x}
  - {id: some, needs: [make], when: steps.make.output, run: x}
  - {id: ok, needs: [some], trigger_rule: all_done, gate: {message: "?", on_reject: {back_to: make}}}
  - {id: after, needs: [some, ok], run: x}
""",
        ends={"make:run": [gives(False), gives(True)]},
    )
    assert world.ends_of["some"] == "skipped"
    world.hand_back("reject")
    assert world.ends_of["some"] == "done"
    world.hand_back("approve")
    assert world.begun() == ["make", "make", "some", "after"]


def test_a_step_that_ran_in_one_round_may_be_left_out_in_the_next() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: make, run: x}
  - id: some
    needs: [make]
    when: steps.make.output
    group:
      - {id: in, run: x}
  - {id: ok, needs: [some], trigger_rule: all_done, gate: {message: "?", on_reject: {back_to: make}}}
""",
        ends={"make:run": [gives(True), gives(False)]},
    )
    world.hand_back("reject")
    world.hand_back("approve")
    assert world.outcome == "done"
    assert world.ends_of == {"make": "done", "some": "skipped", "some.in": "skipped", "ok": "done"}


FANNED = (
    ALONE
    + """
steps:
  - {id: find, run: x}
  - id: each
    needs: [find]
    foreach: {in: "{{ steps.find.output }}", as: file, key: "{{ file.id }}"}
    run: "x {{ file.text }}"
  - {id: ok, needs: [each], gate: {message: "?", on_reject: {back_to: find}}}
"""
)


def items(**texts: str) -> Any:
    return gives([{"id": name, "text": text} for name, text in texts.items()])


def test_the_instances_of_another_round_have_its_items() -> None:
    world = graph(FANNED, ends={"find:run": [items(a="old", b="old"), items(a="new", c="new")]})
    world.hand_back("reject")
    assert world.output("each") == ["output of each:a", "output of each:c"]
    told = [env["RELAY_ARG_1"] for env in world.env("each:a")]
    assert told == ["old", "new"]
    assert world.ends_of["each:b"] == "skipped"


def test_an_item_that_comes_back_after_a_round_without_it_is_done_again() -> None:
    world = graph(FANNED, ends={"find:run": [items(a="1", b="1"), items(a="2"), items(a="3", b="3")]})
    world.hand_back("reject")
    world.hand_back("reject")
    assert len(world.work("each:b")) == 2
    assert world.output("each") == ["output of each:a", "output of each:b"]


def test_a_gate_in_a_group_sends_back_a_step_before_the_group() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: make, run: x}
  - id: g
    needs: [make]
    group:
      - {id: look, run: x}
      - {id: ok, needs: [look], gate: {message: "?", on_reject: {back_to: make, max_rounds: 1}}}
  - {id: after, needs: [g], run: x}
"""
    )
    world.hand_back("reject")
    assert world.begun() == ["make", "g.look", "make", "g.look"]
    assert world.asked == "answer_gate"
    world.hand_back("approve")
    assert (world.outcome, world.begun()[-1]) == ("done", "after")


def test_a_step_that_is_sent_back_and_fails_is_asked_about() -> None:
    world = graph(LOOPED, ends={"check:run": [gives("x"), fails()]})
    world.hand_back("reject", "no")
    assert (world.asked, world.ends_of["check"], world.ends_of["ok"]) == ("fix_failure", "failed", "pending")


def test_without_an_assistant_after_a_rejection_ci_is_asked() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: make, prompt: x}
  - {id: g, needs: [make], group: [{id: in, run: x}]}
  - {id: ok, needs: [g], gate: {message: "?", on_reject: {back_to: make}}}
"""
    )
    world.ends["turn"] = [fails().model_copy(update={"code": "auth"})]
    world.hand_back("reject")
    assert world.asked == "fix_failure"


def test_other_decisions_are_taken_as_they_are() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: which, gate: {message: "Which?", decisions: [left, right, approve]}}
  - {id: l, needs: [which], when: "steps.which.output.decision == 'left'", run: x}
  - {id: r, needs: [which], when: "steps.which.output.decision == 'right'", run: x}
"""
    )
    assert set(world.offers()) == {"relay approve", "relay decide left", "relay decide right"}
    world.hand_back("right")
    assert (world.outcome, world.begun()) == ("done", ["r"])


@pytest.mark.parametrize("decision", ["retry", "skip", "cancel", "design"])
def test_a_decision_that_state_json_could_not_tell_from_an_action_is_refused(decision: str) -> None:
    world = graph(f"{ALONE}steps:\n  - {{id: which, gate: {{message: x, decisions: [approve, {decision}]}}}}\n")
    assert "an action of Relay's own" in world.run.state.message


TWO = (
    ALONE
    + """
steps:
  - {id: one, gate: {message: "One?"}}
  - {id: two, gate: {message: "Two?"}}
  - {id: a, needs: [one], run: x}
  - {id: b, needs: [two], run: x}
"""
)


def test_two_gates_at_once_are_asked_one_after_the_other() -> None:
    world = graph(TWO)
    assert "one asks: One?" in world.run.state.message
    world.hand_back("approve", "first")
    assert "two asks: Two?" in world.run.state.message
    assert (world.asked, world.begun()) == ("answer_gate", ["a"])
    world.hand_back("approve", "second")
    assert world.outcome == "done"
    assert [world.output(name)["words"] for name in ("one", "two")] == ["first", "second"]


def test_others_go_on_while_a_gate_asks() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: ok, gate: {message: "?"}}
  - {id: slow, run: x}
  - {id: after, needs: [slow], run: x}
""",
        ends={"slow:run": None},
    )
    assert world.asked == "answer_gate"
    world.end("slow", gives("x"))
    assert (world.asked, world.ends_of["after"]) == ("answer_gate", "done")


def test_a_failure_beside_a_gate_is_asked_about_after_it() -> None:
    world = graph(ALONE + "steps:\n  - {id: ok, gate: {message: '?'}}\n  - {id: a, run: x}\n", ends={"a:run": fails()})
    assert world.asked == "answer_gate"
    world.hand_back("approve")
    assert (world.asked, "a: run" in world.run.state.message) == ("fix_failure", True)


def test_a_step_can_be_retried_while_a_gate_asks() -> None:
    world = graph(ALONE + "steps:\n  - {id: ok, gate: {message: '?'}}\n  - {id: a, run: x}\n",
                  ends={"a:run": [fails(), gives("x")]})  # fmt: skip
    world.hand_back("retry a")
    assert (world.asked, world.ends_of) == ("answer_gate", {"ok": "running", "a": "done"})
    world.hand_back("approve")
    assert world.outcome == "done"


def test_a_gate_can_be_skipped() -> None:
    world = graph(ONE)
    world.hand_back("skip ok")
    assert (world.ends_of["ok"], world.work("b") == []) == ("skipped", True)
    assert "steps.ok.output" in world.run.state.message


def test_without_gates_an_approval_is_given() -> None:
    assert graph(ONE, gates={"design": "none"}).output("ok") == {
        "decision": "approve", "words": "", "by": "--yes", "form": {}
    }  # fmt: skip
    which = f"{ALONE}steps:\n  - {{id: which, gate: {{message: x, decisions: [left, right]}}}}\n"
    assert graph(which, gates={"design": "none"}).asked == "answer_gate"


def test_a_gate_whose_question_has_no_value_fails() -> None:
    world = graph(
        ALONE + "steps:\n  - {id: a, run: x}\n  - {id: ok, needs: [a], gate: {message: '{{ steps.a.output.x }}'}}\n"
    )
    assert (world.asked, world.ends_of["ok"]) == ("fix_failure", "failed")


def test_gates_in_a_fan_out_give_a_list_of_answers() -> None:
    world = graph(ALONE + "steps:\n  - {id: ok, foreach: {in: [a, b]}, gate: {message: 'Take {{ item }}?'}}\n")
    for words in ("one", "two"):
        world.hand_back("approve", words)
    assert world.outcome == "done"
    assert [answer["words"] for answer in world.output("ok")] == ["one", "two"]


def test_a_question_that_looks_like_the_answer_to_a_form_is_plain_text() -> None:
    text = "steps:\n  - {id: a, prompt: x}\n  - {id: ok, needs: [a], gate: {message: '{{ steps.a.output }}'}}\n"
    world = graph(ALONE + text, ends={"turn": says("x" * 5000)})
    world.hand_back("approve", '{"decision": "reject"}')
    assert world.output("ok")["words"] == '{"decision": "reject"}'


def test_an_open_gate_is_asked_no_more_once_the_run_ends() -> None:
    text = f"""{ALONE}
steps:
  - {{id: ok, gate: {{message: "Ship it?"}}}}
  - {{id: slow, run: x}}
  - {{id: stop, needs: [slow], end: {{status: failed, reason: too late}}}}
"""
    world = graph(text, ends={"slow:run": None}, parallel=9)
    assert world.asked == "answer_gate"
    world.end("slow", gives(1))
    assert (world.asked, world.outcome, world.ends_of["ok"]) == ("", "failed", "skipped")
