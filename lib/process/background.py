"""Leaving the terminal: the orchestrator goes on when whoever started it is gone."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from pathlib import Path

from lib.files.safe_read import open_plain
from lib.process.shim import inherited_descriptors

STDERR_FD = 2


def occupy_stdio() -> None:
    """Opens /dev/null in place of standard descriptors that are closed (`relay start >&-`).

    To be called before anything else is opened: a lock that got number 1 would be printed to, and lost in `detach`.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR_FD:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def detach(log: Path) -> int:
    """Forks a process that has left the terminal: its pid in the caller, 0 in the process itself.

    Its output is added to `log`. It keeps what this process holds open, locks included, but not what its starter left
    open in it: a pipe that somebody reads to its end. Raises `OSError` in the caller if it can't be made,
    `NotPlainError` for the log.
    """
    occupy_stdio()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # broken or closed: no reason to stay
            stream.flush()
    opened = [os.open(os.devnull, os.O_RDONLY), open_plain(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)]
    hear, tell = os.pipe()
    with os.fdopen(hear, "rb") as answer:
        try:
            child = os.fork()
            if child == 0:
                _leave(tell)
                _settle(*opened)
                return 0
        finally:
            for descriptor in (*opened, tell):
                os.close(descriptor)
        told = answer.read()
    os.waitpid(child, 0)
    if not told:
        raise OSError(errno.EAGAIN, "no process could be forked")
    return int(told)


def _leave(tell: int) -> None:
    """Returns in a grandchild: in a session without a terminal, and not its leader, so it can't get one either."""
    try:
        os.setsid()
        if (pid := os.fork()) == 0:
            return
        os.write(tell, b"%d" % pid)
    except OSError:
        os._exit(1)  # the caller hears nothing, and so learns of it
    os._exit(0)


def _settle(null: int, output: int) -> None:
    for standard, opened in enumerate((null, output, output)):
        os.dup2(opened, standard)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    for descriptor in inherited_descriptors():
        os.close(descriptor)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # inherited as ignored, it would lose every exit status
