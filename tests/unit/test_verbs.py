"""Effects of a person's retry, skip, cancel and answers, and what they leave alone. Pure."""

from __future__ import annotations

import pytest
from world import World, bad, new_run, ok

from lib.config.model import Config
from lib.events import JobEnded, JobProgressed, StepChanged
from lib.jobs import JobResult, Progress
from lib.model import Owner, Usage
from lib.scheduling.retries import LOSSES, backoff_s
from orchestrator.persistence.presenting import present


def gated(**settings: object) -> World:
    return World(new_run(gates={"design": "none"}, **settings))


@pytest.mark.parametrize("status", ["merged", "landed"])
def test_one_whose_work_is_merged_can_not_be_skipped(status: str) -> None:
    world = gated()
    world.answers["land"] = None
    world.settle()
    if status == "landed":
        world.settle(StepChanged(step="one", changes={"landed": True}))
    world.edit(action_needed="skip one")
    assert world.statuses()["one"] == status


@pytest.mark.parametrize(("held", "name", "status"), [("build", "two", "pending"), ("merge", "one", "built")])
def test_a_retry_of_one_that_was_built_or_never_begun_is_told_to_change_nothing(
    held: str, name: str, status: str
) -> None:
    world = gated()
    world.answers[held] = None
    world.settle()
    world.edit(action_needed=f"retry {name}", feedback="otherwise")
    assert world.statuses()[name] == status
    assert f"{name} is {status}: there is nothing to retry" in [
        event.message for event in world.events if event.kind == "noted"
    ]


def test_what_belongs_to_no_builder_is_stopped_when_the_action_begins_again() -> None:
    world = gated(verify="true")
    world.answers["verify"] = lambda job: None if job.spec.worktree == "merged" else ok()
    world.settle()
    verify = world.started[-1]
    assert verify.spec.name == "verify"
    world.edit(action_needed="merge_build")
    assert [(job.id, job.stopping) for job in world.stopped] == [(verify.id, "superseded")]


def test_a_builders_turn_goes_on_when_the_action_begins_again() -> None:
    world = gated()
    world.answers["build"] = None
    world.settle()
    world.edit(action_needed="execution")
    assert world.stopped == []


def test_a_builder_that_fails_after_the_action_began_again_gets_no_round_that_nobody_granted() -> None:
    world = gated(attempts=1)
    world.answers["build"] = None
    world.settle()
    (turn,) = [job for job in world.started if job.spec.name == "build"]
    world.edit(action_needed="execution")
    world.settle(JobEnded(job=turn.id, result=bad("exit_nonzero")))
    assert world.run.state.action_needed == "fix_failure"
    assert world.statuses()["one"] == "failed"


def test_a_pause_before_another_attempt_is_never_longer_than_is_configured() -> None:
    config = Config(retry_delay_s=1.0, retry_delay_max_s=60.0)
    assert [round(backoff_s(config, attempt, "one")) for attempt in (1, 2)] == [1, 2]
    longest = [backoff_s(config, attempt, "one") for attempt in (7, 20, 50)]
    assert all(60.0 <= pause_s < 60.0 * 1.25 for pause_s in longest)


def test_a_turn_that_others_kill_is_begun_again_so_many_times_and_then_counts() -> None:
    world = gated(attempts=1)
    world.answers["build"] = bad("lost")
    world.settle()
    for _ in range(2 * LOSSES):
        world.mono_s += 100
        world.settle()
    builds = [job for job in world.started if job.spec.name == "build"]
    assert len(builds) == LOSSES + 1
    assert world.statuses()["one"] == "failed"


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_command_that_others_kill_is_run_again_as_often_as_there_are_attempts(attempts: int) -> None:
    world = gated(attempts=attempts, verify="make check")
    world.answers["verify"] = lambda job: bad("lost") if job.spec.worktree == "merged" else ok()
    world.settle()
    assert world.names().count("run:verify") == attempts + 1  # one was on the tree that the run starts from
    assert world.run.state.action_needed == "fix_failure"


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_builders_command_that_others_kill_is_run_again_so_often_before_another_turn_is_taken(attempts: int) -> None:
    world = gated(attempts=attempts, verify="make check")
    world.answers["verify"] = lambda job: bad("lost") if job.spec.step else ok()
    world.settle()
    names = [name for name in world.names() if name in {"one:build", "one:verify"}]
    assert names == ["one:build", *["one:verify"] * attempts]
    assert world.statuses()["one"] == ("failed" if attempts == 1 else "retrying")


@pytest.mark.parametrize("code", ["stopped", "not_started", "rebooted"])
def test_a_command_that_relay_or_a_reboot_ended_is_run_again_however_often(code: str) -> None:
    world = gated(attempts=1, verify="make check")
    cut = iter([bad(code)] * 5)
    world.answers["verify"] = lambda job: next(cut, ok()) if job.spec.step == "one" else ok()
    world.settle()
    assert world.names().count("one:verify") == 6
    assert world.names().count("one:build") == 1
    assert world.statuses()["one"] == "landed"


def test_a_budget_that_is_granted_counts_once() -> None:
    world = gated(max_cost_usd=1.0)
    world.answers["build"] = lambda job: spent(ok(), 1.5) if job.spec.step == "one" else None
    world.settle()
    assert world.run.state.action_needed == "extend_budget"
    world.edit(action_owner=Owner.CODE)
    assert world.run.engine.budgets == 2
    world.edit(action_needed="execution")
    assert world.run.state.phase == "execution"
    assert world.run.engine.budgets == 2


def test_what_a_turn_has_used_so_far_is_in_state_json() -> None:
    world = gated()
    world.answers["design"] = lambda job: spent(world.usual(job), 0.5)
    world.answers["build"] = None
    world.settle()
    build = next(job for job in world.started if job.spec.name == "build")
    world.settle(JobProgressed(job=build.id, progress=Progress(usage=Usage(input_tokens=7, cost_usd=0.25))))
    assert present(world.run).usage == Usage(input_tokens=7, cost_usd=0.75)
    world.settle(JobEnded(job=build.id, result=spent(ok(), 0.3)))
    assert present(world.run).usage.cost_usd == 0.8


def spent(result: JobResult, cost_usd: float) -> JobResult:
    return result.model_copy(update={"usage": Usage(cost_usd=cost_usd)})
