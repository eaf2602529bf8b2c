"""The life cycle of a step: its statuses, the changes between them, and the words by which state.json shows it.

A step is anything that a run does; a builder is one with a branch and a worktree of its own. Light: readers of status
import this without pydantic.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

#: The workflow whose steps a design makes.
BUILD: Final = "build"


class StepKind(StrEnum):
    """The kinds of steps: those of a workflow's steps, and what Relay adds to them.

    A workspace is the worktree that the steps of a workflow share; a fan has an instance of a step for each item.
    """

    BUILDER = "builder"
    WORKSPACE = "workspace"
    PROMPT = "prompt"
    RUN = "run"
    GATE = "gate"
    END = "end"
    GROUP = "group"
    INCLUDE = "include"
    FAN = "fan"
    LOOP = "loop"


#: Steps that hold others.
BOXES: Final = frozenset({StepKind.GROUP, StepKind.INCLUDE, StepKind.FAN, StepKind.LOOP})
#: Steps at work of which nothing runs: a gate waits for its answer, a box for its members.
WAITING: Final = BOXES | {StepKind.GATE}


class TriggerRule(StrEnum):
    """The ends of what a step needs that let it start."""

    ALL_SUCCESS = "all_success"
    ALL_DONE = "all_done"
    ONE_SUCCESS = "one_success"
    NONE_FAILED_MIN_ONE_SUCCESS = "none_failed_min_one_success"


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
        """True if steps that need this one may start, unless it was ruled out: it is done, or a person has decided to
        go on without.
        """
        return self in {StepStatus.DONE, StepStatus.SKIPPED}


#: Every way that a status may change; what is not here is a bug. A step is pending again when a gate sends it back.
TRANSITIONS: Final[Mapping[StepStatus, frozenset[StepStatus]]] = MappingProxyType(
    {
        StepStatus.PENDING: frozenset(
            {StepStatus.RUNNING, StepStatus.DONE, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED}
        ),
        StepStatus.RUNNING: frozenset(
            {
                *(StepStatus.DONE, StepStatus.RETRYING, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED),
                StepStatus.PENDING,
            }
        ),
        StepStatus.RETRYING: frozenset(
            {StepStatus.RUNNING, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED, StepStatus.PENDING}
        ),
        StepStatus.DONE: frozenset({StepStatus.RETRYING, StepStatus.SKIPPED, StepStatus.PENDING}),
        StepStatus.FAILED: frozenset(
            {StepStatus.RETRYING, StepStatus.SKIPPED, StepStatus.CANCELLED, StepStatus.PENDING}
        ),
        StepStatus.SKIPPED: frozenset({StepStatus.RETRYING, StepStatus.PENDING}),
        StepStatus.CANCELLED: frozenset(),
    }
)


class Stage(StrEnum):
    """The part of its work that a running step is at."""

    PREPARING = "preparing"
    WORKING = "working"
    VERIFYING = "verifying"


class BuilderStatus(StrEnum):
    """The status of a step as state.json shows it: with the stage in it, and of a builder with the facts."""

    PENDING = "pending"
    PREPARING = "preparing"
    RUNNING = "running"
    VERIFYING = "verifying"
    DONE = "done"
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
        return self in {BuilderStatus.DONE, BuilderStatus.BUILT, BuilderStatus.MERGED, BuilderStatus.LANDED}


AT_WORK: Final = tuple(status for status in BuilderStatus if status.is_at_work)
BUILT: Final = tuple(status for status in BuilderStatus if status.is_built)


def shown_status(kind: str, status: str, stage: str, *, merged: bool, landed: bool) -> BuilderStatus:
    """The status to show by the kind, the status, the stage and the facts of a step."""
    match status:
        case StepStatus.DONE if kind == StepKind.BUILDER:
            return BuilderStatus.LANDED if landed else BuilderStatus.MERGED if merged else BuilderStatus.BUILT
        case StepStatus.RUNNING:
            return BuilderStatus(stage) if stage in {Stage.PREPARING, Stage.VERIFYING} else BuilderStatus.RUNNING
        case _:
            return BuilderStatus(status)


def is_counted(kind: str, status: BuilderStatus) -> bool:
    """True if the step counts as one of its run: a box that is at work or done counts by its members, and a workspace
    is no step of anybody's.
    """
    return kind != StepKind.WORKSPACE and not (kind in BOXES and (status.is_at_work or status.is_built))


def status_of(record: Mapping[str, Any]) -> BuilderStatus:
    """The status of a step, by its stored record or its line in state.json."""
    if "stage" not in record:
        return BuilderStatus(record["status"])
    return shown_status(
        record["kind"], record["status"], record["stage"], merged=record["merged"], landed=record["landed"]
    )
