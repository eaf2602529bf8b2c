"""Loops of workflows through the real machine: their ends, what a turn sees of the one before, and failures."""

from __future__ import annotations

import pytest
from graphworld import fails, gives, graph, says
from world import bad, ok

ALONE = "defaults: {workspace: none}\n"
COUNT = (
    ALONE
    + """
steps:
  - {id: count, run: "next {{ loop.index }} {{ loop.previous else 'none' }}",
     loop: {until: steps.count.output.n >= 3, max_iterations: 5}}
  - {id: after, needs: [count], run: "echo {{ steps.count.output.n }}"}
"""
)
GREEN = """
steps:
  - id: green
    loop: {until_run: pytest -q, max_iterations: 3}
    group:
      - {id: work, prompt: "Last time: {{ loop.check else 'not run yet' }}"}
      - {id: tidy, needs: [work], run: ruff check}
  - {id: after, needs: [green], run: "echo {{ steps.green.output.tidy }}"}
"""


def counts(*numbers: int) -> dict[str, object]:
    return {f"count:{turn}:run": gives({"n": n}) for turn, n in enumerate(numbers, 1)}


def test_it_ends_after_the_turn_in_which_the_expression_is_true() -> None:
    world = graph(COUNT, ends=counts(1, 2, 3))
    assert (world.outcome, world.output("count")) == ("done", {"n": 3})
    assert [name for name in world.own if name.startswith("count:")] == ["count:1", "count:2", "count:3"]
    assert [world.env(f"count:{turn}")[0] for turn in (1, 2)] == [
        {"RELAY_ARG_1": "1", "RELAY_ARG_2": "none"}, {"RELAY_ARG_1": "2", "RELAY_ARG_2": '{"n": 1}'}
    ]  # fmt: skip
    assert world.env("after")[0]["RELAY_ARG_1"] == "3"


def test_turns_that_do_not_end_it_fail_the_step() -> None:
    world = graph(COUNT, ends={f"count:{turn}:run": gives({"n": 0}) for turn in range(1, 7)})
    assert (world.asked, world.ends_of["count"]) == ("fix_failure", "failed")
    assert "5 turns did not end it" in world.why("count")


def test_a_command_ends_it_and_the_next_turn_sees_what_it_printed() -> None:
    world = graph(GREEN, ends={"green:check": [fails(tail="1 failed"), ok()], "tidy:run": gives("clean")})
    assert world.outcome in {"done", "landed", ""}
    assert [prompt["task"] for name in ("green:1.work", "green:2.work") for prompt in world.prompts(name)] == [
        "Last time: not run yet", "Last time: 1 failed"
    ]  # fmt: skip
    checks = [job for job in world.started if job.spec.name == "check"]
    assert [(job.spec.step, job.spec.worktree) for job in checks] == [("green", "_shared")] * 2
    assert world.env("after")[0]["RELAY_ARG_1"] == "output of green:2.tidy"


def test_a_check_that_was_cut_short_is_run_again() -> None:
    world = graph(GREEN, ends={"green:check": [bad("rebooted"), bad("lost"), ok()]})
    assert [name for name in world.own if name.startswith("green:") and "." not in name] == ["green:1"]
    assert len([job for job in world.started if job.spec.name == "check"]) == 3


@pytest.mark.parametrize(("fresh", "sessions"), [("false", [None, "s1"]), ("true", [None, None])])
def test_a_turn_goes_on_in_the_conversation_of_the_one_before(fresh: str, sessions: list[str | None]) -> None:
    said = [says("no").model_copy(update={"session": "s1"}), says("yes").model_copy(update={"session": "s2"})]
    text = f"""
steps:
  - {{id: a, prompt: x, loop: {{until: "steps.a.output == 'yes'", max_iterations: 3, fresh_session: {fresh}}}}}
"""
    world = graph(text, ends={"turn": list(said)})
    assert [job.turn.session for job in world.started if job.turn] == sessions
    grouped = graph(GREEN.replace("max_iterations: 3", f"max_iterations: 3, fresh_session: {fresh}"),
                    ends={"turn": list(said), "green:check": [fails(), ok()]})  # fmt: skip
    assert [job.turn.session for job in grouped.started if job.turn] == sessions


def test_a_failed_turn_asks_and_a_retry_goes_on_with_it() -> None:
    world = graph(COUNT, ends={**counts(1, 2, 3), "count:2:run": [fails(), gives({"n": 2})]})
    assert (world.asked, world.ends_of["count:2"], world.ends_of["count"]) == ("fix_failure", "failed", "running")
    world.hand_back("retry count:2")
    assert (world.outcome, world.output("count")) == ("done", {"n": 3})


