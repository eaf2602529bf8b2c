"""Files that `lib.files.replace` took out of their place, and what editors that still have them open do to them.

Such a file lies beside the one that replaced it, as `.NAME.previous-HASH-…`. HASH is that of the bytes that it should
hold, so a save into it, or a crash before anybody looked at what was displaced, is found by its content alone.
Folders are descriptors.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lib.files.safe_read import NotPlainError, read_plain

MAX_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Late:
    """Data that was saved into a displaced file; whoever took it up, or set it aside, removes `path`."""

    path: Path
    data: bytes


def name_for(name: str, expected: bytes) -> str:
    """A new name for the file that is about to be displaced from `name`."""
    return f"{_prefix(name)}{_digest(expected)}-{secrets.token_hex(4)}"


def written_since(folder: int, name: str) -> tuple[str, bytes] | None:
    """The name and content of a file displaced from `name` that no longer holds what it should. Raises `OSError`."""
    for slot in _slots(folder, name):
        data = content_of(folder, slot)
        if data is not None and not _is_as_it_was(slot, name, data):
            return slot, data
    return None


def drop(folder: int, name: str, *, newest: str) -> None:
    """Removes the displaced files that nobody has saved into, nor can any more. Raises `OSError`.

    Where it is not known who can, the newest is kept.
    """
    for slot in _slots(folder, name):
        writable = _is_open_for_writing(folder, slot)
        if writable or (writable is None and slot == newest):
            continue
        data = content_of(folder, slot)
        if data is not None and _is_as_it_was(slot, name, data):
            os.unlink(slot, dir_fd=folder)


def read_in(folder: int, name: str) -> bytes | None:
    """The content of a file, None if there is none. Raises `NotPlainError`, `OSError`."""
    return read_plain(name, limit=MAX_BYTES, folder=folder)


def content_of(folder: int, name: str) -> bytes | None:
    """As `read_in`, but None also for what is no plain file."""
    try:
        return read_in(folder, name)
    except NotPlainError:
        return None


def _prefix(name: str) -> str:
    return f".{name}.previous-"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _slots(folder: int, name: str) -> list[str]:
    return [entry for entry in os.listdir(folder) if entry.startswith(_prefix(name))]


def _is_as_it_was(slot: str, name: str, data: bytes) -> bool:
    return slot.startswith(_prefix(name) + _digest(data))


def _is_open_for_writing(folder: int, name: str) -> bool | None:
    """True if any process has it open for writing: then, and only then, a read lease is refused (fcntl(2)).

    None where that can't be known: on other systems, on file systems without leases, and of somebody else's file.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return None
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None
    try:
        # the usual signal of a lease that is broken would end the process
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)  # which ends the lease
    return False
