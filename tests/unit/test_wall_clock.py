"""A wall clock that jumps ten days either way ends nothing, delays nothing, and starts nothing twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from world import World, bad, new_run

from lib.model import Now, Owner
from orchestrator.engine.decision import Output

DAYS = (10, -10)


@dataclass
class Jumping(World):
    """A world whose wall clock is off by `days`; the time that durations are counted in goes on as it did."""

    days: int = 0

    def now(self) -> Now:
        right = super().now()
        return right.model_copy(update={"wall": right.wall + timedelta(days=self.days)})


@pytest.mark.parametrize("days", DAYS)
def test_a_builder_at_work_is_neither_stopped_nor_started_again(days: int) -> None:
    world = Jumping(new_run(gates={"design": "none"}, timeout_s=3600, idle_timeout_s=900), answers={"build": None})
    world.settle()
    started = world.names()
    world.days, world.mono_s = days, world.mono_s + 1
    job = next(job for job in world.run.ledger.live() if job.process)
    world.tick(output={job.id: Output(1.0, 10)})
    assert world.stopped == []
    assert world.names() == started


@pytest.mark.parametrize("days", DAYS)
def test_a_pause_before_a_retry_lasts_as_long_as_it_would_have(days: int) -> None:
    world = Jumping(new_run(gates={"design": "none"}, retry_delay_s=60), answers={"build": bad("exit_nonzero")})
    world.settle()
    world.days = days
    started = len(world.started)
    world.mono_s += 30
    world.settle()
    assert len(world.started) == started
    world.mono_s += 60
    world.settle()
    assert len(world.started) > started


@pytest.mark.parametrize("days", DAYS)
def test_a_whole_run_goes_through(days: int) -> None:
    world = Jumping(new_run())
    world.settle()
    world.days = days
    world.edit(action_owner=Owner.CODE)
    assert world.run.state.outcome == "landed"
