"""Retries of what the machine refuses: Relay makes them by itself, repeats no turn and counts no attempt."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from world import World, bad, new_run, ok

from lib.errors import GitError, RelayError
from lib.events import JobDelayed, JobSpawned
from lib.files.replace import WriteError
from lib.jobs import Delay, Job, ProcessIdentity
from lib.model import Owner, Problem, RunOutcome
from lib.scheduling.passing_failures import passing
from orchestrator.persistence.presenting import present

FULL = Problem(code="disk_full", message="no room is left", remedy="df -h")
EFFECTS = ("survey", "write_files", "prepare", "collect", "gather_diff", "settle_review", "vacate", "merge",
           "checkout_merged", "land", "clean")  # fmt: skip


def built(name: str, answer: object) -> World:
    """A run that went on until the first job of that name, which `answer` answers."""
    world = World(new_run(gates={"design": "none"}, review=True, verify="true"), answers={name: answer})
    world.settle()
    return world


def live(world: World, name: str) -> Job:
    return next(job for job in world.run.ledger.live() if job.spec.name == name)


def until_it_rests(world: World) -> None:
    """Lets time pass until nothing waits for it."""
    while world.run.state.outcome is None and world.last is not None and world.last.wake_at_mono_s:
        world.mono_s = world.last.wake_at_mono_s
        world.settle()


@pytest.mark.parametrize("name", EFFECTS)
def test_an_effect_that_the_machine_refuses_is_done_again_after_a_pause_and_nothing_before_it(name: str) -> None:
    world = built(name, None)
    job = live(world, name)
    turns = [each for each in world.names() if each.endswith((":build", ":design", ":review"))]
    for tries in (1, 2, 3):
        decision = world.tick(JobDelayed(job=job.id, delay=Delay(problem=FULL, tries=0)))
        assert decision.start == []
        delay = world.run.jobs[job.id].delay
        assert delay is not None
        assert (delay.tries, delay.problem) == (tries, FULL)
        assert present(world.run).error == FULL
        assert decision.wake_at_mono_s == delay.again_mono_s
        world.mono_s = decision.wake_at_mono_s or 0.0
        assert [each.id for each in world.tick().start] == [job.id]
    assert [each for each in world.names() if each.endswith((":build", ":design", ":review"))] == turns
    assert all(builder.attempt <= 1 for builder in world.run.steps.values())


def test_what_is_delayed_holds_the_run_open_and_ends_when_it_is_cancelled() -> None:
    world = built("merge", None)
    world.tick(JobDelayed(job=live(world, "merge").id, delay=Delay(problem=FULL, tries=0)))
    world.edit(action_owner=Owner.CODE, action_needed="cancel")
    assert world.run.state.outcome is RunOutcome.CANCELLED
    assert world.run.ledger.live() == []


def test_a_turn_whose_end_can_not_be_judged_is_not_ended_by_its_limits_meanwhile() -> None:
    world = built("build", None)
    job = live(world, "build")
    world.tick(JobSpawned(job=job.id, process=ProcessIdentity(pid=7, start_ticks=1, boot_id="b")))
    world.tick(JobDelayed(job=job.id, delay=Delay(problem=FULL, tries=0)))
    world.mono_s += 1e6
    assert [each.id for each in world.tick().start] == [job.id]
    assert world.stopped == []


@pytest.mark.parametrize("name", ["collect", "gather_diff", "settle_review"])
def test_a_step_of_relays_own_that_fails_is_done_again_alone(name: str) -> None:
    answers = iter([bad("git_failed"), bad("system")])
    world = built(name, lambda job: next(answers, None) or world.usual(job))
    until_it_rests(world)
    assert world.run.state.outcome is RunOutcome.LANDED
    assert world.names().count("one:build") == world.names().count("two:build") == 1
    assert [builder.attempt for builder in world.run.steps.values()] == [1, 1]


def test_a_design_that_can_not_be_written_is_written_again_and_no_other_is_asked_for() -> None:
    world = built("write_files", bad("system", "denied"))
    until_it_rests(world)
    assert world.run.state.action_needed == "fix_failure"
    assert world.names().count("run:write_files") == 3
    world.answers.pop("write_files")
    world.edit(action_owner=Owner.CODE, action_needed="retry")
    assert world.run.state.outcome is RunOutcome.LANDED
    assert world.names().count("run:design") == 1


def test_words_about_a_design_that_can_not_be_written_ask_for_another_one() -> None:
    world = built("write_files", bad("system", "denied"))
    until_it_rests(world)
    world.answers.pop("write_files")
    world.edit(action_owner=Owner.CODE, feedback="in two parts")
    assert world.names().count("run:design") == 2


def test_a_step_that_keeps_failing_asks_ci_and_retrying_does_it_alone() -> None:
    world = World(new_run(gates={"design": "none"}, attempts=1), answers={"collect": bad("git_failed", "broken")})
    world.settle()
    assert world.run.state.action_needed == "fix_failure"
    assert "broken" in world.run.state.message
    world.answers["collect"] = world.usual
    world.edit(action_owner=Owner.CODE)
    assert world.run.state.outcome is RunOutcome.LANDED
    assert world.names().count("one:build") == 1


def test_words_for_a_builder_ask_for_another_turn_whatever_failed() -> None:
    world = World(new_run(gates={"design": "none"}, attempts=1), answers={"collect": bad("git_failed", "broken")})
    world.settle()
    world.answers["collect"] = world.usual
    world.edit(action_owner=Owner.CODE, action_needed="retry one", feedback="use less room")
    turns = [job for job in world.started if job.spec.name == "build" and job.spec.step == "one"]
    assert [turn.spec.prompt["feedback"] for turn in turns] == ["", "use less room"]


def test_a_command_that_fails_on_a_full_disk_is_run_again_alone() -> None:
    answers = iter([bad("disk_full")])
    world = built("verify", lambda _: next(answers, None) or ok())
    until_it_rests(world)
    assert world.run.state.outcome is RunOutcome.LANDED
    assert world.names().count("one:build") == 1


def _written(number: int) -> RelayError:
    cause = OSError(number, "refused")
    error = WriteError(Path("f"), cause)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (OSError(errno.ENOSPC, "no room"), True),
        (OSError(errno.EMFILE, "no descriptor"), True),
        (OSError(errno.EIO, "broken"), True),
        (OSError(errno.EACCES, "denied"), False),
        (OSError(errno.ENOENT, "missing"), False),
        (_written(errno.ENOSPC), True),
        (_written(errno.EMFILE), True),
        (_written(errno.ENOENT), False),
        (GitError("held", code="git_locked"), True),
        (GitError("no room", code="disk_full"), True),
        (GitError("broken"), False),
    ],
)
def test_only_what_may_succeed_later_is_tried_again(error: OSError | RelayError, passes: bool) -> None:
    assert (passing(error) is not None) is passes
