"""Failures in workflows through the real machine: other attempts, what goes on without them, and what ci can answer."""

from __future__ import annotations

import itertools

import pytest
from graphworld import GraphWorld, fails, gives, graph, says
from world import bad

from lib.events import JobEnded
from lib.jobs import JobResult

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


def test_a_failure_is_asked_about_with_its_words_and_what_can_be_typed() -> None:
    world = graph(LINE % "", ends={"a:run": fails(3)})
    assert (world.asked, world.run.state.next_action) == ("fix_failure", "execution")
    assert world.ends_of == {"a": "failed", "b": "pending", "c": "done"}
    assert "a: run: exit status 3 (1 attempt)" in world.run.state.message
    assert {"relay skip a", "relay cancel"} < set(world.offers())


@pytest.mark.parametrize("action", [None, "retry a", "execution"])
def test_a_retry_runs_it_again_and_goes_on(action: str | None) -> None:
    world = graph(LINE % "", ends={"a:run": [fails(), gives("x")]})
    world.hand_back(action)
    assert (world.outcome, set(world.ends_of.values())) == ("done", {"done"})
    assert world.begun() == ["a", "c", "a", "b"]


def test_a_skip_goes_on_as_if_it_were_done() -> None:
    world = graph(LINE % "", ends={"a:run": fails()})
    world.hand_back("skip a")
    assert (world.outcome, world.ends_of) == ("done", {"a": "skipped", "b": "done", "c": "done"})


def test_a_hint_goes_with_the_next_attempt() -> None:
    world = graph(ALONE + "steps:\n  - {id: a, prompt: x}\n", ends={"turn": [bad("no_result"), says("x")]})
    world.hand_back("retry a", "look into src/")
    assert "look into src/" in world.prompts("a")[1]["feedback"]


def test_a_retry_gives_as_many_attempts_again_as_the_step_has() -> None:
    world = graph(LINE % ", retry: {max_attempts: 3, delay_s: 1}", ends={"a:run": fails()}, attempts=1)
    assert len(world.work("a")) == 3
    world.hand_back("retry a")
    assert (world.asked, len(world.work("a"))) == ("fix_failure", 6)


def pauses(world: GraphWorld, step: str) -> list[float]:
    begun = [job.started_mono_s for job in world.work(step)]
    return [round(after - before, 6) for before, after in itertools.pairwise(begun)]


def test_pauses_grow_up_to_the_longest() -> None:
    retry = "{max_attempts: 5, delay_s: 2, backoff: 3, max_delay_s: 20, jitter: false}"
    world = graph(LINE % f", retry: {retry}", ends={"a:run": fails()})
    assert pauses(world, "a") == [2, 6, 18, 20]
    assert (world.asked, world.run.steps["a"].attempt) == ("fix_failure", 5)


def test_pauses_vary_by_a_quarter_at_most() -> None:
    world = graph(LINE % ", retry: {max_attempts: 3, delay_s: 4, backoff: 1}", ends={"a:run": fails()})
    assert all(4 <= pause <= 5 for pause in pauses(world, "a"))


def test_no_pause_is_none() -> None:
    world = graph(LINE % ", retry: {max_attempts: 3, delay_s: 0}", ends={"a:run": fails()})
    assert pauses(world, "a") == [0, 0]


def test_after_a_reboot_no_pause_is_waited_for() -> None:
    world = graph(LINE % ", retry: {max_attempts: 2, delay_s: 1000}", ends={"a:run": None})
    world.settle()
    [job] = [job for job in world.run.ledger.live() if job.spec.step == "a"]
    world.settle(JobEnded(job=job.id, result=fails()))
    assert world.ends_of["a"] == "retrying"
    world.boot_id, world.mono_s = "c", 5.0
    world.settle()
    assert world.ends_of["a"] == "running"


def test_on_failure_retry_means_three_attempts() -> None:
    assert len(graph(LINE % ", on_failure: retry", ends={"a:run": fails()}).work("a")) == 3


@pytest.mark.parametrize(("on", "end", "count"), [
    ("exit", fails(), 2), ("timeout", fails(), 1), ("timeout", bad("timeout"), 2), ("idle", bad("idle"), 2),
    ("exit", bad("idle"), 1), ("verify", fails(), 1), ("exit", bad("memory_limit"), 1), ("schema", fails(), 1),
])  # fmt: skip
def test_only_failures_of_the_kinds_that_are_named_deserve_another_attempt(on: str, end: JobResult, count: int) -> None:
    world = graph(LINE % f", retry: {{max_attempts: 2, on: [{on}]}}", ends={"a:run": end})
    assert (world.asked, len(world.work("a"))) == ("fix_failure", count)


