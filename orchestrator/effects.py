"""Jobs that Relay does itself, with git and files. Each may be done again from any half-done state.

A function takes its `Work` and gives the `JobResult`; the name that jobs use is its key in `EFFECTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lib.atomic import replace_file
from lib.errors import RelayError
from lib.events import Event, JobEnded
from lib.git import clean as cleaning
from lib.git import conflict, land, merge, rescue, worktrees
from lib.git.inspect import resolve
from lib.git.run import Repo
from lib.model import JobResult
from orchestrator.jobs import Work

ARCHITECT_BRANCH = "architect"


def run_effect(work: Work) -> Event:
    """Does the job and gives the event of its end. Raises what the effect raises."""
    return JobEnded(job=work.job.id, result=EFFECTS[work.job.spec.name](work))
