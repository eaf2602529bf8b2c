"""Opening a file that anybody may have put there: it never hangs, and no link leads it elsewhere."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from errno import ELOOP, ENOTDIR, ENXIO
from pathlib import Path
from typing import Final

#: The name of Relay's own folder in a project's root, and the one where a file has that name, as Eclipse's does.
OWN_FOLDERS: Final = (".project", ".relay")
_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotPlainError(Exception):
    """The thing there is no plain file, or a larger one than is read; `what` says what it is ("a FIFO")."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def kind_of(mode: int) -> str:
    """The kind of file that an `st_mode` denotes, in words."""
    return next((words for test, words in _KINDS if test(mode)), "a plain file")


def read_plain(path: Path | str, *, limit: int, folder: int | None = None) -> bytes | None:
    """The content of a plain file of at most `limit` bytes, None if there is nothing.

    With the descriptor `folder`, `path` is a name in it. Raises `NotPlainError`, `OSError`.
    """
    try:
        descriptor = open_plain(path, folder=folder)
    except FileNotFoundError:
        return None
    try:
        return _read_all(descriptor, limit)
    finally:
        os.close(descriptor)


def open_plain(path: Path | str, flags: int = os.O_RDONLY, *, folder: int | None = None) -> int:
    """A descriptor of a plain file. With O_CREAT among the `flags`, one that is missing is made, for its user alone.

    Raises `NotPlainError`, `OSError`.
    """
    with suppress(FileNotFoundError):  # looked at first: to open a device can already do something
        _require_plain(os.stat(path, dir_fd=folder, follow_symlinks=False))
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600, dir_fd=folder)
    except OSError as error:
        if error.errno in {ELOOP, ENXIO}:
            raise NotPlainError("no plain file") from error
        raise
    try:
        _require_plain(os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_own(path: Path, *, limit: int) -> bytes | None:
    """As `read_plain`, for a file in a project's own folder, which may be a link to another file of the project."""
    top = next((folder.parent for folder in path.parents if folder.name in OWN_FOLDERS), path.parent)
    try:
        target = Path(os.path.realpath(path, strict=True))  # Path.resolve raises RuntimeError for a loop before 3.13
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == ELOOP:
            raise NotPlainError("a link to itself") from error
        raise
    if not target.is_relative_to(top.resolve()):
        raise NotPlainError("a link that leaves the project")
    return read_plain(target, limit=limit)


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
