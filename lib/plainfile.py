"""Reading a file that anybody may have put there: it never hangs, and no link leads it elsewhere."""

from __future__ import annotations

import os
import stat
from errno import ELOOP, ENOTDIR, ENXIO
from pathlib import Path
from typing import Final

_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotPlainError(Exception):
    """What stands there is no plain file, or a larger one than is read; `what` says what it is ("a FIFO")."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def kind_of(mode: int) -> str:
    """What an `st_mode` says that something is, in words."""
    return next((words for test, words in _KINDS if test(mode)), "a plain file")


def read_plain(path: Path | str, *, limit: int, folder: int | None = None) -> bytes | None:
    """The content of a plain file of at most `limit` bytes, None if there is nothing.

    With the descriptor `folder`, `path` is a name in it. Raises `NotPlainError`, `OSError`.
    """
    try:
        # looked at first: to open a device can already do something
        _require_plain(os.stat(path, dir_fd=folder, follow_symlinks=False))
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        descriptor = os.open(path, flags, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in {ELOOP, ENXIO}:
            raise NotPlainError("no plain file") from error
        raise
    try:
        _require_plain(os.fstat(descriptor))
        return _read_all(descriptor, limit)
    finally:
        os.close(descriptor)


def open_folder(path: Path) -> int:
    """A descriptor of a folder. Raises `NotPlainError` when it is a link or no folder, `OSError`."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {ELOOP, ENOTDIR} and os.path.lexists(path):
            raise NotPlainError(kind_of(path.lstat().st_mode)) from error
        raise


def _require_plain(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotPlainError(kind_of(found.st_mode))


def _read_all(descriptor: int, limit: int) -> bytes:
    parts = []
    left = limit + 1
    while left and (part := os.read(descriptor, left)):
        parts.append(part)
        left -= len(part)
    if not left:
        raise NotPlainError(f"a file of more than {limit:,} bytes")
    return b"".join(parts)
