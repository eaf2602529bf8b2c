"""Survival of a power cut: a file system is written out as a whole, and what a cut left unwritten is recognised.

A program that does not call fsync(2), as most, leaves files that are there after a cut and hold nothing: their names
were written out and their content was not.
"""

from __future__ import annotations

import os
import struct
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import ctypes

_PIECE_BYTES: Final = 1 << 16
#: From linux/stat.h and statx(2): what is asked for, and where it is in the answer.
_STATX_BYTES: Final = 256
_MNT_ID_UNIQUE: Final = 0x4000
_MNT_ID_AT: Final = 144
_AT_FDCWD: Final = -100


def sync_filesystems(*folders: Path) -> None:
    """Makes all that was written to the file systems of `folders` survive a power cut. Raises `OSError`.

    One call for each file system, however many files there are (syncfs(2)).
    """
    for folder in {folder.stat().st_dev: folder for folder in folders}.values():
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _syncfs(descriptor, folder)
        finally:
            os.close(descriptor)


def sync_file(path: Path) -> None:
    """Makes the content of a file, or the names in a folder, survive a power cut. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@cache
def _libc() -> ctypes.CDLL:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def _syncfs(descriptor: int, folder: Path) -> None:
    import ctypes

    libc = _libc()
    if not hasattr(libc, "syncfs"):  # macOS
        os.sync()
    elif libc.syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(folder))


def mounted(folder: Path) -> str:
    """Names the time since the file system of `folder` was mounted: another one after a power cut or a reboot.

    Before Linux 6.8 it is the time since the machine was started.
    """
    import ctypes

    from lib.process.identity import boot_id

    libc = _libc()
    answer = ctypes.create_string_buffer(_STATX_BYTES)
    mount = 0
    if hasattr(libc, "statx") and not libc.statx(_AT_FDCWD, os.fsencode(folder), 0, _MNT_ID_UNIQUE, answer):
        (told,) = struct.unpack_from("=I", answer)
        if told & _MNT_ID_UNIQUE:
            (mount,) = struct.unpack_from("=Q", answer, _MNT_ID_AT)
    return f"{boot_id()} {mount}"


def hollow(file: Path) -> bool:
    """True if a plain file is empty or holds nothing but zeros."""
    with file.open("rb") as stream:
        return not any(piece.strip(b"\0") for piece in iter(lambda: stream.read(_PIECE_BYTES), b""))
