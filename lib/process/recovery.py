"""Finds what became of a job whose orchestrator is gone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lib.process.claim import REVOKED, parse_claim, read_claim, revoke
from lib.process.identity import alive, mono_s
from lib.process.shim import exit_status
from lib.process.tree import Member, Tree, await_ends

if TYPE_CHECKING:
    from lib.jobs import ProcessIdentity

#: A shim makes its claim and fills it in within well under a millisecond, unless the machine is overloaded.
SETTLE_S: Final = 0.5
POLL_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class Running:
    """It runs; `identity` is its shim's, or its oldest process's if the shim left no record."""

    identity: ProcessIdentity


@dataclass(frozen=True, slots=True)
class Exited:
    status: int


@dataclass(frozen=True, slots=True)
class NotStarted:
    """It never ran and never will: what was still on its way finds the job revoked."""


@dataclass(frozen=True, slots=True)
class Lost:
    """It ran, its shim is gone and recorded no exit. Other processes of it may live: `sweep` before anything else."""


Recovered = Running | Exited | NotStarted | Lost


def recover(folder: Path, job_id: str) -> Recovered:
    """Tells what became of a job that was to be started with that folder and mark, and revokes it if nothing did.

    After this the job is either known or will never run. Raises `OSError` if the folder can't be read or written.
    """
    if (status := exit_status(folder)) is not None:
        return Exited(status)
    claim = b"" if revoke(folder) else _settled(folder)
    if claim == REVOKED:
        return NotStarted()
    if not claim:
        # Revoked just now, or claimed by a shim that wrote no more. What bears the mark is on its way to its end, or
        # runs though its records were deleted.
        oldest = _oldest(job_id)
        return Running(oldest) if oldest else NotStarted()
    shim = parse_claim(claim)
    if shim is not None and alive(shim):
        return Running(shim)
    # It may have ended between the two looks.
    status = exit_status(folder)
    return Lost() if status is None else Exited(status)


def _settled(folder: Path) -> bytes:
    deadline = mono_s() + SETTLE_S
    while not (claim := read_claim(folder)) and mono_s() < deadline:
        time.sleep(POLL_S)
    return claim or b""


def _oldest(job_id: str) -> ProcessIdentity | None:
    tree = Tree({job_id: None})
    members = tree.scan()
    await_ends(members, SETTLE_S)
    left = [member for member in members if member.is_running()]
    return tree.identity(min(left, key=Member.age_key)) if left else None
