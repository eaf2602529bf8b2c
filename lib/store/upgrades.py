"""Documents of the run database as earlier versions of Relay wrote them, brought to the format of this one. Pure.

A document is the JSON of a step, a job, an event, or a run's header or configuration. Each row says in which format its
documents are; every step of the chain knows the changes from one format to the next, for all kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

Document = dict[str, Any]


class Kind(StrEnum):
    """The kinds of documents."""

    STEP = "step"
    JOB = "job"
    EVENT = "event"
    HEADER = "header"
    CONFIG = "config"


def upgraded(kind: Kind, document: Document, written: int) -> Document:
    """The document, which was written in format `written`, in `FORMAT`."""
    for change in _CHAIN[written - 1 :]:
        if kind in change:
            document = change[kind](document)
    return document


# --- from 1, of version 0.1, to 2 ------------------------------------------------------------------------------------

#: The status of a step and what else is true of it, by the status of a builder, which had all in one.
_STATUSES: Final[Mapping[str, Document]] = {
    "preparing": {"status": "running", "stage": "preparing"},
    "running": {"status": "running", "stage": "working"},
    "verifying": {"status": "running", "stage": "verifying"},
    "built": {"status": "done"},
    "merged": {"status": "done", "merged": True},
    "landed": {"status": "done", "merged": True, "landed": True},
}


def _step_of_builder(builder: Document) -> Document:
    return {"stage": "", "merged": False, "landed": False} | _fields_of_builder(builder)


def _fields_of_builder(builder: Document) -> Document:
    """The fields of a step, or a change of them, by those of a builder."""
    step = {key: value for key, value in builder.items() if key != "tip"}
    if "tip" in builder:
        step["commit"] = builder["tip"]
    return step | _STATUSES.get(str(builder.get("status")), {})


#: The keys of a job's task beside those that all have, by its kind; it had all of them.
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "assistant": ("role", "assistant", "prompt", "session", "timeout_s", "idle_timeout_s"),
    "command": ("command", "env", "timeout_s", "idle_timeout_s"),
    "effect": ("args",),
}
#: What every kind of result has for itself now, and had among its data, where an effect's may have the same name.
_OUT_OF_DATA: Final[Mapping[str, type]] = {
    **dict.fromkeys(("text", "tail", "command", "shadow"), str),
    **dict.fromkeys(("printed", "kept"), bool),
}


def _job_of_builder(job: Document) -> Document:
    old = job["spec"]
    spec = {key: old[key] for key in ("kind", "name", "worktree", *_KEYS[old["kind"]]) if key in old}
    result = _result_with_data(job["result"]) if job.get("result") else None
    return job | {"spec": spec | {"step": old["builder"]}, "result": result}


def _result_with_data(result: Document) -> Document:
    data = dict(result.get("data", {}))
    own = {key: data.pop(key) for key, kind in _OUT_OF_DATA.items() if isinstance(data.get(key), kind)}
    return result | own | {"warnings": data.pop("told", []), "data": data}


def _event_of_builder(event: Document) -> Document:
    match event["kind"]:
        case "builder_added":
            return {"kind": "step_added", "step": _step_of_builder(event["builder"])}
        case "builder_changed":
            changes = _fields_of_builder(event["changes"])
            return {"kind": "step_changed", "step": event["builder"], "changes": changes}
        case "asked":
            return {key: value for key, value in event.items() if key != "builders"} | {
                "steps": event.get("builders", [])
            }
        case "job_started":
            return event | {"job": _job_of_builder(event["job"])}
        case "job_ended":
            return event | {"result": _result_with_data(event["result"])}
        case _:
            return event


# --- from 2 to 3 -----------------------------------------------------------------------------------------------------


def _header_with_answered(header: Document) -> Document:
    engine = {"answered" if key == "answers" else key: value for key, value in header["engine"].items()}
    return header | {"engine": engine}


# --- from 3 to 4 -----------------------------------------------------------------------------------------------------


def _step_with_kind(step: Document) -> Document:
    """Every step was a builder, and needed those that its component depends on."""
    return {"kind": "builder", "needs": step.get("component", {}).get("depends_on", [])} | step


def _event_with_kind(event: Document) -> Document:
    return event | {"step": _step_with_kind(event["step"])} if event["kind"] == "step_added" else event


_CHAIN: Final[tuple[Mapping[Kind, Callable[[Document], Document]], ...]] = (
    {Kind.STEP: _step_of_builder, Kind.JOB: _job_of_builder, Kind.EVENT: _event_of_builder},
    {Kind.HEADER: _header_with_answered},
    {Kind.STEP: _step_with_kind, Kind.EVENT: _event_with_kind},
)
#: The format in which this version writes.
FORMAT: Final = len(_CHAIN) + 1
