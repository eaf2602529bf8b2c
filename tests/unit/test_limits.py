"""Limits that assistants meet, budgets, and turns that are stuck: what the machine makes of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from world import START, World, bad, new_run, ok

from lib.events import AssistantFreed, AssistantHeld, JobEnded, JobProgressed
from lib.jobs import Condition, Job, JobResult, Progress
from lib.model import Owner, RunOutcome, Usage
from lib.scheduling.retries import LOSSES
from orchestrator.engine.decision import Output

PARTS = {"components": [{"id": name, "title": name.title()} for name in ("one", "two", "three")]}
LIMITED = bad("rate_limit", "429")


def world_of(*, design: object = None, **settings: object) -> World:
    return World(new_run(gates={"design": "none"}, **settings), design=design or PARTS)  # type: ignore[arg-type]


def builds(world: World) -> list[Job]:
    return [job for job in world.started if job.spec.name == "build"]


def asked_of(world: World) -> list[str]:
    return [f"{job.spec.step}:{job.spec.assistant}" for job in builds(world)]


def later(world: World, seconds: float) -> None:
    world.mono_s += seconds
    world.settle()


def limit_of(name: str, result: JobResult, world: World) -> None:
    world.answers["build"] = lambda job: result if job.spec.assistant == name else ok(text="done")


# --- limits ----------------------------------------------------------------------------------------------------------


def test_a_limit_moves_the_builder_to_the_next_of_its_chain_in_the_same_worktree_at_no_attempts_cost() -> None:
    world = world_of(assistant=["codex", "claude"], roles={"architect": "claude"}, parallel=1)
    limit_of("codex", bad("rate_limit", "429").model_copy(update={"session": "c1"}), world)
    world.settle()
    assert asked_of(world) == ["one:codex", "one:claude", "two:claude", "three:claude"]
    assert {builder.attempt for builder in world.run.steps.values()} == {1}
    again = builds(world)[1]
    assert (again.spec.session, again.spec.prompt["resumed"], again.spec.worktree) == (None, True, "one")
    assert world.run.state.outcome is RunOutcome.LANDED


def test_a_limit_holds_all_launches_of_that_assistant_until_its_time_and_then_tries_one() -> None:
    world = world_of(assistant="claude", parallel=1)
    reset = START + timedelta(seconds=1000 + 3600)
    limit_of("claude", bad("rate_limit", "usage limit").model_copy(update={"retry_at": reset}), world)
    world.settle()
    assert asked_of(world) == ["one:claude"]
    assert "rate limited (usage limit), until 01:16:40 UTC" in world.run.steps["one"].note
    assert world.last is not None
    assert world.last.wake_at_mono_s == 4600
    later(world, 3599)
    assert len(builds(world)) == 1
    world.answers["build"] = None  # it runs
    later(world, 1)
    assert asked_of(world) == ["one:claude"] * 2


def test_when_a_hold_is_over_one_turn_is_tried_and_its_answer_lets_the_others_follow() -> None:
    world = world_of(assistant="claude", parallel=3)
    limit_of("claude", bad("rate_limit").model_copy(update={"retry_after_s": 10.0}), world)
    world.settle()
    assert len(builds(world)) == 3
    world.answers["build"] = None
    later(world, 11)
    assert len(builds(world)) == 4
    trial = builds(world)[-1]
    decision = world.tick(output={trial.id: Output(0, 10, Progress(answered=True))})
    assert [event.assistant for event in decision.events if isinstance(event, AssistantFreed)] == ["claude"]
    world.settle(*[JobEnded(job=job.id, result=ok(base="0", made=False)) for job in decision.start])
    assert len(builds(world)) == 6


def test_limits_without_a_time_are_waited_for_ever_longer_and_count_once_for_all_that_met_them() -> None:
    world = world_of(assistant="claude", limit_delay_s=60, limit_delay_max_s=100)
    limit_of("claude", bad("rate_limit"), world)
    world.settle()
    first = world.run.engine.holds["claude"]
    assert (first.strikes, len([e for e in world.events if isinstance(e, AssistantHeld)])) == (0, 1)
    for strikes in (1, 2):
        hold = world.run.engine.holds["claude"]
        assert hold.until_mono_s is not None
        later(world, hold.until_mono_s - world.mono_s)
        again = world.run.engine.holds["claude"]
        assert again.until_mono_s is not None
        assert again.strikes == strikes
        assert again.until_mono_s - world.mono_s >= 100
    assert {builder.attempt for builder in world.run.steps.values()} == {0}


@pytest.mark.parametrize("code", ["server", "network", "busy"])
def test_what_passes_soon_is_tried_again_soon_and_counts_no_attempt(code: str) -> None:
    world = world_of(assistant="opencode", parallel=1, limit_delay_s=60)
    limit_of("opencode", bad(code), world)
    world.settle()
    until = world.run.engine.holds["opencode"].until_mono_s
    assert until is not None
    assert 10 <= until - world.mono_s <= 10 * 1.25
    world.answers["build"] = ok(text="done")
    later(world, until - world.mono_s)
    assert {builder.attempt for builder in world.run.steps.values()} == {1}
    assert world.run.state.outcome is RunOutcome.LANDED


@pytest.mark.parametrize("code", ["auth", "not_available"])
def test_one_that_is_logged_out_or_gone_is_not_tried_by_each_builder_and_ci_is_told(code: str) -> None:
    world = world_of(assistant="claude", parallel=1)
    refused = bad(code, "401").model_copy(update={"remedy": "claude /login"})
    limit_of("claude", refused, world)
    world.settle()
    state = world.run.state
    assert (len(builds(world)), state.action_owner, state.action_needed) == (1, Owner.CI, "fix_failure")
    assert world.offers() == ["claude /login", "relay retry"]
    world.answers["build"] = ok(text="done")
    world.edit(action_owner=Owner.CODE)
    assert world.run.state.outcome is RunOutcome.LANDED


def test_the_architect_falls_back_too() -> None:
    world = world_of(assistant=["codex", "claude"])
    world.answers["design"] = lambda job: LIMITED if job.spec.assistant == "codex" else world.usual(job)
    world.settle()
    assert [job.spec.assistant for job in world.started if job.spec.name == "design"] == ["codex", "claude"]


def test_a_component_names_its_own_assistants() -> None:
    parts = [{"id": "one", "assistant": "codex, gemini"}, {"id": "two"}]
    world = world_of(assistant="claude", design={"components": parts})
    world.settle()
    assert sorted(asked_of(world)) == ["one:codex", "two:claude"]
    assert world.run.steps["one"].chain == ("codex", "gemini")


def test_a_limit_seen_in_mid_turn_holds_the_others_and_recovering_frees_them() -> None:
    world = world_of(assistant="claude", parallel=1)
    world.answers["build"] = None
    world.settle()
    job = builds(world)[0]
    waits = Progress(condition=Condition.RATE_LIMITED, reason="429", code="rate_limit", until=world.now().wall)
    world.tick(output={job.id: Output(0, 5, waits)})
    assert world.run.engine.holds["claude"].until_mono_s == pytest.approx(world.mono_s + 60, abs=15)
    world.tick(output={job.id: Output(0, 9, Progress(answered=True))})
    assert world.run.engine.holds == {}


def test_a_reboot_leaves_a_limit_in_force_by_the_wall_clock_and_its_trial_frees_it() -> None:
    world = world_of(assistant="claude", parallel=1)
    limit_of("claude", bad("rate_limit").model_copy(update={"retry_after_s": 3600.0}), world)
    world.settle()
    world.boot_id, world.booted_s, world.mono_s = "another", 1100.0, 5.0
    world.settle()
    assert len(builds(world)) == 1
    world.answers["build"] = ok(text="done")
    later(world, 3600)
    assert world.run.engine.holds == {}
    assert world.run.state.outcome is RunOutcome.LANDED


# --- turns that are stuck ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("progress", "reason"),
    [
        (Progress(condition=Condition.RETRYING, code="network", reason="refused"), "network"),
        (Progress(condition=Condition.RATE_LIMITED, code="rate_limit"), "rate_limit"),
        (Progress(condition=Condition.ASKING, reason="Allow? [y/N]"), "asking"),
    ],
)
def test_a_turn_that_is_stuck_is_ended_with_the_reason(progress: Progress, reason: str) -> None:
    world = world_of(stuck_timeout_s=20)
    world.answers["build"] = None
    world.settle()
    job = builds(world)[0]
    decision = world.tick(output={job.id: Output(0, 5, progress, condition_s=19)})
    assert (decision.stop, decision.wake_at_mono_s) == ([], world.mono_s + 1)
    decision = world.tick(output={job.id: Output(0, 5, progress, condition_s=20)})
    assert [(stopped.id, stopped.stopping) for stopped in decision.stop] == [(job.id, reason)]


def test_silence_is_told_before_it_ends_a_turn() -> None:
    world = world_of(idle_timeout_s=100)
    world.answers["build"] = None
    world.settle()
    job = builds(world)[0]
    decision = world.tick(output={job.id: Output(61, 5)})
    told = [event.progress.condition for event in decision.events if isinstance(event, JobProgressed)]
    assert told == [Condition.SILENT]
    assert not world.tick(output={job.id: Output(62, 5)}).events


# --- final answers ---------------------------------------------------------------------------------------------------


def test_a_time_that_has_passed_is_not_tried_over_and_over() -> None:
    world = world_of(assistant="claude", parallel=1)
    limit_of("claude", bad("rate_limit").model_copy(update={"retry_at": START}), world)
    world.settle()
    assert len(builds(world)) == 1
    first = world.run.engine.holds["claude"].until_mono_s
    assert first is not None
    assert first - world.mono_s >= 10
    later(world, first - world.mono_s)
    second = world.run.engine.holds["claude"].until_mono_s
    assert second is not None
    assert (len(builds(world)), second - world.mono_s >= 20) == (2, True)


@pytest.mark.parametrize("code", ["auth", "credits", "model", "refused"])
def test_after_a_final_answer_the_next_of_the_chain_goes_on_and_no_attempt_is_counted(code: str) -> None:
    world = world_of(assistant=["codex", "claude"], roles={"architect": "claude"}, parallel=1)
    limit_of("codex", bad(code, "no"), world)
    world.settle()
    asked = 3 if code == "refused" else 1  # a request of one builder may be refused, and that of another not
    assert asked_of(world).count("one:codex") == 1
    assert len([each for each in asked_of(world) if each.endswith("codex")]) == asked
    assert {builder.attempt for builder in world.run.steps.values()} == {1}
    assert world.run.state.outcome is RunOutcome.LANDED


@pytest.mark.parametrize("code", ["credits", "model", "refused"])
def test_a_final_answer_with_nobody_else_to_ask_is_for_ci_at_once_and_once(code: str) -> None:
    world = world_of(assistant="codex", roles={"architect": "claude"}, design={"components": [{"id": "one"}]})
    limit_of("codex", bad(code, "no such thing").model_copy(update={"remedy": "codex login"}), world)
    world.settle()
    later(world, 100_000)
    state = world.run.state
    assert (len(builds(world)), state.action_owner, state.action_needed) == (1, Owner.CI, "fix_failure")
    assert "no such thing" in state.message
    world.answers["build"] = ok(text="done")
    world.edit(action_owner=Owner.CODE)
    assert world.run.state.outcome is RunOutcome.LANDED


def test_a_model_that_can_not_be_had_holds_no_other_model_of_the_same_program() -> None:
    world = world_of(assistant=["codex:new", "codex:old"], roles={"architect": "claude"}, parallel=1)
    world.answers["build"] = lambda job: bad("model") if job.spec.assistant == "codex:new" else ok(text="done")
    world.settle()
    assert asked_of(world) == ["one:codex:new", "one:codex:old", "two:codex:old", "three:codex:old"]


def test_the_architect_whose_request_is_refused_is_not_asked_again() -> None:
    world = world_of(assistant=["codex", "claude"])
    world.answers["design"] = lambda job: bad("refused") if job.spec.assistant == "codex" else None
    world.settle()
    assert [job.spec.assistant for job in world.started if job.spec.name == "design"] == ["codex", "claude"]


def test_a_conversation_that_is_spent_gives_way_to_a_new_one_and_counts_only_if_it_was_new() -> None:
    world = world_of(
        assistant="codex", roles={"architect": "claude"}, design={"components": [{"id": "one"}]}, verify="v"
    )
    world.answers["build"] = lambda job: (
        bad("session_spent").model_copy(update={"session": ""})
        if job.spec.session
        else ok(text="done").model_copy(update={"session": "s"})
    )
    world.answers["verify"] = lambda _: bad("exit_nonzero", tail="red") if len(builds(world)) == 1 else ok()
    world.settle()
    later(world, 10)
    assert [job.spec.session for job in builds(world)] == [None, "s", None]
    assert (world.run.steps["one"].attempt, world.run.state.outcome) == (2, RunOutcome.LANDED)


# --- interruptions ---------------------------------------------------------------------------------------------------


def test_what_others_killed_counts_no_attempt_until_it_is_killed_each_time() -> None:
    world = world_of(
        assistant="codex", roles={"architect": "claude"}, design={"components": [{"id": "one"}]}, attempts=2
    )
    world.answers["build"] = bad("lost")
    world.settle()
    for _ in range(20):
        later(world, 100)
    assert len(builds(world)) == LOSSES + 2
    assert world.run.steps["one"].status == "failed"


def goes_on(world: World, index: int) -> tuple[bool, bool, str]:
    prompt = builds(world)[index].spec.prompt
    return prompt["goes_on"], prompt["interrupted"], prompt["feedback"]


def test_a_turn_that_goes_on_is_told_only_what_is_new() -> None:
    world = world_of(
        assistant="codex", roles={"architect": "claude"}, design={"components": [{"id": "one"}]}, verify="v"
    )
    done = ok(text="done")
    ends = iter([bad("idle", kept=False), bad("idle", kept=True), done, bad("lost", kept=True), done])
    world.answers["build"] = lambda _: next(ends).model_copy(update={"session": "s"})
    world.answers["verify"] = lambda _: bad("exit_nonzero", "no", tail="red") if len(builds(world)) == 3 else ok()
    world.run = new_run(
        gates={"design": "none"}, assistant="codex", roles={"architect": "claude"}, verify="v", attempts=5
    )
    world.settle()
    for _ in range(5):
        later(world, 100)
    assert goes_on(world, 0) == (False, False, "")
    assert goes_on(world, 1) == (False, True, "")  # its model had not heard of the task yet
    assert goes_on(world, 2) == (True, True, "")
    assert goes_on(world, 3) == (True, False, "verify failed: no\n\nred")
    assert goes_on(world, 4) == (True, True, "")
    assert world.run.state.outcome is RunOutcome.LANDED


# --- the same failure again ------------------------------------------------------------------------------------------


def test_a_failure_that_comes_back_unchanged_is_for_a_person_after_the_second_time() -> None:
    world = world_of(assistant="codex", design={"components": [{"id": "one"}]}, verify="make check", attempts=6)
    reports = iter(["E1 failed in 0.12s", "E2 failed in 0.13s at /tmp/x1/a", "E2 failed in 3.4s at /tmp/x2/a", "E3"])
    world.answers["verify"] = lambda _: bad("exit_nonzero", "no", tail=next(reports), command="make check")
    world.settle()
    for _ in range(5):
        later(world, 100)
    assert len(builds(world)) == 3
    message = world.run.state.message
    assert "one: verify (make check): no; it came back unchanged (3 attempts). Its last lines: " in message
    assert "E2 failed in 3.4s" in message


def test_a_failure_of_two_builders_alike_is_for_a_person_and_other_failures_are_tried_again() -> None:
    world = world_of(assistant="codex", verify="make check", attempts=6)
    reports = {"one": ["no pytest"], "two": ["no pytest"], "three": ["E1", "E2"]}
    world.answers["verify"] = lambda job: (
        bad("exit_nonzero", "no", tail=left.pop(0)) if (left := reports.get(job.spec.step or "")) else ok()
    )
    world.settle()
    for _ in range(5):
        later(world, 100)
    assert {name: builder.attempt for name, builder in world.run.steps.items()} == {"one": 2, "two": 1, "three": 3}
    assert "two: verify: no; one fails in the same way" in world.run.state.message


def test_what_fails_without_a_word_is_no_sign_of_a_common_cause() -> None:
    world = world_of(assistant="codex", verify="false", attempts=2)
    world.answers["verify"] = lambda job: (
        bad("exit_nonzero", tail="It printed nothing.", printed=False) if job.spec.step and job.attempt == 1 else ok()
    )
    world.settle()
    later(world, 100)
    assert world.run.state.outcome is RunOutcome.LANDED


# --- budgets ---------------------------------------------------------------------------------------------------------


def spending(cost_usd: float) -> JobResult:
    return ok(text="done").model_copy(update={"usage": Usage(cost_usd=cost_usd, input_tokens=100)})


def test_a_turn_that_passes_its_builders_budget_is_stopped_and_a_person_can_grant_as_much_again() -> None:
    world = world_of(builder_max_cost_usd=1.0, parallel=1, assistant="claude")
    world.answers["build"] = None
    world.settle()
    job = builds(world)[0]
    assert not world.tick(output={job.id: Output(0, 5, Progress(usage=Usage(cost_usd=0.99)))}).stop
    decision = world.tick(output={job.id: Output(0, 9, Progress(usage=Usage(cost_usd=1.0)))})
    assert [stopped.stopping for stopped in decision.stop] == ["budget"]
    world.answers["build"] = ok(text="done")
    world.settle(JobEnded(job=job.id, result=bad("budget").model_copy(update={"usage": Usage(cost_usd=1.0)})))
    assert world.statuses() == {"one": "failed", "two": "built", "three": "built"}
    assert world.run.state.action_needed == "fix_failure"
    world.edit(action_owner=Owner.CODE)
    assert world.run.state.outcome is RunOutcome.LANDED


def test_no_turn_is_launched_beyond_a_builders_budget() -> None:
    world = world_of(builder_max_tokens=100, assistant="claude", design={"components": [{"id": "one"}]})
    world.answers["build"] = spending(0.5)
    world.answers["verify"] = bad("exit_nonzero")
    world.run = new_run(gates={"design": "none"}, builder_max_tokens=100, verify="false", retry_delay_s=0)
    world.settle()
    assert len(builds(world)) == 1
    error = world.run.steps["one"].error
    assert error is not None
    assert (error.code, world.run.state.action_needed) == ("budget", "fix_failure")
    assert "100 of 100 tokens" in error.message


def test_a_runs_budget_stops_every_turn_and_asks_whether_as_much_again_may_be_spent() -> None:
    world = world_of(max_cost_usd=2.0, parallel=2, assistant="claude")
    world.answers["build"] = None
    world.settle()
    one, two = builds(world)
    spent = Progress(usage=Usage(cost_usd=1.0))
    decision = world.tick(output={one.id: Output(0, 5, spent), two.id: Output(0, 5, spent)})
    assert {(job.id, job.stopping) for job in decision.stop} == {(one.id, "run_budget"), (two.id, "run_budget")}
    over = bad("run_budget").model_copy(update={"usage": Usage(cost_usd=1.0)})
    world.settle(JobEnded(job=one.id, result=over), JobEnded(job=two.id, result=over))
    state = world.run.state
    assert (state.action_owner, state.action_needed) == (Owner.CI, "extend_budget")
    assert "$2.00 of $2.00" in state.message
    world.answers["build"] = ok(text="done")
    world.edit(action_owner=Owner.CODE)
    assert world.run.state.outcome is RunOutcome.LANDED
    assert {builder.attempt for builder in world.run.steps.values()} == {1}
