"""Check of the tests before anything is built: made once, and its result told to whoever decides and builds."""

from __future__ import annotations

import pytest
from world import World, bad, new_run, ok

from lib.events import JobEnded, Noted
from lib.jobs import JobResult
from lib.model import Owner, RunOutcome
from lib.project.paths import BASE_WORKTREE

RED = "the tests fail before anything is built: make check: exit status 1: 1 failed"


def red(line: str = "1 failed", command: str = "make check", took: str = "0.1s") -> JobResult:
    tail = f"$ {command}\nexit status 1\n\n--- standard output\n{line} in {took}"
    return bad("exit_nonzero", f"exit status 1: {line}", tail=tail, command=command, printed=True)


def building(base: JobResult | None = None, **settings: object) -> World:
    """A run whose tree fails as `base` says before anything is built."""
    world = World(new_run(**{"gates": {"design": "none"}, "verify": "make check", "attempts": 3, **settings}))
    world.answers["base:verify"] = base or ok()
    return world


def of_base(world: World) -> list[str]:
    return [job.spec.name for job in world.started if job.spec.worktree == BASE_WORKTREE]


def retried(world: World) -> None:
    """Lets the pauses before other attempts pass."""
    for _ in range(6):
        world.mono_s += 100
        world.settle()


def test_a_tree_that_passes_its_tests_is_looked_at_once_while_the_architect_works() -> None:
    world = building(setup="make deps")
    world.settle()
    assert world.run.state.outcome is RunOutcome.LANDED
    assert of_base(world) == ["checkout_base", "setup", "verify", "drop_base"]
    assert world.names().index("run:checkout_base") <= world.names().index("run:design")
    assert not [event for event in world.events if isinstance(event, Noted) and "before anything" in event.message]


def test_nothing_is_looked_at_without_a_verify_command() -> None:
    world = building(verify=None, setup="make deps")
    world.settle()
    assert of_base(world) == []


def test_the_gate_waits_until_it_is_known() -> None:
    world = building(gates={"design": "person"})
    world.answers["base:verify"] = None
    world.settle()
    assert world.run.state.action_owner is Owner.CODE
    verify = next(job for job in world.started if job.spec.worktree == BASE_WORKTREE and job.spec.name == "verify")
    world.settle(JobEnded(job=verify.id, result=red()))
    assert world.run.state.action_needed == "approve_design"


@pytest.mark.parametrize(("failing", "what"), [("setup", "setup fails"), ("verify", "the tests fail")])
def test_a_red_tree_is_told_in_the_log_at_the_gate_and_to_the_builders(failing: str, what: str) -> None:
    world = building(setup="make check", gates={"design": "person"})
    world.answers[f"base:{failing}"] = red()
    world.settle()
    said = f"{what} before anything is built: make check: exit status 1: 1 failed"
    assert said in world.run.state.message
    assert [event.message for event in world.events if isinstance(event, Noted)] == [said]
    world.edit(action_owner=Owner.CODE)
    builds = [job for job in world.started if job.spec.name == "build"]
    assert {job.spec.prompt["red"] for job in builds} == {said}
    assert world.run.state.outcome is RunOutcome.LANDED


def test_what_fails_as_before_is_tried_once_more_and_then_lands_only_when_a_person_says_so() -> None:
    world = building(red())
    world.answers["verify"] = red(took="0.2s", command="(make check) && (own)")
    world.settle()
    assert world.statuses()["one"] == "retrying"
    assert "fails just as it did before anything was built" in world.run.steps["one"].feedback
    retried(world)
    assert world.statuses() == {"one": "merged", "two": "merged"}
    assert [(one.attempt, one.verified) for one in world.run.steps.values()] == [(2, False), (2, False)]
    assert world.run.state.action_needed == "approve_landing"
    assert "verify fails just as it did before anything was built" in world.run.state.message
    world.edit(action_owner=Owner.CODE)
    assert world.run.state.outcome is RunOutcome.LANDED
    assert "not verified" in world.run.state.message


def test_without_a_second_attempt_it_counts_as_not_verified_at_once() -> None:
    world = building(red(), attempts=1)
    world.answers["verify"] = red()
    world.settle()
    assert world.run.state.action_needed == "approve_landing"


@pytest.mark.parametrize(
    ("before", "after"), [(red(), red("2 failed")), (bad("exit_nonzero", tail="", printed=False),) * 2]
)
def test_what_fails_in_another_way_or_in_silence_is_the_builders(before: JobResult, after: JobResult) -> None:
    world = building(before)
    world.answers["verify"] = after
    world.settle()
    retried(world)
    assert world.run.state.action_needed == "fix_failure"
    assert world.statuses()["one"] == "failed"


def test_setup_that_fails_as_before_is_a_failure() -> None:
    world = building(setup="make deps")
    world.answers["base:setup"] = world.answers["setup"] = red()
    world.settle()
    retried(world)
    assert world.run.state.action_needed == "fix_failure"


@pytest.mark.parametrize("ends", [["stopped", "lost"], ["superseded"]])
def test_a_look_that_was_cut_short_is_taken_again(ends: list[str]) -> None:
    world = building()
    results = iter([*map(bad, ends), ok()])
    world.answers["base:verify"] = lambda _: next(results)
    world.settle()
    assert of_base(world).count("verify") == len(ends) + 1
    assert world.run.state.outcome is RunOutcome.LANDED


def test_another_design_takes_no_other_look() -> None:
    world = building(red(), gates={"design": "person"})
    world.settle()
    world.edit(action_owner=Owner.CODE, action_needed="design", feedback="smaller")
    assert world.run.state.action_needed == "approve_design"
    assert RED in world.run.state.message
    assert of_base(world) == ["checkout_base", "verify", "drop_base"]
