"""Room on a disk: if any is left, and a first block of a file that is kept for when there is none."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from errno import EEXIST
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lib.files.safe_read import NotPlainError, open_plain

if TYPE_CHECKING:
    from collections.abc import Callable

_KEEP_SIZE: Final = 1
_BYTES: Final = 4096
#: With less free room than this, a disk counts as full.
NEARLY_FULL_BYTES: Final = 1 << 20


def is_full(folder: Path) -> bool:
    """True if the disk that a folder is on has next to no room left, or no inodes."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < NEARLY_FULL_BYTES or bool(room.f_files and not room.f_favail)


def reserve(file: Path) -> None:
    """Makes the file if it is missing, with room for a first block; it stays as long as it was.

    Where the file system can't keep room, nothing is kept. Raises `OSError` if it can't be made, as when no room is
    left.
    """
    try:
        descriptor = open_plain(file, os.O_WRONLY | os.O_CREAT)
    except NotPlainError as error:
        raise FileExistsError(EEXIST, f"{error.what} is in its place", str(file)) from error
    try:
        with suppress(AttributeError, ImportError, OSError):  # none there, or none to be had without a descriptor
            _fallocate()(descriptor, _KEEP_SIZE, 0, _BYTES)
    finally:
        os.close(descriptor)


@cache
def _fallocate() -> Callable[[int, int, int, int], int]:
    """fallocate(2); Python's own call would make the file longer."""
    import ctypes

    if not sys.platform.startswith("linux"):
        raise AttributeError("fallocate")
    call = ctypes.CDLL(None).fallocate
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    call.restype = ctypes.c_int
    return call
