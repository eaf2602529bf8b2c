"""Gates of workflows that nobody answers in time, through the real machine."""

from __future__ import annotations

from graphworld import GraphWorld, graph

from lib.events import StateEdited
from lib.model import Edit

ALONE = "defaults: {workspace: none}\n"


def timed(options: str, more: str = "") -> GraphWorld:
    return graph(f"""{ALONE}
steps:
  - {{id: a, run: x}}
  - {{id: ok, needs: [a], gate: {{message: "Ship it?", timeout_s: 60.0{options}}}}}
  - {{id: b, needs: [ok], run: "echo {{{{ steps.ok.output.decision }}}} {{{{ steps.ok.output.by }}}}"}}
{more}""")


def test_the_decision_for_that_is_taken_and_the_question_is_withdrawn() -> None:
    world = timed(", on_timeout: approve")
    assert world.asked == "answer_gate"
    world.later()
    assert (world.asked, world.outcome) == ("", "done")
    assert list(world.env("b")[0].values()) == ["approve", "timeout"]


def test_an_answer_in_time_counts() -> None:
    world = timed(", on_timeout: reject")
    world.hand_back()
    assert (world.outcome, world.output("ok")["by"]) == ("done", "person")


def test_a_rejection_by_timeout_sends_back_as_any() -> None:
    world = timed(", on_timeout: reject, on_reject: {back_to: a, max_rounds: 1}")
    world.later()
    assert (world.asked, world.begun()) == ("answer_gate", ["a", "a"])
    world.later()
    assert (world.asked, world.ends_of["ok"]) == ("fix_failure", "failed")


def test_without_a_decision_the_gate_fails() -> None:
    world = timed("")
    world.later()
    assert (world.asked, world.ends_of["ok"]) == ("fix_failure", "failed")
    assert "nobody answered within 60 s" in world.run.state.message


def test_another_gate_is_asked_once_the_first_has_timed_out() -> None:
    world = timed(", on_timeout: approve", '  - {id: other, gate: {message: "And this?"}}')
    asked = world.run.state.message
    world.later()
    assert world.asked == "answer_gate"
    assert world.run.state.message != asked or "And this?" in asked
    world.hand_back()
    assert world.outcome == "done"


def test_a_paused_run_does_not_time_out() -> None:
    world = timed(", on_timeout: approve")
    world.settle(StateEdited(edit=Edit(paused=True)))
    world.mono_s += 600
    world.settle()
    assert world.ends_of["ok"] == "running"
    world.settle(StateEdited(edit=Edit(paused=False)))
    assert world.outcome == "done"
