"""A run that is cancelled while it lands is either cancelled or landed, and says which."""

from __future__ import annotations

import pytest
from world import World, bad, new_run, ok

from lib.events import JobDelayed, JobEnded
from lib.jobs import Delay, Job, JobResult
from lib.model import Problem, RunOutcome


def live(world: World, name: str) -> Job:
    return next(job for job in world.run.ledger.live() if job.spec.name == name)


def at(name: str) -> World:
    """A run whose job of that name is under way."""
    world = World(new_run(gates={"design": "none"}), answers={name: None})
    world.settle()
    world.answers.pop(name)
    return world


@pytest.mark.parametrize(
    ("result", "outcome", "words"),
    [
        (ok(commit="h"), RunOutcome.LANDED, "it was too late to cancel"),
        (bad("run_over"), RunOutcome.CANCELLED, "Cancelled"),
        (bad("moved_on"), RunOutcome.CANCELLED, "Cancelled"),
        (bad("checkout_dirty"), RunOutcome.CANCELLED, "Cancelled"),
    ],
)
def test_a_cancel_while_it_lands_is_decided_by_how_the_landing_ends(
    result: JobResult, outcome: RunOutcome, words: str
) -> None:
    world = at("land")
    job = live(world, "land")
    world.edit(action_needed="cancel")
    assert world.run.state.outcome is None
    assert [each.id for each in world.stopped] == [job.id]
    assert world.run.state.action_needed == "merge_build"
    world.settle(JobEnded(job=job.id, result=result))
    assert world.run.state.outcome is outcome
    assert words in world.run.state.message


def test_a_cancel_after_the_branch_has_moved_is_told_to_be_too_late() -> None:
    world = at("clean")
    world.edit(action_needed="cancel")
    world.settle(JobEnded(job=live(world, "clean").id, result=ok()))
    assert world.run.state.outcome is RunOutcome.LANDED
    assert "it was too late to cancel" in world.run.state.message


def test_a_landing_that_waits_for_room_is_cancelled_at_once() -> None:
    world = at("land")
    full = Problem(code="disk_full", message="no room is left", remedy="df -h")
    world.tick(JobDelayed(job=live(world, "land").id, delay=Delay(problem=full, tries=0)))
    world.edit(action_needed="cancel")
    assert world.run.state.outcome is RunOutcome.CANCELLED