@pytest.mark.parametrize(("option", "status"), [("on_failure: continue", "failed"), ("optional: true", "skipped")])
def test_a_loop_may_fail_for_good(option: str, status: str) -> None:
    text = f"""{ALONE}
steps:
  - {{id: a, run: x, {option}, loop: {{until: steps.a.output == 1, max_iterations: 3}}}}
  - {{id: b, needs: [a], trigger_rule: all_done, run: y}}
"""
    world = graph(text, ends={"a:1:run": fails()})
    assert (world.outcome, world.ends_of["a"], world.ends_of["b"]) == ("done", status, "done")
    assert "a:2" not in world.own


def test_the_condition_of_a_loop_is_asked_once() -> None:
    text = f"""{ALONE}
steps:
  - {{id: a, run: x}}
  - {{id: b, needs: [a], when: steps.a.output == 'go', run: y, loop: {{until: steps.b.output == 2, max_iterations: 3}}}}
"""
    assert graph(text, ends={"a:run": gives("stop")}).ends_of == {"a": "done", "b": "skipped"}
    world = graph(text, ends={"a:run": gives("go"), "b:1:run": gives(1), "b:2:run": gives(2)})
    assert (world.outcome, world.output("b")) == ("done", 2)


def test_a_fan_out_of_loops_has_turns_of_each_instance() -> None:
    text = f"""{ALONE}
steps:
  - {{id: a, foreach: {{in: [x, y]}}, run: "x {{{{ item }}}}", loop: {{until: loop.index >= 2, max_iterations: 3}}}}
"""
    world = graph(text)
    assert [name for name in world.own if world.own[name].kind == "run"] == ["a:x:1", "a:y:1", "a:x:2", "a:y:2"]
    assert world.output("a") == ["output of a:x:2", "output of a:y:2"]


def test_a_rejection_begins_a_loop_again() -> None:
    text = f"""{ALONE}
steps:
  - {{id: a, run: x, loop: {{until: loop.index >= 2, max_iterations: 3}}}}
  - {{id: ok, needs: [a], gate: {{message: "?", on_reject: {{back_to: a}}}}}}
"""
    world = graph(text)
    world.hand_back("reject", "again")
    assert world.begun() == ["a:1", "a:2"] * 2
    world.hand_back()
    assert world.outcome == "done"


def test_turns_that_a_new_beginning_does_not_need_are_left_over() -> None:
    text = f"""{ALONE}
steps:
  - {{id: a, run: x, loop: {{until: steps.a.output.n > 0, max_iterations: 3}}}}
  - {{id: ok, needs: [a], gate: {{message: "?", on_reject: {{back_to: a}}}}}}
"""
    world = graph(text, ends={"a:1:run": [gives({"n": 0}), gives({"n": 1})], "a:2:run": gives({"n": 1})})
    world.hand_back("reject", "again")
    assert (world.begun(), world.ends_of["a:2"]) == (["a:1", "a:2", "a:1"], "skipped")
    assert world.run.steps["a:2"].note == "left over from an earlier round"


def test_a_condition_without_a_value_fails_the_loop() -> None:
    text = f"{ALONE}steps:\n  - {{id: a, run: x, loop: {{until: steps.a.output.n > 1, max_iterations: 2}}}}\n"
    world = graph(text)
    assert (world.asked, world.ends_of["a"]) == ("fix_failure", "failed")
    assert "steps.a.output" in world.why("a")


def test_a_retry_of_a_loop_that_has_run_out_grants_as_many_turns_again() -> None:
    ends = {f"count:{turn}:run": gives({"n": n}) for turn, n in enumerate([0] * 5 + [1, 3], 1)}
    world = graph(COUNT, ends=ends)
    assert (world.asked, world.ends_of["count"]) == ("fix_failure", "failed")
    world.hand_back("retry count")
    assert (world.outcome, world.output("count"), world.begun()[:-1]) == (
        "done", {"n": 3}, [f"count:{turn}" for turn in range(1, 8)]
    )  # fmt: skip


def test_a_loop_has_no_other_turn_once_the_run_has_ended() -> None:
    text = f"""{ALONE}
steps:
  - {{id: a, run: x, loop: {{until: 'false', max_iterations: 50}}}}
  - {{id: b, run: y}}
  - {{id: stop, needs: [b], end: {{status: cancelled}}}}
"""
    world = graph(text, ends={"run": None}, parallel=2)
    world.end("b", gives(1))
    world.end("a:1", gives(1))
    assert (world.outcome, sorted(world.begun())) == ("cancelled", ["a:1", "b"])
