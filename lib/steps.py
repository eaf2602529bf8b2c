"""The life cycle of a step: its statuses, the changes between them, and the words by which state.json shows it.

A step is anything that a run does; a builder is one with a branch and a worktree of its own. Light: readers of status
import this without pydantic.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final


class StepStatus(StrEnum):
    """The status of a step. What is proved of its work (verified, merged, landed) are facts beside it."""

    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def is_unfinished(self) -> bool:
        """True if a step that is cancelled now would lose something that was wanted of it."""
        return self not in {StepStatus.DONE, StepStatus.SKIPPED, StepStatus.CANCELLED}

    @property
    def wants_slot(self) -> bool:
        """True if the step starts as soon as it may."""
        return self in {StepStatus.PENDING, StepStatus.RETRYING}

    @property
    def satisfies(self) -> bool:
        """True if steps that need this one may start: it is done, or a person has decided to go on without."""
        return self in {StepStatus.DONE, StepStatus.SKIPPED}


#: Every way that a status may change; what is not here is a bug.
TRANSITIONS: Final[Mapping[StepStatus, frozenset[StepStatus]]] = MappingProxyType(
    {
        StepStatus.PENDING: frozenset({StepStatus.RUNNING, StepStatus.SKIPPED, StepStatus.CANCELLED}),
        StepStatus.RUNNING: frozenset(
            {StepStatus.DONE, StepStatus.RETRYING, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED}
        ),
        StepStatus.RETRYING: frozenset({StepStatus.RUNNING, StepStatus.SKIPPED, StepStatus.CANCELLED}),
        StepStatus.DONE: frozenset({StepStatus.RETRYING, StepStatus.SKIPPED}),
        StepStatus.FAILED: frozenset({StepStatus.RETRYING, StepStatus.SKIPPED, StepStatus.CANCELLED}),
        StepStatus.SKIPPED: frozenset({StepStatus.RETRYING}),
        StepStatus.CANCELLED: frozenset(),
    }
)


class Stage(StrEnum):
    """The part of its work that a running step is at."""

    PREPARING = "preparing"
    WORKING = "working"
    VERIFYING = "verifying"


class BuilderStatus(StrEnum):
    """The status of a builder as state.json shows it: that of its step, with the stage and the facts in it."""

    PENDING = "pending"
    PREPARING = "preparing"
    RUNNING = "running"
    VERIFYING = "verifying"
    BUILT = "built"
    MERGED = "merged"
    LANDED = "landed"
    RETRYING = "retrying"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def is_at_work(self) -> bool:
        return self in {BuilderStatus.PREPARING, BuilderStatus.RUNNING, BuilderStatus.VERIFYING}

    @property
    def is_built(self) -> bool:
        """True if its work is done, or further."""
        return self in {BuilderStatus.BUILT, BuilderStatus.MERGED, BuilderStatus.LANDED}


AT_WORK: Final = tuple(status for status in BuilderStatus if status.is_at_work)
BUILT: Final = tuple(status for status in BuilderStatus if status.is_built)


def shown_status(status: str, stage: str, *, merged: bool, landed: bool) -> BuilderStatus:
    """The status of a builder by the status, the stage and the facts of its step."""
    match status:
        case StepStatus.DONE:
            return BuilderStatus.LANDED if landed else BuilderStatus.MERGED if merged else BuilderStatus.BUILT
        case StepStatus.RUNNING:
            return BuilderStatus(stage) if stage in {Stage.PREPARING, Stage.VERIFYING} else BuilderStatus.RUNNING
        case _:
            return BuilderStatus(status)


def status_of(record: Mapping[str, Any]) -> BuilderStatus:
    """The status of a builder, of the stored record of its step or of its line in state.json."""
    if "stage" not in record:
        return BuilderStatus(record["status"])
    return shown_status(record["status"], record["stage"], merged=record["merged"], landed=record["landed"])
