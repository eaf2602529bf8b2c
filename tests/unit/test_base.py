"""Whether the tests pass before anything is built: asked once, and what fails since then alike is nobody's fault."""

from __future__ import annotations

import pytest
from world import World, bad, new_run, ok

from lib.model import JobResult, Owner, RunOutcome
from lib.paths import BASE_WORKTREE


def red(line: str = "1 failed", command: str = "make check", took: str = "0.1s") -> JobResult:
    tail = f"$ {command}\nexit status 1\n\n--- standard output\n{line} in {took}"
    return bad("exit_nonzero", f"exit status 1: {line}", tail=tail, command=command, printed=True)


def building(base: JobResult | None = None, **settings: object) -> World:
    """A run whose tree fails as `base` says before anything is built."""
    world = World(new_run(**{"gates": {"design": "none"}, "verify": "make check", "attempts": 2, **settings}))
    world.answers["base:verify"] = base or ok()
    return world


def of_base(world: World) -> list[str]:
    return [job.spec.name for job in world.started if job.spec.worktree == BASE_WORKTREE]


def test_a_tree_that_bears_its_tests_is_looked_at_once_before_anything_is_built() -> None:
    world = building(setup="make deps")
    world.settle()
    assert world.run.state.outcome is RunOutcome.LANDED
    assert of_base(world) == ["checkout_base", "setup", "verify", "drop_base"]
    names = world.names()
    assert names.index("run:drop_base") < names.index("one:prepare")


def test_nothing_is_looked_at_without_a_verify_command() -> None:
    world = building(verify=None, setup="make deps")
    world.settle()
    assert of_base(world) == []


@pytest.mark.parametrize("failing", ["setup", "verify"])
def test_a_red_tree_is_asked_about_with_its_command_and_its_last_lines_before_anything_is_built(failing: str) -> None:
    world = building(setup="make check")
    world.answers[f"base:{failing}"] = red()
    world.settle()
    state = world.run.state
    assert (state.action_owner, state.action_needed) == (Owner.CI, "check_base")
    what = {"setup": "Setup fails", "verify": "The tests fail"}[failing]
    assert state.message.startswith(f"{what} before anything is built: make check: exit status 1: 1 failed")
    assert state.error is not None
    assert state.error.report == ("$ make check", "exit status 1", "--- standard output", "1 failed in 0.1s")
    assert not world.run.builders


def test_what_fails_as_before_is_held_against_no_builder_and_lands_only_when_a_person_says_so() -> None:
    world = building(red())
    world.settle()
    world.answers["verify"] = red(took="0.2s", command="(make check) && (own)")
    world.edit(action_owner=Owner.CODE)
    assert of_base(world) == ["checkout_base", "verify", "drop_base"]
    assert world.statuses() == {"one": "merged", "two": "merged"}
    assert [(one.attempt, one.verified) for one in world.run.builders.values()] == [(1, False), (1, False)]
    assert world.run.state.action_needed == "approve_landing"
    assert "not verified" in world.run.state.message
    assert "verify fails just as it did before anything was built" in world.run.state.message
    world.edit(action_owner=Owner.CODE)
    assert world.run.state.outcome is RunOutcome.LANDED
    assert "not verified" in world.run.state.message


@pytest.mark.parametrize(
    ("before", "after"), [(red(), red("2 failed")), (bad("exit_nonzero", tail="", printed=False),) * 2]
)
def test_what_fails_in_another_way_or_in_silence_is_the_builders(before: JobResult, after: JobResult) -> None:
    world = building(before)
    world.settle()
    world.answers["verify"] = after
    world.edit(action_owner=Owner.CODE)
    assert world.statuses()["one"] == "retrying"


def test_trying_again_runs_it_again_and_setup_before_it() -> None:
    world = building(red(), setup="make deps")
    world.settle()
    world.answers["base:verify"] = ok()
    world.edit(action_owner=Owner.CODE, action_needed="retry")
    assert of_base(world) == ["checkout_base", "setup", "verify"] * 2 + ["drop_base"]
    assert world.run.state.outcome is RunOutcome.LANDED


def test_a_look_that_was_cut_short_is_taken_again() -> None:
    world = building()
    ends = iter([bad("stopped"), bad("lost"), ok()])
    world.answers["base:verify"] = lambda _: next(ends)
    world.settle()
    assert of_base(world).count("verify") == 3
    assert world.run.state.outcome is RunOutcome.LANDED
