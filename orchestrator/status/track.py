"""The way of a run, from its first stop to its end, and how far it is. Pure; plain dicts go in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from lib.steps import BUILD

Record = Mapping[str, Any]

#: The actions of `build` in order, each with the phase that it runs in.
ACTIONS: Final = {"design": "init", "design_build": "design", "execution": "execution", "merge_build": "merge_build"}
#: Those of a workflow of steps.
_OF_STEPS: Final = ("execution", "merge_build")
_MERGED: Final = frozenset({"landed", "stored"})


class Stop(NamedTuple):
    """One stop of the run's way; `state` is done, now or ahead."""

    name: str
    state: str


def track(header: Record, *, may_merge: bool) -> tuple[Stop, ...]:
    """The run's way through `build`, or that of a workflow's steps, of which something `may_merge`; just the phase
    where another goes its own.
    """
    outcome, names = header["outcome"], _names(header, may_merge=may_merge)
    if outcome in _MERGED or outcome == "done":
        return tuple(Stop(name, "done") for name in names)
    here = _here(header)
    if here is None:
        return (Stop(header["phase"], "now"),)
    at = names.index(here)
    return tuple(Stop(name, "done" if index < at else "ahead" if index > at else "now")
                 for index, name in enumerate(names))  # fmt: skip


def _names(header: Record, *, may_merge: bool) -> list[str]:
    outcome, last = header["outcome"], "stored" if header["outcome"] == "stored" else "landed"
    if header["workflow"] == BUILD:
        return [*ACTIONS, last]
    is_merging = header["phase"] == "merge_build" or outcome in _MERGED
    return [*_OF_STEPS, last] if is_merging or (may_merge and outcome is None) else ["execution"]


def _here(header: Record) -> str | None:
    """The action that the run is in; a design that waits for approval is made, and nothing is built of it."""
    known = {name: phase for name, phase in ACTIONS.items() if header["workflow"] == BUILD or name in _OF_STEPS}
    if header["workflow"] != BUILD and header["outcome"]:
        return "merge_build" if header["phase"] == "merge_build" else "execution"
    if header["action_needed"] == "approve_design":
        return "design_build"
    for action in (header["action_needed"], header["next_action"]):
        if action in known and (header["workflow"] == BUILD or known[action] == header["phase"]):
            return str(action)
    return next((action for action, phase in known.items() if phase == header["phase"]), None)
