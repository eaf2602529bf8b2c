"""A private index, read without git (gitformat-index(5)): which tree it holds, and if git looks at all its files."""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

#: Begins every index.
SIGNATURE: Final = b"DIRC"
_HEADER: Final = struct.Struct(">4sII")
_EXTENSION: Final = struct.Struct(">4sI")
_NAME_MAX: Final = 0xFFF
_EXTENDED: Final = 0x4000
#: Extended, as those are that git skips by order; assumed to be unchanged; or a stage of a merge.
_SPECIAL: Final = 0xF000
_OLDEST, _COMPRESSED = 2, 4
_SUBMODULE: Final = 0o160000
_PLAIN: Final = frozenset({0o100644, 0o100755, 0o120000})
_ROOT: Final = re.compile(rb"\0\d+ \d+\n")


class Index(NamedTuple):
    """`tree` is what the index holds, None if git has not noted it since it was changed.

    `plain` if it lists files and links only, none that git does not look at by order, and no unresolved ones;
    `submodules` if there are some.
    """

    tree: str | None
    plain: bool
    submodules: bool


def read_index(file: Path, oid_chars: int) -> Index | None:
    """None if only git can tell; objects have names of `oid_chars` hexadecimal digits."""
    with suppress(OSError, struct.error, ValueError, IndexError):
        return _parsed(file.read_bytes(), oid_chars // 2)
    return None


def _parsed(data: bytes, oid_bytes: int) -> Index | None:
    signature, version, count = _HEADER.unpack_from(data)
    if signature != SIGNATURE or not _OLDEST <= version <= _COMPRESSED:
        return None
    entry = struct.Struct(f">24xI12x{oid_bytes}xH")  # mode and flags, between what stat(2) says and the object
    at, plain, submodules = _HEADER.size, True, False
    for _ in range(count):
        mode, flags = entry.unpack_from(data, at)
        if mode not in _PLAIN or flags & _SPECIAL:
            plain, submodules = False, submodules or mode == _SUBMODULE
        at = _end_of_entry(data, at, entry.size, flags, version)
    tree = None
    while at < len(data) - oid_bytes:
        name, size = _EXTENSION.unpack_from(data, at)
        at += _EXTENSION.size
        if name == b"TREE":
            tree = _tree(data[at : at + size], oid_bytes)
        elif not name[:1].isupper():  # git must understand it to read the index
            return None
        at += size
    return Index(tree, plain, submodules)


def _end_of_entry(data: bytes, start: int, size: int, flags: int, version: int) -> int:
    """An entry is `size` bytes, two more if it is extended, and its name, which is padded but for compressed ones."""
    at = start + size + (2 if flags & _EXTENDED else 0)
    if version == _COMPRESSED:  # first how much it has not in common with the one before
        while data[at] & 0x80:
            at += 1
        return data.index(b"\0", at + 1) + 1
    length = flags & _NAME_MAX
    end = at + length if length < _NAME_MAX else data.index(b"\0", at)
    return start + (end - start + 8) // 8 * 8


def _tree(extension: bytes, oid_bytes: int) -> str | None:
    """The root of the trees that git has noted, unless it has changed since: then its count is less than 0."""
    found = _ROOT.match(extension)
    return extension[found.end() : found.end() + oid_bytes].hex() if found else None
