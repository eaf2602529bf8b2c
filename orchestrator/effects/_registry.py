"""Effects by name, each imported when it is first done."""

from __future__ import annotations

from functools import cache

from lib.events import Event, JobEnded
from lib.git.run import again
from lib.project.plugins import Source, load, sources
from orchestrator import effects
from orchestrator.effects._runner import Runs
from orchestrator.work import Work

ATTRIBUTE = "effect"


@cache
def known() -> dict[str, Source]:
    """The effects that there are, nothing of them imported."""
    return sources(effects)


def run_effect(work: Work) -> Event:
    """Does the job and gives the event of its end. Raises what the effect raises."""
    runner = load(known()[work.job.spec.name], Runs, ATTRIBUTE)
    return JobEnded(job=work.job.id, result=again(lambda: runner.do(work)))
