"""Identity of a process, its running time, and the wait for its end. A pid alone is somebody else's sooner or later."""

from __future__ import annotations

import contextlib
import os
import time
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from lib.process.table import HAS_PROC, read, row

if TYPE_CHECKING:
    from lib.jobs import ProcessIdentity
    from lib.model import Now


@cache
def boot_id() -> str:
    """Names the time since the machine was last started. Read once: later there may be no descriptor for it."""
    if HAS_PROC:
        return read("/proc/sys/kernel/random/boot_id").decode().strip()
    import subprocess

    command = ["sysctl", "-n", "kern.bootsessionuuid"]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()


def mono_s() -> float:
    """Seconds since boot, those asleep included; no jump of the wall clock moves it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME if HAS_PROC else time.CLOCK_MONOTONIC)


def now() -> Now:
    from lib.model import Now

    return Now(wall=datetime.now(UTC), mono_s=mono_s(), boot_id=boot_id())


def identify(pid: int) -> ProcessIdentity | None:
    """The process with that pid now, also if ended and not reaped. Raises `OSError` without a free descriptor."""
    from lib.jobs import ProcessIdentity

    found = row(pid)
    return ProcessIdentity(pid=pid, start_ticks=found.start_ticks, boot_id=boot_id()) if found else None


def alive(identity: ProcessIdentity) -> bool:
    """True if that very process runs (or is suspended); one that has ended and was not reaped does not."""
    return is_running(identity.pid, identity.start_ticks) and identity.boot_id == boot_id()


def is_running(pid: int, start_ticks: int) -> bool:
    found = row(pid)
    return found is not None and found.start_ticks == start_ticks and not found.ended


def running_s(identity: ProcessIdentity) -> float:
    """Seconds since it started. Without /proc only the wall clock tells, and its jumps show."""
    if HAS_PROC:
        return mono_s() - identity.start_ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - identity.start_ticks


def watch_fd(identity: ProcessIdentity) -> int | None:
    """A descriptor that a selector finds readable once the process has ended, at once if it has; `close_watch` it.

    None where the system has none to give (no pidfd_open(2), no descriptor left): ask `alive` now and then.
    """
    return watch(identity.pid, identity.start_ticks)


def watch(pid: int, start_ticks: int) -> int | None:
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return _readable()
    except OSError:  # too old a kernel, a seccomp filter, or no descriptor left
        return None
    try:
        if is_running(pid, start_ticks):
            return descriptor
    except OSError:
        os.close(descriptor)
        return None
    os.close(descriptor)
    return _readable()


def _readable() -> int | None:
    """A descriptor at its end: a selector finds it readable at once."""
    try:
        reading, writing = os.pipe()
    except OSError:
        return None
    os.close(writing)
    return reading


def close_watch(descriptor: int) -> None:
    os.close(descriptor)


def ended_with(pid: int) -> int | None:
    """As `reap`, but the status can be asked for again."""
    with contextlib.suppress(ChildProcessError):
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is not None:
            return found.si_status if found.si_code == os.CLD_EXITED else 128 + found.si_status
    return None


def reap(pid: int) -> int | None:
    """The exit status of a child of ours that has ended, as a shell counts it; None if it runs or is not ours."""
    with contextlib.suppress(ChildProcessError):  # adopted from an earlier orchestrator
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
    return None
