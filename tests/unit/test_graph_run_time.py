"""The time that a run's steps may take together, and limits that a step has of its own, through the real machine."""

from __future__ import annotations

import pytest
from graphworld import GraphWorld, fails, gives, graph
from world import bad

from lib.events import JobEnded
from lib.jobs import Condition, Progress
from lib.model import Usage
from orchestrator.engine.decision import Output

ALONE = "defaults: {workspace: none}\n"
#: The pure world begins 1,000 seconds after its runs.
LIMITED = f"{ALONE}timeout_s: 1060.0\non_error: continue\n"
LAST = "finally:\n  - {id: clean, run: z}\n"


def over(world: GraphWorld) -> None:
    """The time of the run is over; what is stopped for that ends."""
    world.later()
    stopped = [job for job in world.stopped if job.stopping == "run_timeout"]
    world.to_rest(*(JobEnded(job=job.id, result=bad("run_timeout", "its time")) for job in stopped))


def test_what_is_at_work_is_stopped_and_the_rest_left_out_but_for_finally() -> None:
    world = graph(
        f"{LIMITED}steps:\n  - {{id: a, run: x}}\n  - {{id: b, needs: [a], run: y}}\n{LAST}", ends={"a:run": None}
    )
    over(world)
    assert world.outcome == "failed"
    assert world.ends_of == {"a": "failed", "b": "skipped", "clean": "done"}
    assert world.mono_s == 1060.0
    assert world.run.state.message == "its steps took longer than 1060 s"


def test_steps_of_finally_are_not_stopped_for_it() -> None:
    world = graph(f"{LIMITED}steps:\n  - {{id: a, run: x}}\n{LAST}", ends={"clean:run": None})
    world.mono_s = 1100.0
    world.to_rest()
    assert not world.stopped
    world.end("clean", gives("gone"))
    assert (world.outcome, world.ends_of) == ("failed", {"a": "done", "clean": "done"})


def test_a_run_that_was_over_in_time_is_not_late() -> None:
    assert graph(f"{LIMITED}steps:\n  - {{id: a, run: x}}\n").outcome == "done"


def test_no_other_attempt_follows() -> None:
    retry = "retry: {max_attempts: 5, delay_s: 300.0, max_delay_s: 300.0, jitter: false}"
    world = graph(f"{LIMITED}steps:\n  - {{id: a, run: x, {retry}}}\n", ends={"a:run": fails()})
    assert (world.outcome, world.ends_of, world.begun()) == ("failed", {"a": "failed"}, ["a"])
    assert world.mono_s == 1060.0


@pytest.mark.parametrize("answered", [True, False])
def test_a_gate_that_waits_is_left_out(answered: bool) -> None:
    world = graph(f'{LIMITED}steps:\n  - {{id: ok, gate: {{message: "Ship it?"}}}}\n')
    assert world.asked == "answer_gate"
    if answered:
        world.hand_back()
        assert world.outcome == "done"
    else:
        world.later()
        assert (world.outcome, world.asked, world.ends_of) == ("failed", "", {"ok": "skipped"})


def test_nobody_is_asked_about_a_step_that_had_failed_while_others_worked() -> None:
    text = f"{ALONE}timeout_s: 1060.0\nsteps:\n  - {{id: a, run: x}}\n  - {{id: b, run: y}}\n"
    world = graph(text, ends={"a:run": fails(), "b:run": None}, parallel=2)
    over(world)
    assert (world.outcome, world.asked, world.ends_of) == ("failed", "", {"a": "failed", "b": "failed"})


def test_a_loop_ends_with_the_turn_that_its_time_ends() -> None:
    loop = "loop: {until: 'false', max_iterations: 50}"
    world = graph(f"{LIMITED}steps:\n  - {{id: a, run: x, {loop}}}\n", ends={"a:1:run": gives(1), "a:2:run": None})
    over(world)
    assert world.outcome == "failed"
    assert world.begun() == ["a:1", "a:2"]


def test_limits_of_a_step_take_the_place_of_settings() -> None:
    text = f"{ALONE}steps:\n  - {{id: a, run: x, limits: {{output_max_mb: 1.0}}}}\n  - {{id: b, run: y}}\n"
    world = graph(text, ends={"run": None}, parallel=2)
    big = Output(silent_s=0.0, output_bytes=2_000_000)
    world.tick(output={job.id: big for job in world.run.ledger.live()})
    assert [(job.spec.step, job.stopping) for job in world.stopped] == [("a", "output_limit")]


def test_a_step_is_stopped_beyond_its_own_budget_and_has_as_much_again_by_hand() -> None:
    text = f"{ALONE}steps:\n  - {{id: a, prompt: Do it, limits: {{max_tokens: 100}}}}\n"
    world = graph(text, ends={"turn": None})
    spent = Usage(input_tokens=100)
    told = Output(silent_s=0.0, output_bytes=1, progress=Progress(condition=Condition.WORKING, usage=spent))
    world.tick(output={job.id: told for job in world.run.ledger.live()})
    assert [job.stopping for job in world.stopped] == ["budget"]
    world.end("a", bad("budget", "it used up what a builder may use", usage=spent))
    assert world.asked == "fix_failure"
    world.hand_back("retry")
    assert (world.run.steps["a"].budgets, len(world.at_work())) == (2, 1)
