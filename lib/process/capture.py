"""Output of a job, on its way to its files: through a process that masks secrets (`lib.secrets.scribe`).

It belongs to nobody: no child of ours, and no process of the job's, so that it outlives both for as long as there is
something to write.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from lib.files.safe_read import NotPlainError, open_plain
from lib.process.identity import mono_s
from lib.secrets.masking import SECRET_NAME, Masker
from lib.secrets.scribe import ANSWER, ENDED, ERR, ERR_FILE, OUT, OUT_FILE, SECRETS, told

OUTPUT: Final = ("output.log", "stderr.log")
#: Descriptors from here on are none that are given to the scribe or to a shim.
_HIGH: Final = 16
_MAIN: Final = "import sys; sys.path.insert(0, sys.argv[1]); from lib.secrets.scribe import main; main()"
_ROOT: Final = str(Path(__file__).parents[2])
#: Starts a program that is nobody's child, and that signals only end by force.
_ORPHAN: Final = ("/bin/sh", "-c", 'trap "" HUP INT QUIT TERM; "$@" &', "relay-scribe")
_WAIT_S: Final = 5.0
_POLL_S: Final = 0.01


class Ends(NamedTuple):
    """Pipe ends of a shim: both streams, one to close when its program has ended, and one to then read the answer."""

    out: int
    err: int
    ended: int
    answer: int


@contextmanager
def captured(
    folder: Path, environ: Mapping[str, str], declared: Mapping[str, str], not_passed: Iterable[int]
) -> Iterator[Ends]:
    """Starts the scribe of a job that prints into `folder`, has this environment and these secrets. Raises `OSError`.

    Descriptors that are `not_passed` are closed in it. The ends are open in the context only: unless a shim has got
    them by then, the scribe ends.
    """
    with ExitStack() as stack:
        out, out_end = _pipe(stack)
        err, err_end = _pipe(stack)
        ended, ended_end = _pipe(stack)
        answer, answer_end = _pipe(stack)
        files = [_opened(stack, folder / name) for name in OUTPUT]
        # Held by the scribe with the file, until it ends.
        fcntl.flock(files[0], fcntl.LOCK_SH | fcntl.LOCK_NB)
        own = {OUT: out, ERR: err, ENDED: ended, ANSWER: answer_end, OUT_FILE: files[0], ERR_FILE: files[1]}
        with ExitStack() as both:
            secrets, secrets_end = _pipe(both)
            _start({**own, SECRETS: secrets}, errors=files[1], not_passed=not_passed)
            writing = os.dup(secrets_end)
        with os.fdopen(writing, "wb") as stream:  # no end to read is left here: that of a dead scribe breaks the pipe
            stream.write(told(Masker.from_environ(environ, declared).known()))
        yield Ends(out_end, err_end, ended_end, answer)


def await_written(folder: Path) -> None:
    """Returns once the scribe of a job whose processes have ended has, too; after some seconds in any case."""
    deadline = mono_s() + _WAIT_S
    with suppress(FileNotFoundError, NotPlainError), os.fdopen(open_plain(folder / OUTPUT[0]), "rb") as stream:
        while mono_s() < deadline:
            with suppress(BlockingIOError):
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(_POLL_S)


def _start(own: Mapping[int, int], *, errors: int, not_passed: Iterable[int]) -> None:
    argv = (*_ORPHAN, sys.executable, "-I", "-S", "-c", _MAIN, _ROOT)
    environ = {name: value for name, value in os.environ.items() if not SECRET_NAME.search(name)}
    actions = [
        *((os.POSIX_SPAWN_CLOSE, number) for number in not_passed),
        *((os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1)),
        (os.POSIX_SPAWN_DUP2, errors, 2),
        *((os.POSIX_SPAWN_DUP2, descriptor, number) for number, descriptor in own.items()),
    ]
    pid = os.posix_spawn(argv[0], argv, environ, file_actions=actions, setsid=True,
                         setsigmask=(), setsigdef=(signal.SIGCHLD, signal.SIGPIPE))  # fmt: skip
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def _pipe(stack: ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    try:
        return _high(stack, read), _high(stack, write)
    finally:
        os.close(read)
        os.close(write)


def _opened(stack: ExitStack, file: Path) -> int:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        return _high(stack, descriptor)
    finally:
        os.close(descriptor)


def _high(stack: ExitStack, descriptor: int) -> int:
    """Another one of the same, closed with `stack`: a low number may be one that is given to a child."""
    high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    stack.callback(os.close, high)
    return high
