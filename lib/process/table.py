"""The processes of this machine, as rows that cost as little to read as they can."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

HAS_PROC: Final = sys.platform.startswith("linux")
KERNEL_THREAD: Final = 0x00200000  # PF_KTHREAD of include/linux/sched.h
MARK: Final = b"RELAY_JOB="
_STAT_BYTES: Final = 1024
_ENVIRON_BYTES: Final = 65_536


class Row(NamedTuple):
    """One process. `start_ticks` tells it from a later one with the same pid; `environ` is filled in by `ps` only."""

    pid: int
    ppid: int
    group: int
    session: int
    start_ticks: int
    ended: bool
    kernel: bool = False
    environ: bytes | None = None


def row(pid: int) -> Row | None:
    """The process `pid`, also when it has ended and was not reaped; None if there is none. Raises `OSError`."""
    if not HAS_PROC:
        from lib.process import ps

        return ps.row(pid)
    try:
        return parse_stat(pid, _read(f"/proc/{pid}/stat", _STAT_BYTES))
    except (FileNotFoundError, ProcessLookupError):
        return None


def rows() -> Iterator[Row | None]:
    """All processes by rising pid; None stands for one that ended after the list was made. Raises `OSError`."""
    if not HAS_PROC:
        from lib.process import ps

        return ps.rows()
    return (row(int(name)) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208 - as cheap as can be


def parse_stat(pid: int, stat: bytes) -> Row:
    """Reads a line of proc_pid_stat(5); the name in it may itself hold spaces, brackets and newlines."""
    fields = stat[stat.rindex(b")") + 2 :].split(None, 20)
    # The first thread of a process may end before the others: that alone looks like a zombie.
    ended = fields[0] in b"ZXx" and int(fields[17]) <= 1
    kernel = bool(int(fields[6]) & KERNEL_THREAD)
    return Row(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]), ended, kernel)


def environ_of(process: Row) -> bytes | None:
    """The environment that a process was started with, NUL between entries.

    None if it may not be read; empty also for a moment while the process replaces its program.
    """
    if process.environ is not None:
        return process.environ
    try:
        return _read(f"/proc/{process.pid}/environ", _ENVIRON_BYTES)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def mark_in(environ: bytes) -> bytes:
    """The job that an environment names, or nothing."""
    if environ.startswith(MARK):
        start = len(MARK)
    else:
        start = environ.find(b"\0" + MARK) + 1 + len(MARK)
        if start == len(MARK):
            return b""
    end = environ.find(b"\0", start)
    return environ[start:] if end < 0 else environ[start:end]


def _read(path: str, size: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = block = os.read(descriptor, size)
        while len(block) == size:
            block = os.read(descriptor, size)
            data += block
        return data
    finally:
        os.close(descriptor)
