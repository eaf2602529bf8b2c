"""Rows of the run database, as values: JSON stays text, or plain dicts, so that reading costs no pydantic import."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lib.names import shown
from lib.store.upgrades import FORMAT, Kind, upgraded

if TYPE_CHECKING:
    import sqlite3


class EventRow(NamedTuple):
    """One event as stored: `seq` grows over all runs of the database, `data` is the event's JSON.

    It was recorded at `at` (ISO 8601) and `mono_s` (CLOCK_BOOTTIME seconds; 0 in a run of version 0.1).
    """

    seq: int
    at: str
    run: str
    kind: str
    data: str
    mono_s: float = 0.0


class StepRow(NamedTuple):
    """One step: `data` is its JSON."""

    id: str
    data: str


class JobRow(NamedTuple):
    """One job: `data` is its JSON."""

    id: str
    dispatch: int
    ended: bool
    data: str


class Revision(NamedTuple):
    """The phase and the editable fields of state.json at one `rev`, and the SHA-256 of its bytes in hex."""

    rev: int
    sha256: str
    phase: str
    owner: str
    action: str
    feedback: str
    paused: bool


class Cause(StrEnum):
    """The reasons for which checkpoints are made: a step of the run, the time since the last change, a person, or the
    beginning of a run that goes on from another one.
    """

    TRANSITION = "transition"
    INTERVAL = "interval"
    PERSON = "person"
    FORK = "fork"


class Checkpoint(NamedTuple):
    """A checkpoint to be made.

    `commits` maps ids of builders, `merged` and `_base` to its commits. `pinned` names those that need a ref of their
    own, as none of the others contains them. `design` is the text of the design, if there is one. `cause` is a
    `Cause`.
    """

    label: str
    at: str
    commits: Mapping[str, str]
    pinned: Collection[str] = ()
    design: str | None = None
    cause: str = Cause.TRANSITION


class CheckpointMark(NamedTuple):
    """A checkpoint as a list of many has it: `at` is ISO 8601."""

    id: int
    run: str
    at: str
    cause: str


class StoredCheckpoint(NamedTuple):
    """A checkpoint: the run's header and steps as they were after event `event_seq`, and the commits by name.

    `config` holds the run's options, None in a checkpoint of version 0.1, which has no `design` and pins no commits.
    `size` is that of its texts in the row, in bytes.
    """

    id: int
    run: str
    event_seq: int
    label: str
    at: str
    header: dict[str, Any]
    steps: tuple[StepRow, ...]
    commits: dict[str, str]
    config: dict[str, Any] | None = None
    design: str | None = None
    cause: str = Cause.TRANSITION
    size: int = 0


class Unpinned(NamedTuple):
    """A checkpoint whose commits have no refs yet: those that are to have one, by name."""

    checkpoint: int
    run: str
    commits: dict[str, str]


class RunRow(NamedTuple):
    """One run in a list of runs; times are ISO 8601."""

    id: str
    instance_key: str
    instance: str
    root: str
    workflow: str
    requirement: str
    phase: str
    owner: str
    action: str
    paused: bool
    outcome: str | None
    rev: int
    created_at: str
    updated_at: str
    orchestrator: dict[str, Any] | None
    problem: dict[str, Any] | None


class Stored(NamedTuple):
    """A run as a whole, without its steps, jobs and events; `file_bytes` is the newest state.json.

    `definition` is that of its workflow; None for `build`.
    """

    row: RunRow
    header: dict[str, Any]
    options: dict[str, Any]
    file_bytes: bytes | None
    definition: dict[str, Any] | None = None


RUN_COLUMNS: Final = ", ".join(RunRow._fields)


def run_row(row: sqlite3.Row) -> RunRow:
    """A row that has at least `RUN_COLUMNS`."""
    values = {name: row[name] for name in RunRow._fields}
    values["root"] = os.fsdecode(values["root"])
    values["paused"] = bool(values["paused"])
    values["orchestrator"] = json.loads(values["orchestrator"] or "null")
    values["problem"] = json.loads(values["problem"] or "null")
    return RunRow(**values)


def stored_checkpoint(row: sqlite3.Row) -> StoredCheckpoint:
    """A whole row of `checkpoints`."""
    values = {name: row[name] for name in StoredCheckpoint._fields if name != "size"}
    values["size"] = sum(len((row[name] or "").encode()) for name in ("header", "steps", "commits", "config", "design"))
    values["header"] = upgraded(Kind.HEADER, json.loads(values["header"]), row["format"])
    steps = (StepRow(*step) for step in json.loads(values["steps"]))
    values["steps"] = tuple(step._replace(data=current(Kind.STEP, step.data, row["format"])) for step in steps)
    commits = json.loads(values["commits"])
    values["commits"] = {name.rpartition("/")[2]: commit for name, commit in commits.items()}  # 0.1: by branch
    config = json.loads(values["config"] or "null")
    values["config"] = upgraded(Kind.CONFIG, config, row["format"]) if config else None
    return StoredCheckpoint(**values)


def current(kind: Kind, data: str, written: int) -> str:
    """The JSON of a document in the format of this version; `written` is that of its row."""
    return data if written == FORMAT else json.dumps(upgraded(kind, json.loads(data), written))


def event_row(row: sqlite3.Row) -> EventRow:
    """A whole row of `events`."""
    values = {name: row[name] for name in EventRow._fields}
    if row["format"] != FORMAT:
        data = upgraded(Kind.EVENT, json.loads(row["data"]), row["format"])
        values |= {"kind": data["kind"], "data": json.dumps(data)}
    return EventRow(**values)


def run_values(header: Mapping[str, Any], problem: Mapping[str, Any] | None) -> dict[str, Any]:
    """The columns of `runs` that follow from a header with the keys of `State`."""
    return {
        "workflow": header["workflow"],
        "requirement": storable(header["requirement"]),
        "phase": header["phase"],
        "owner": header["action_owner"],
        "action": header["action_needed"],
        "paused": bool(header["paused"]),
        "outcome": header["outcome"],
        "rev": header["rev"],
        "created_at": header["created_at"],
        "updated_at": header["updated_at"],
        "problem": json_or_null(problem),
        "header": json.dumps(header),
        "format": FORMAT,
    }


def json_or_null(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value)


def storable(text: str) -> str:
    """The text without lone surrogates, which SQLite can't store, as state.json shows it."""
    return shown(text)
