"""Interruptions of steps of workflows through the real machine: kills, questions, limits of assistants."""

from __future__ import annotations

from datetime import timedelta

import pytest
from graphworld import GraphWorld, fails, gives, graph, new_run, says
from world import START, bad

from lib.events import Event

ALONE = "defaults: {workspace: none}\n"
LINE = (
    ALONE
    + """
steps:
  - {id: a, run: x%s}
  - {id: b, needs: [a], run: x}
  - {id: c, run: x}
"""
)


def test_a_step_that_was_lost_runs_again_and_no_attempt_is_counted() -> None:
    world = graph(LINE % "", ends={"a:run": [bad("lost"), gives("x")]})
    assert (world.outcome, len(world.work("a")), world.run.steps["a"].attempt) == ("done", 2, 1)


def test_a_step_that_is_lost_over_and_over_fails() -> None:
    world = graph(LINE % "", ends={"a:run": bad("lost")})
    assert (world.asked, world.ends_of["a"]) == ("fix_failure", "failed")


@pytest.mark.parametrize("code", ["lost", "rebooted", "stopped"])
def test_on_interrupt_asks_or_skips_or_runs_again(code: str) -> None:
    for option, status in (("ask", "failed"), ("skip", "skipped"), ("rerun", "done")):
        world = graph(LINE % f", on_interrupt: {option}", ends={"a:run": [bad(code), gives("x")]})
        assert world.ends_of["a"] == status
        assert world.asked == ("fix_failure" if option == "ask" else "")
        assert len(world.work("a")) == (2 if option == "rerun" else 1)
    world = graph(LINE % ", on_interrupt: ask", ends={"a:run": [bad(code), gives("x")]})
    world.hand_back("retry a")
    assert world.outcome == "done"


@pytest.mark.parametrize("option", ["optional: true", "on_failure: continue"])
def test_what_is_to_ask_after_an_interruption_asks_whatever_its_failure_means(option: str) -> None:
    assert graph(LINE % f", on_interrupt: ask, {option}", ends={"a:run": bad("lost")}).asked == "fix_failure"


def test_a_retry_of_a_step_at_work_waits_for_the_end_of_what_runs() -> None:
    world = graph(LINE % "", ends={"a:run": None, "c:run": gives("x")})
    world.hand_back("retry a")
    assert world.at_work() == ["a"]
    assert len(world.stopped) == 1
    world.ends["a:run"] = gives("x")
    world.end("a", bad("retry"))
    assert (world.outcome, len(world.work("a"))) == ("done", 2)


def test_no_writer_begins_before_the_one_that_was_skipped_has_ended() -> None:
    world = graph("steps:\n  - {id: a, run: x}\n  - {id: b, run: x}\n", ends={"a:run": None}, parallel=5)
    world.hand_back("skip a")
    assert world.at_work() == ["a"]
    world.end("a", bad("skipped"))
    assert "b" in world.begun()


def test_no_writer_begins_in_what_a_failed_attempt_has_left() -> None:
    text = "steps:\n  - {id: a, run: x, retry: {max_attempts: 2, delay_s: 60}}\n  - {id: b, run: x}\n"
    world = GraphWorld(new_run(text, parallel=5), ends={"a:run": [fails(), None]})
    world.settle()
    assert world.ends_of["a"] == "retrying"
    assert "b" not in world.begun()


def test_no_writer_begins_before_the_work_of_another_is_collected_at_last() -> None:
    world = graph("steps:\n  - {id: a, run: x}\n  - {id: b, run: x}\n", parallel=5,
                  ends={"a:collect": [bad("git", printed=False), None]})  # fmt: skip
    assert world.begun() == ["a"]
    assert len(world.work("a", "collect")) == 2


# --- questions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["", ", optional: true", ", on_failure: continue", ", retry: {max_attempts: 2}"])
def test_a_prompt_may_ask_and_goes_on_with_the_answer(option: str) -> None:
    world = graph(f"{ALONE}steps:\n  - {{id: a, prompt: x{option}}}\n  - {{id: b, needs: [a], run: x}}\n",
                  ends={"turn": [says({"questions": ["Which port?"]}), says("done")]})  # fmt: skip
    assert world.asked == "answer_questions"
    assert "a asks: Which port?" in world.run.state.message
    assert 'relay answer "words"' in world.offers()
    world.hand_back(None, "8080")
    assert (world.outcome, world.begun()) == ("done", ["a", "a", "b"])
    second = world.prompts("a")[1]
    assert ("8080" in second["feedback"], list(second["questions"])) == (True, ["Which port?"])


def test_others_go_on_while_a_prompt_asks() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: a, prompt: x}
  - {id: slow, run: x}
