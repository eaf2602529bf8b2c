"""One landing at a time in a repository, whichever instance, project or work tree it comes from."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from lib.errors import RelayError
from lib.git.run import CHECKOUT_TIMEOUT_S, Repo
from lib.names import quote
from lib.project.lock import LockError

#: For as long as a landing may take, and a few that wait before this one.
PATIENCE_S: Final = 4 * CHECKOUT_TIMEOUT_S
_PAUSE_S: Final = 0.02
_LOOK_S: Final = 0.5
#: Nobody else can open it, so nobody else holds the lock. Its owner can, to copy a project.
_MODE: Final = 0o600


@contextmanager
def alone(
    repo: Repo, patience_s: float = PATIENCE_S, *, waiting: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Held from the first look at the user's checkout to the end of a landing.

    While others land, `waiting` is called now and then; what it raises ends the wait. Raises `RelayError`:
    `landing_busy` if another one takes longer than `patience_s`, `lock_failed`.
    """
    file = repo.common_dir / "relay" / "landing"
    look_mono_s = time.monotonic()
    deadline_mono_s = look_mono_s + patience_s
    while (held := _taken(file)) is None:
        if time.monotonic() > deadline_mono_s:
            message = f"another run has been landing in this repository for {patience_s:g} s"
            raise RelayError(message, remedy=f"fuser -v {quote(str(file))}", code="landing_busy")
        if time.monotonic() >= look_mono_s:
            look_mono_s += _LOOK_S
            waiting()
        time.sleep(_PAUSE_S)
    try:
        yield
    finally:
        os.close(held)


def _taken(file: Path) -> int | None:
    """A descriptor with the lock on it, None if somebody else has it."""
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, _MODE)
    except OSError as error:
        message = f"{file} can't be used: {error.strerror}"
        raise LockError(message, remedy=f"ls -l {quote(str(file))}", code="lock_failed") from error
    held = False
    try:
        with suppress(BlockingIOError, FileNotFoundError):  # somebody has it, or deleted it just now
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = os.path.samestat(os.fstat(descriptor), file.lstat())
    finally:
        if not held:
            os.close(descriptor)
    return descriptor if held else None
