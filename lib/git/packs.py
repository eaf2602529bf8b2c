"""The packs of a repository as an open git has found them: it keeps those that it knows, also when they are removed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

#: A folder that was changed so shortly before it was looked at may change again without getting another time stamp.
_SETTLED_NS: Final = 50_000_000


class Packs:
    """Folders of packs, a repository's own and those that it borrows from, as they are when this is made."""

    def __init__(self, common_dir: Path) -> None:
        self._settled_ns = time.time_ns() - _SETTLED_NS
        folders = _folders(common_dir / "objects", set())
        self._places = [place for folder in folders for place in (folder / "pack", _borrowed(folder))]
        self._found = [_stamp(place) for place in self._places]

    def unchanged(self) -> bool:
        """True if it is certain that none has come or gone since."""
        now = [_stamp(place) for place in self._places]
        return now == self._found and all(changed_ns < self._settled_ns for changed_ns, _, _ in now)


def _stamp(place: Path) -> tuple[int, int, int]:
    try:
        info = place.stat()
    except OSError:
        return 0, 0, 0
    return info.st_mtime_ns, info.st_ino, info.st_dev


def _borrowed(objects: Path) -> Path:
    return objects / "info" / "alternates"


def _folders(objects: Path, seen: set[Path]) -> Iterator[Path]:
    """A folder of objects, and those that it says others are in (gitrepository-layout(5))."""
    if objects in seen:
        return
    seen.add(objects)
    yield objects
    with suppress(OSError):
        for line in _borrowed(objects).read_bytes().splitlines():
            if line and not line.startswith(b"#"):
                yield from _folders(Path(os.path.normpath(objects / os.fsdecode(line))), seen)
