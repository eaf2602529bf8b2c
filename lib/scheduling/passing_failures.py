"""Failures of the machine that say nothing about the work: a full disk, no free descriptor, a lock that is held.

What failed by one of them is done again once that has passed; nothing that was done before it is repeated.
"""

from __future__ import annotations

from errno import EAGAIN, EDQUOT, EIO, EMFILE, ENFILE, ENOMEM, ENOSPC, EROFS, ESTALE, ETIMEDOUT
from typing import TYPE_CHECKING, Final

from lib.errors import RelayError

if TYPE_CHECKING:
    from lib.model import Problem

DISK_FULL: Final = "disk_full"
#: Errors of the system that pass, or that somebody mends while the run waits: our code, and what to type.
_ERRORS: Final = {
    ENOSPC: (DISK_FULL, "df -h; df -i"),
    EDQUOT: (DISK_FULL, "quota"),
    EMFILE: ("no_descriptors", "ulimit -n 4096"),
    ENFILE: ("no_descriptors", "sysctl fs.file-max"),
    EAGAIN: ("no_processes", "ulimit -u unlimited"),
    ENOMEM: ("no_memory", "free -h"),
    EROFS: ("read_only", "mount"),
    EIO: ("io_error", "dmesg | tail"),
    ESTALE: ("io_error", "mount"),
    ETIMEDOUT: ("io_error", "mount"),
}
_CODES: Final = frozenset({DISK_FULL, "write_full", "write_readonly", "git_locked", "state_busy", "store_busy"})
PAUSE_S: Final = 1.0
PAUSE_MAX_S: Final = 30.0


def passing(error: OSError | RelayError) -> Problem | None:
    """The problem that an error is if the same call may succeed later, else None."""
    from lib.model import Problem

    cause = error if isinstance(error, OSError) else error.__cause__
    code, remedy = _ERRORS.get(cause.errno or 0, ("", "")) if isinstance(cause, OSError) else ("", "")
    if isinstance(error, RelayError):
        known = code or error.code in _CODES
        return Problem(code=error.code, message=error.message, remedy=error.remedy) if known else None
    if not code:
        return None
    place = f": {error.filename}" if error.filename else ""
    return Problem(code=code, message=f"the system refused it: {error.strerror}{place}", remedy=remedy)


def pause_s(tries: int) -> float:
    """Seconds before the next try after so many that failed: doubling, capped."""
    return float(min(PAUSE_MAX_S, PAUSE_S * 2.0 ** min(tries - 1, 10)))
