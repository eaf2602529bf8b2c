"""Effects by name, each imported when it is first done."""

from __future__ import annotations

from functools import cache

from lib.discover import Source, load, sources
from lib.events import Event, JobEnded
from lib.git.run import again
from orchestrator import effects
from orchestrator.effects._runner import Runs
from orchestrator.jobs import Work

ATTRIBUTE = "effect"


@cache
def known() -> dict[str, Source]:
    """The effects that there are, nothing of them imported."""
    return sources(effects)


def run_effect(work: Work) -> Event:
    """Does the job and gives the event of its end. Raises what the effect raises."""
    runner = load(known()[work.job.spec.name], Runs, ATTRIBUTE)
    return JobEnded(job=work.job.id, result=again(lambda: runner.do(work)))
