"""A job is run at most once: whoever makes its claim file decides, its shim by claiming or we by revoking."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lib.files.safe_read import NotPlainError, read_plain
from lib.process.table import parse_stat

if TYPE_CHECKING:
    from lib.jobs import ProcessIdentity

CLAIM: Final = "claim"
REVOKED: Final = b"revoked"
MAX_BYTES: Final = 4096


def claimed(folder: Path) -> ProcessIdentity | None:
    """The shim that claimed the job, dead or alive; None if none did, or its claim is not written out yet."""
    text = read_claim(folder)
    return parse_claim(text) if text else None


def revoke(folder: Path) -> bool:
    """Takes the job from a shim that has not claimed it yet and may still be on its way; False if one has."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(folder / CLAIM, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    try:
        os.write(descriptor, REVOKED + b"\n")
    finally:
        os.close(descriptor)
    return True


def read_claim(folder: Path) -> bytes | None:
    """One line without its end; empty while it is not complete; None if nobody has claimed the job."""
    try:
        text = read_plain(folder / CLAIM, limit=MAX_BYTES)
    except NotPlainError:  # no shim makes that
        return b""
    if text is None:
        return None
    return text[:-1] if text.endswith(b"\n") else b""


def parse_claim(text: bytes) -> ProcessIdentity | None:
    """The process of a claim: boot id and the shim's line of proc_pid_stat(5), or its pid where there is no /proc."""
    from lib.jobs import ProcessIdentity
    from lib.process.identity import boot_id, identify

    boot, _, stat = text.partition(b" ")
    with contextlib.suppress(ValueError):  # not what a shim writes: then nobody's
        pid = int(stat.partition(b" ")[0])
        if b")" in stat:
            start_ticks = parse_stat(pid, stat).start_ticks
            return ProcessIdentity(pid=pid, start_ticks=start_ticks, boot_id=boot.decode("ascii"))
        return identify(pid) if boot.decode("ascii") == boot_id() else None
    return None