""",
        ends={"a:turn": [says({"questions": ["Why?"]}), says("done")], "slow:run": None},
    )
    assert world.asked == "answer_questions"
    world.end("slow", gives("x"))
    assert (world.asked, world.ends_of["slow"]) == ("answer_questions", "done")


def test_two_prompts_that_ask_are_answered_together() -> None:
    asking = {f"{name}:turn": [says({"questions": [f"{name}?"]}), says("done")] for name in "ab"}
    world = graph(f"{ALONE}steps:\n  - {{id: a, prompt: x}}\n  - {{id: b, prompt: x}}\n", ends=asking)
    while world.asked:
        assert world.asked == "answer_questions"
        world.hand_back(None, "yes")
    assert world.outcome == "done"


# --- assistants ----------------------------------------------------------------------------------------------


def test_a_limit_holds_the_step_and_it_goes_on_when_that_is_lifted() -> None:
    world = graph(
        LINE.replace("run: x%s", "prompt: x"), ends={"a:turn": [bad("rate_limit", retry_after_s=100.0), says("x")]}
    )
    assert world.outcome == "done"
    begun = [job.started_mono_s for job in world.work("a")]
    assert begun[1] - begun[0] >= 100
    assert world.run.steps["a"].attempt == 1


def test_a_limit_at_a_time_that_is_told_holds_until_then() -> None:
    at = START + timedelta(seconds=1000 + 300)
    world = graph(LINE.replace("run: x%s", "prompt: x"), ends={"a:turn": [bad("rate_limit", retry_at=at), says("x")]})
    assert (world.outcome, world.work("a")[1].started_mono_s) == ("done", 1300.0)


def test_the_next_of_a_chain_takes_over() -> None:
    world = graph(f"{ALONE}steps:\n  - {{id: a, assistant: [one, two], prompt: x}}\n",
                  ends={"turn": [bad("rate_limit", retry_after_s=100.0), says("x")]})  # fmt: skip
    assert [job.assistant for job in world.work("a")] == ["one", "two"]


def test_a_run_does_not_end_before_a_step_whose_assistant_is_held() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: a, assistant: [one, two], prompt: x}
  - {id: b, needs: [a], assistant: [one], prompt: x}
""",
        ends={"a:turn": [bad("rate_limit", retry_after_s=100.0), says("x")]},
    )
    assert (world.outcome, world.ends_of) == ("done", {"a": "done", "b": "done"}), world.run.state.message


@pytest.mark.parametrize("code", ["auth", "not_available", "credits"])
def test_without_any_assistant_ci_is_asked_and_a_retry_tries_it_again(code: str) -> None:
    world = graph(LINE.replace("run: x%s", "prompt: x"), ends={"a:turn": [bad(code), says("x")]})
    assert world.asked == "fix_failure"
    world.hand_back()
    assert (world.outcome, len(world.work("a"))) == ("done", 2)


def test_without_any_assistant_others_go_on_first() -> None:
    world = graph(LINE.replace("run: x%s", "prompt: x"), ends={"a:turn": bad("auth"), "c:run": None})
    assert world.asked == ""
    world.end("c", gives("x"))
    assert world.asked == "fix_failure"


def test_an_assistant_that_is_named_by_a_value_that_is_not_there_raises_nothing() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: a, run: x}
  - {id: b, run: x}
  - {id: c, needs: [b], assistant: "{{ steps.b.output.missing }}", prompt: x}
""",
        ends={"a:run": fails(), "b:run": gives({})},
    )
    assert "the handler" not in world.run.state.message
    world.hand_back("skip a")
    assert (world.asked, world.ends_of["c"]) == ("fix_failure", "failed")


def test_a_run_can_be_cancelled_with_steps_of_each_kind() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: a, run: x}
  - {id: each, foreach: {in: [a, b]}, prompt: x}
  - {id: g, group: [{id: in, run: x}]}
  - {id: ok, gate: {message: "?"}}
  - {id: later, needs: [ok], run: x}
""",
        ends={"run": None, "turn": None},
        parallel=9,
    )
    world.hand_back("cancel")
    for step in list(world.at_work()):
        world.end(step, bad("cancelled"))
    assert world.outcome == "cancelled"
    assert set(world.ends_of.values()) == {"cancelled"}


@pytest.mark.parametrize("sandbox", ["off", "require"])
@pytest.mark.parametrize("access", ["read", "write"])
def test_a_step_whose_assistant_is_held_does_nothing_until_that_is_lifted(sandbox: str, access: str) -> None:
    world = GraphWorld(new_run(f"steps:\n  - {{id: a, access: {access}, prompt: x}}\n", sandbox=sandbox))
    world.ends["a:turn"] = [bad("rate_limit", retry_after_s=100.0), says("x")]
    facts: list[Event] = []
    for _ in range(40):
        facts = [event for job in world.tick(*facts).start for event in world.answer(job)]
    assert len(world.started) < 10, world.names()
    world.to_rest(*facts)
    assert world.ends_of["a"] == "done"
