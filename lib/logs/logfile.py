"""A file of numbered lines that is only added to, and is whole again after whatever happened to it."""

from __future__ import annotations

import os
from errno import EINVAL, ELOOP
from typing import TYPE_CHECKING, Final

from lib.files.safe_read import NotPlainError, open_plain

if TYPE_CHECKING:
    import re
    from pathlib import Path

_TAIL_BYTES: Final = 65_536


class LogFile:
    """`cursor` is the number of the last line that was written. It is not synced: what it holds can be had again."""

    def __init__(
        self, path: Path, *, root: Path, number: re.Pattern[bytes], newest: int | None, rotate_bytes: int
    ) -> None:
        """No folder from `root` down to `path` may be a link. `number` finds a line's number as its first group.

        A file that is ahead of `newest` is put aside as PATH.1, like one that would grow past `rotate_bytes`.
        """
        self.path = path
        self.cursor = 0
        self._root = root
        self._number = number
        self._newest = newest
        self._rotate_bytes = rotate_bytes
        self._descriptor: int | None = None
        self._is_new = True

    def ready(self) -> None:
        """Opens the file, again if it or its folder was deleted or replaced meanwhile. Raises `OSError`."""
        if self._descriptor is not None and self._is_in_place(self._descriptor):
            return
        number = self._open()
        if self._is_new:
            self.cursor = number or self._rotated_number()
            self._is_new = False
            if self._newest is not None and self.cursor > self._newest:
                self.cursor = 0
                self._rotate()

    def append(self, lines: bytes, number: int) -> None:
        """Adds lines of which `number` is the last, all or none. Raises `OSError`."""
        if self._size() and self._size() + len(lines) > self._rotate_bytes:
            self._rotate()
        size = self._size()
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._open_descriptor, rest) :]
        except OSError:
            os.ftruncate(self._open_descriptor, size)
            raise
        self.cursor = number

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @property
    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise ValueError(f"{self.path} is not open")
        return self._descriptor

    @property
    def _rotated(self) -> Path:
        return self.path.with_name(f"{self.path.name}.1")

    def _size(self) -> int:
        return os.fstat(self._open_descriptor).st_size

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(self.path.lstat(), os.fstat(descriptor))
        except OSError:
            return False

    def _rotate(self) -> None:
        self.path.replace(self._rotated)
        self._open()

    def _open(self) -> int:
        """Opens the file and gives the number of its last line, 0 if it has none."""
        self.close()
        for folder in self.path.relative_to(self._root).parents:
            if (self._root / folder).is_symlink() and folder.parts:
                raise OSError(ELOOP, f"{folder} is a symbolic link")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = _open_plain(self.path, os.O_CREAT)
        return _mended(self._descriptor, self._number)

    def _rotated_number(self) -> int:
        """For a crash between putting a full file aside and the first line of the next one."""
        try:
            descriptor = _open_plain(self._rotated, 0)
        except FileNotFoundError:
            return 0
        try:
            return _mended(descriptor, self._number)
        finally:
            os.close(descriptor)


def _open_plain(path: Path, flags: int) -> int:
    try:
        return open_plain(path, flags | os.O_RDWR | os.O_APPEND)
    except NotPlainError as error:
        raise OSError(EINVAL, "it is not a plain file") from error


def _mended(descriptor: int, number: re.Pattern[bytes]) -> int:
    """Cuts off a last line that a crash tore, and gives the number of the last line that has one; else 0."""
    size = os.fstat(descriptor).st_size
    span = min(size, _TAIL_BYTES)
    while True:
        tail = os.pread(descriptor, span, size - span)
        whole = tail.rfind(b"\n") + 1
        lines = tail[:whole].split(b"\n")[0 if span == size else 1 :]
        found = next((match for line in reversed(lines) if (match := number.search(line))), None)
        if found or span == size:
            if whole < span:
                os.ftruncate(descriptor, size - span + whole)
            return int(found[1]) if found else 0
        span = min(size, span * 2)