@pytest.mark.parametrize(("status", "count"), [(75, 2), (1, 1)])
def test_only_exits_that_are_named_deserve_another_attempt(status: int, count: int) -> None:
    world = graph(LINE % ", retry: {max_attempts: 2, exit_codes: [75, 76]}", ends={"a:run": fails(status)})
    assert len(world.work("a")) == count


def test_a_verification_that_fails_gives_another_attempt_with_what_it_printed() -> None:
    world = graph(
        """
steps:
  - {id: a, prompt: Fix it, verify: pytest -q, retry: {max_attempts: 2, on: [verify]}}
""",
        ends={"a:verify": [fails(tail="1 failed", command="pytest -q"), gives("x")]},
    )
    assert world.outcome == "landed"
    assert "1 failed" in world.prompts("a")[1]["feedback"]
    assert [prompt["attempt"] for prompt in world.prompts("a")] == [1, 2]
    assert world.run.steps["a"].verified


def test_a_verification_that_keeps_failing_fails_the_step() -> None:
    world = graph("steps:\n  - {id: a, run: x, verify: 'false'}\n", ends={"a:verify": fails()})
    assert (world.asked, world.ends_of["a"]) == ("fix_failure", "failed")
    assert "a: verify" in world.run.state.message


SCHEMA = "output_schema: {type: object, required: [n], properties: {n: {type: integer}}}"


def test_a_reply_that_does_not_fit_goes_back_twice_and_then_fails_as_schema() -> None:
    world = graph(f"{ALONE}steps:\n  - {{id: a, prompt: x, {SCHEMA}}}\n", ends={"turn": says({"n": "many"})})
    assert (world.asked, len(world.work("a"))) == ("fix_failure", 3)
    assert [bool(prompt["errors"]) for prompt in world.prompts("a")] == [False, True, True]
    assert "n: 'many' is not of type 'integer'" in world.prompts("a")[1]["errors"][0]
    error = world.run.steps["a"].error
    assert error is not None
    assert (error.code, "does not fit output_schema" in error.message) == ("schema", True)
    assert world.run.steps["a"].attempt == 1


def test_a_reply_that_fits_at_last_is_the_output() -> None:
    world = graph(
        f"{ALONE}steps:\n  - {{id: a, prompt: x, {SCHEMA}}}\n", ends={"turn": [says("no json"), says({"n": 4})]}
    )
    assert (world.outcome, world.output("a")) == ("done", {"n": 4})


def test_each_attempt_has_its_own_replies_that_go_back() -> None:
    step = f"{{id: a, prompt: x, retry: {{max_attempts: 2, on: [schema]}}, {SCHEMA}}}"
    world = graph(f"{ALONE}steps:\n  - {step}\n", ends={"turn": says("no json")})
    assert [bool(prompt["errors"]) for prompt in world.prompts("a")] == [False, True, True] * 2


def test_the_output_of_a_command_that_does_not_fit_fails_it() -> None:
    world = graph(f"{ALONE}steps:\n  - {{id: a, run: x, retry: {{max_attempts: 2, on: [schema]}}, {SCHEMA}}}\n")
    assert (world.asked, len(world.work("a"))) == ("fix_failure", 2)
    assert "does not fit output_schema" in world.why("a")


def test_a_schema_that_is_put_to_the_test_with_an_odd_value_raises_nothing() -> None:
    step = "{id: a, run: x, output_schema: {properties: {x: {type: string, pattern: '^a+$'}, y: {multipleOf: 0.1}}}}"
    world = graph(f"{ALONE}steps:\n  - {step}\n", ends={"a:run": gives({"x": 5, "y": 1e300})})
    assert "the handler" not in world.run.state.message


def test_a_failure_of_an_optional_step_is_a_skip_that_others_go_on_after() -> None:
    world = graph(LINE % ", optional: true", ends={"a:run": fails()})
    assert (world.outcome, world.ends_of) == ("done", {"a": "skipped", "b": "done", "c": "done"})


def test_a_failure_that_others_go_on_after_leaves_out_what_needs_it() -> None:
    world = graph(LINE % ", on_failure: continue", ends={"a:run": fails()})
    assert (world.outcome, world.ends_of) == ("done", {"a": "failed", "b": "skipped", "c": "done"})


TWO = """
steps:
  - {id: a, run: x}
  - {id: b, run: x}
  - {id: c, needs: [b], run: x}
  - {id: d, needs: [a], run: x}
"""


def test_once_a_step_has_failed_nothing_new_starts() -> None:
    world = graph(ALONE + TWO, ends={"a:run": None, "b:run": None})
    world.end("a", fails())
    world.end("b", gives("x"))
    assert (world.asked, world.ends_of["c"], world.begun()) == ("fix_failure", "pending", ["a", "b"])
    world.hand_back("skip a")
    assert world.outcome == "done"


