"""The headline of a run: what it is at, in words. Pure; plain dicts go in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lib.display import counted
from lib.project.paths import BASE_WORKTREE
from lib.question import asked
from lib.steps import BUILD

Record = Mapping[str, Any]

#: What a job of the run as a whole does, by its name.
_DOING: Final = {
    "prepare": "making the worktree ready",
    "survey": "reading the repository",
    "design": "designing",
    "write_files": "writing the design",
    "vacate": "making the merged worktree ready",
    "merge": "merging",
    "checkout_merged": "checking out the merged tree",
    "setup": "making the merged tree ready",
    "verify": "verifying the merged tree",
    "land": "landing",
    "clean": "cleaning up",
}
#: The same of the tree that the run starts from.
_OF_BASE: Final = {
    "checkout_base": "checking out what is there",
    "setup": "making ready what is there",
    "verify": "verifying what is there, before anything is built",
    "drop_base": "cleaning up",
}


def headline(header: Record, mood: str, working: str, active: int) -> str:
    asks = asked(header["action_needed"]) if header["action_owner"] == "ci" else ""
    match mood:
        case "done" | "failed":
            if header["outcome"] == "cancelled" and not _ended_itself(header):
                return "Cancelled; branches are kept"
            return str(header["message"]).partition(": git merge ")[0]
        case "held":
            return "On hold until this is fixed"
        case "paused":
            return f"Paused, and waiting for you: {asks}" if asks else "Paused: nothing new is started"
        case "ask":
            return f"Waiting for you: {asks}" + (f"; {_going_on(header, active)} meanwhile" if active else "")
        case "down":
            itself = "itself" if active == 1 else "themselves"
            return f"Stopped; {_going_on(header, active)} by {itself}" if active else "Stopped: nothing is at work"
        case _:
            return working


def _ended_itself(header: Record) -> bool:
    """True if it was a step of its workflow that cancelled the run, which then says why."""
    return header["workflow"] != BUILD and not str(header["message"]).startswith("Cancelled;")


def _going_on(header: Record, active: int) -> str:
    told = counted(active, "builder" if header["workflow"] == BUILD else "step")
    return f"{told} goes on" if active == 1 else f"{told} go on"


def working(action: str, doing: str, progress: str) -> str:
    """The work that code is at, in words; builders and steps tell their part of it themselves, by their `progress`."""
    if action == "execution":
        return progress
    words = {"design": "Designing", "design_build": "Making builders", "merge_build": "Merging"}
    return doing[:1].upper() + doing[1:] or words.get(action, f"At work: {action.replace('_', ' ')}")


def building(built: int, total: int, active: int) -> str:
    return f"Building: {built} of {total} built" + (f", {active} at work" if active else "")


def stepping(done: int, total: int, active: int) -> str:
    if not total:
        return "Starting"
    return f"{done} of {counted(total, 'step')} done" + (f", {active} at work" if active else "")


def doing(job: Record) -> str:
    spec = job["spec"]
    of_base = spec["worktree"] == BASE_WORKTREE and _OF_BASE.get(spec["name"])
    what = of_base or _DOING.get(spec["name"]) or str(spec["name"]).replace("_", " ")
    by = f" by {spec['assistant']}" if spec.get("assistant") else ""
    return what + by + (f", being stopped: {job['stopping']}" if job["stopping"] else "")
