"""The processes of this machine, as rows that cost as little to read as they can."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

HAS_PROC: Final = sys.platform.startswith("linux")
KERNEL_THREAD: Final = 0x00200000  # PF_KTHREAD of include/linux/sched.h
MARK: Final = b"RELAY_JOB="
#: How often to look for processes that were started while others were read.
PASSES: Final = 20
#: More than any machine can do.
MAX_FORKS_PER_S: Final = 1_000_000
_STAT_BYTES: Final = 1024
_ENVIRON_BYTES: Final = 65_536


class Row(NamedTuple):
    """One process. `start_ticks` tells it from a later one with the same pid, and `program` what it runs from what it
    ran before it was replaced (execve(2)). `name` is what it calls itself, at most 15 bytes. `environ` is filled in by
    `ps` only.
    """

    pid: int
    ppid: int
    group: int
    session: int
    start_ticks: int
    ended: bool
    kernel: bool = False
    program: int = 0
    name: bytes = b""
    environ: bytes | None = None


def row(pid: int) -> Row | None:
    """The process `pid`, one that has ended and was not reaped included; None if none can be seen. Raises `OSError`."""
    if not HAS_PROC:
        from lib.process import ps

        return ps.row(pid)
    try:
        return parse_stat(pid, read(f"/proc/{pid}/stat"))
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # the last where /proc hides others' (hidepid)
        return None


def rows(again: set[int], since_pid: int = 0, age_s: float = 0) -> Iterator[Row | None]:
    """All processes, those included that were started meanwhile. Raises `OSError`.

    One that is found to have ended may have started another after the table was listed, so that is listed until all
    that is new in it lives. Those that the caller puts into `again` are given once more. None at the end means
    some that came and went faster than they could be read, and may have left others. Those that were started before
    `since_pid`, which was started `age_s` seconds ago, may be left out.
    """
    if not HAS_PROC:
        from lib.process import ps

        yield from ps.rows()
        return
    seen: set[int] = set()
    for _ in range(PASSES):
        is_settled = True
        for pid in sorted(_pids(since_pid, age_s) - seen):
            seen.add(pid)
            process = row(pid)
            if process is not None:
                yield process
            if process is None or process.ended:
                is_settled = False
        if is_settled and not again:
            return
        seen -= again
        again.clear()
    yield None


def _pids(since_pid: int, age_s: float) -> set[int]:
    pids = {int(name) for name in os.listdir("/proc") if name.isdecimal()}  # noqa: PTH208 - as cheap as can be
    if since_pid and _pids_only_rose(since_pid, age_s):
        return {pid for pid in pids if pid >= since_pid}
    return pids


def _pids_only_rose(since_pid: int, age_s: float) -> bool:
    """True if all that was started later has a higher pid: they are given out in rising order, and then start over."""
    pids = int(read("/proc/sys/kernel/pid_max"))
    last = int(read("/proc/loadavg").split()[-1])
    return age_s < pids / MAX_FORKS_PER_S and last >= since_pid


def parse_stat(pid: int, stat: bytes) -> Row:
    """Reads a line of proc_pid_stat(5); the name in it may itself hold spaces, brackets and newlines."""
    fields = stat[stat.rindex(b")") + 2 :].split(None, 26)
    # The first thread of a process may end before the others: that alone looks like a zombie.
    ended = fields[0] in b"ZXx" and int(fields[17]) <= 1
    kernel = bool(int(fields[6]) & KERNEL_THREAD)
    name = stat[stat.index(b"(") + 1 : stat.rindex(b")")]
    ids = int(fields[1]), int(fields[2]), int(fields[3])
    # Each program gets its stack at a place of its own; a fork keeps it.
    return Row(pid, *ids, int(fields[19]), ended, kernel, int(fields[25]), name)


def environ_of(process: Row) -> bytes | None:
    """The environment that a process was started with, NUL between entries; empty also if it may not be read.

    None while it has none: for the moment in which it replaces its program, or ends.
    """
    if process.environ is not None:
        return process.environ
    try:
        environ = read(f"/proc/{process.pid}/environ", _ENVIRON_BYTES)
        return environ if environ or _is_bare(process.pid) else None
    except PermissionError:
        return b""
    except (FileNotFoundError, ProcessLookupError):
        return None


def _is_bare(pid: int) -> bool:
    """True if its environment is really empty, by `env_start` and `env_end` of proc_pid_stat(5).

    They differ if it was read as empty because its program was just being replaced. While that lasts they may be the
    same, but `startcode` is 0: Linux sets it after them (fs/binfmt_elf.c).
    """
    stat = read(f"/proc/{pid}/stat")
    fields = stat[stat.rindex(b")") + 2 :].split()
    return fields[23] != b"0" and fields[47] == fields[48]


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


def read(path: str, size: int = _STAT_BYTES) -> bytes:
    """A file of /proc as it is; `size` is more than it usually has."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = block = os.read(descriptor, size)
        while len(block) == size:
            block = os.read(descriptor, size)
            data += block
        return data
    finally:
        os.close(descriptor)