def test_nothing_new_starts_in_the_place_of_a_step_that_has_failed() -> None:
    world = graph("steps:\n  - {id: a, run: x}\n  - {id: b, run: x}\n", ends={"a:run": fails()}, parallel=5)
    assert (world.asked, world.begun()) == ("fix_failure", ["a"])


def test_with_on_error_continue_what_does_not_depend_on_it_goes_on() -> None:
    world = graph(f"{ALONE}on_error: continue{TWO}", ends={"a:run": fails()})
    assert (world.asked, world.ends_of) == ("fix_failure", {"a": "failed", "b": "done", "c": "done", "d": "pending"})


def test_with_on_error_continue_ci_is_asked_once_others_have_used_their_attempts() -> None:
    text = TWO.replace("{id: b, run: x}", "{id: b, run: x, retry: {max_attempts: 2, delay_s: 5}}")
    world = graph(f"{ALONE}on_error: continue{text}", ends={"a:run": fails(), "b:run": [fails(), gives("x")]})
    assert (world.asked, world.ends_of["c"]) == ("fix_failure", "done")


@pytest.mark.parametrize(("verb", "ends"), [("retry", [fails(), gives("x")]), ("skip", [fails()])])
def test_a_failure_in_a_group_is_asked_about_and_the_group_goes_on(verb: str, ends: list[JobResult]) -> None:
    world = graph(
        ALONE
        + """
steps:
  - id: g
    group:
      - {id: one, run: x}
      - {id: two, needs: [one], run: x}
  - {id: after, needs: [g], run: x}
""",
        ends={"g.one:run": list(ends)},
    )
    assert (world.asked, world.ends_of["g"]) == ("fix_failure", "running")
    world.hand_back(f"{verb} g.one")
    assert (world.outcome, world.ends_of["g"], world.ends_of["after"]) == ("done", "done", "done")


@pytest.mark.parametrize("verb", ["retry", "skip"])
def test_a_group_may_be_named_for_the_step_in_it(verb: str) -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: g, group: [{id: one, run: x}, {id: two, needs: [one], run: x}]}
  - {id: after, needs: [g], run: x}
""",
        ends={"g.one:run": [fails(), gives("x")]},
    )
    world.hand_back(f"{verb} g")
    assert (world.asked, world.outcome) == ("", "done"), world.run.state.message
    assert world.begun() == (["g.one", "g.one", "g.two", "after"] if verb == "retry" else ["g.one", "after"])
    assert "pending" not in world.ends_of.values()


def test_a_group_that_may_fail_ends_with_its_steps() -> None:
    world = graph(
        ALONE
        + """
steps:
  - id: g
    on_failure: continue
    group: [{id: one, run: x}, {id: two, needs: [one], run: x}, {id: three, run: x}]
  - {id: after, needs: [g], run: x}
  - {id: always, needs: [g], trigger_rule: all_done, run: x}
""",
        ends={"g.one:run": fails()},
    )
    assert world.outcome == "done"
    inner = {"g.one": "failed", "g.two": "skipped", "g.three": "done"}
    assert world.ends_of == {"g": "failed", **inner, "after": "skipped", "always": "done"}


@pytest.mark.parametrize(("verb", "status"), [("retry", "done"), ("skip", "skipped")])
def test_a_step_of_a_group_that_may_fail_can_be_mended_while_others_run(verb: str, status: str) -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: g, on_failure: continue, group: [{id: one, run: x}, {id: slow, run: x}]}
  - {id: after, needs: [g], run: x}
""",
        ends={"g.one:run": [fails(), gives("x")], "g.slow:run": None},
    )
    world.hand_back(f"{verb} g.one")
    world.end("g.slow", gives("x"))
    assert world.ends_of == {"g": "done", "g.one": status, "g.slow": "done", "after": "done"}


def test_a_step_that_was_left_out_and_is_retried_counts_as_done() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: no, when: "false", run: x}
  - {id: slow, run: x}
  - {id: after, needs: [no, slow], trigger_rule: none_failed_min_one_success, run: x}
  - {id: strict, needs: [slow, no], run: x}
""",
        ends={"slow:run": None},
    )
    assert world.ends_of["no"] == "skipped"
    world.hand_back("retry no")
    assert world.ends_of["no"] == "done"
    assert world.run.steps["no"].is_satisfied
    assert not world.run.steps["no"].is_lost


def test_a_secret_that_is_missing_is_asked_about_at_once() -> None:
    world = graph("steps: [{id: a, run: x, retry: {max_attempts: 5}}]\n", ends={"a:run": bad("secret_missing", "gone")})
    assert (world.asked, world.begun()) == ("fix_failure", ["a"])
