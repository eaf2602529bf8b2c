"""Checkpoints between the transitions of a run: one after each so many seconds in which something changed. Pure."""

from __future__ import annotations

from typing import Any

from world import World, new_run, ok

from lib.events import CheckpointMade, JobEnded
from lib.jobs import Job, JobResult

EVERY_S = 60.0


def building(**settings: Any) -> World:
    """A run whose builder `one` is at work, since no time at all."""
    settings = {"gates": {"design": "none"}, "checkpoint_interval_s": EVERY_S, **settings}
    world = World(new_run(**settings))
    world.answers["build"] = None
    world.settle()
    assert labels(world) == ["execution: execution"]
    return world


def labels(world: World) -> list[str]:
    return [event.label for event in world.events if isinstance(event, CheckpointMade)]


def made(world: World) -> str | None:
    """The label of the checkpoint of the last decision."""
    assert world.last is not None
    return world.last.checkpoint


def turn(world: World) -> Job:
    """The turn that is at work."""
    return next(job for job in world.run.ledger.live() if job.spec.name == "build")


def finished(world: World, result: JobResult) -> None:
    world.settle(JobEnded(job=turn(world).id, result=result))


def test_a_change_is_saved_once_its_time_has_come_and_the_machine_is_woken_for_that() -> None:
    world = building()
    assert world.last is not None
    assert world.last.wake_at_mono_s == world.mono_s + EVERY_S
    world.mono_s += EVERY_S - 1
    world.settle()
    assert made(world) is None
    world.mono_s += 1
    world.tick()
    assert made(world) == "interval"


def test_nothing_is_saved_while_nothing_changes() -> None:
    world = building()
    world.mono_s += EVERY_S
    world.tick()
    for _ in range(5):
        world.mono_s += EVERY_S
        world.tick()
        assert made(world) is None
    assert labels(world) == ["execution: execution", "interval"]


def test_the_time_counts_from_the_first_change_that_is_not_saved() -> None:
    world = building()
    world.mono_s += EVERY_S
    world.tick()
    world.mono_s += 1000
    changed_mono_s = world.mono_s
    world.answers["collect"] = None
    finished(world, ok(text="done"))
    assert made(world) is None
    assert world.last is not None
    assert world.last.wake_at_mono_s == changed_mono_s + EVERY_S
    world.mono_s += EVERY_S / 2
    world.tick()
    assert made(world) is None
    world.mono_s += EVERY_S / 2
    world.tick()
    assert made(world) == "interval"


def test_a_transition_saves_all_that_came_before_it() -> None:
    world = building(land="ask")
    world.answers["build"] = ok(text="done")
    finished(world, ok(text="done"))
    assert labels(world)[-1] == "asked: approve_landing"
    before = len(labels(world))
    world.mono_s += 10 * EVERY_S
    world.tick()
    assert len(labels(world)) == before


def test_a_change_is_saved_also_while_the_run_is_held() -> None:
    world = building()
    world.edit(paused=True)
    world.mono_s += EVERY_S
    world.tick()
    assert made(world) == "interval"


def test_after_a_reboot_the_clock_starts_anew_and_what_was_not_saved_is() -> None:
    world = building()
    world.mono_s, world.boot_id, world.booted_s = 5.0, "another", 5000.0
    world.tick()
    assert made(world) == "interval"


def test_without_an_interval_there_are_the_transitions_alone() -> None:
    world = building(checkpoint_interval_s=None)
    world.mono_s += 100 * EVERY_S
    world.tick()
    assert labels(world) == ["execution: execution"]


def test_a_run_that_is_over_is_saved_no_more() -> None:
    world = building()
    world.edit(action_needed="cancel")
    assert labels(world)[-1] == "cancelled"
    world.mono_s += 10 * EVERY_S
    world.tick()
    assert labels(world)[-1] == "cancelled"
