"""Up to when a worktree is known to be whole, which is noted beside its private index.

The files of a worktree are written by git, by builders and by tools, and none of them calls fsync(2). So the file
system is written out before a worktree is believed; what was changed after that may be gone if the file system was
mounted again.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Final

from lib.files.syncing import mounted, sync_filesystems
from lib.git.checkout import Checkout
from lib.git.indexfile import SIGNATURE

#: Of git's two object formats, with their size in bytes.
_CHECKSUMS: Final = ((hashlib.sha1, 20), (hashlib.sha256, 32))


def believe(checkout: Checkout) -> None:
    """Makes all of the worktree durable, and notes that it is. Raises `OSError` if it can't be written out.

    The note is made before, so that its time stamp tells of no file that was changed meanwhile.
    """
    note = checkout.whole
    fresh = note.with_name(f"{note.name}.new")
    with suppress(OSError):  # no room for it: more is doubted after a power cut
        fresh.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(mounted(checkout.path))
    sync_filesystems(checkout.path, note.parent)
    with suppress(OSError):
        fresh.replace(note)


def believed(checkout: Checkout) -> bool:
    """True if the worktree was whole once since its file system was mounted: no power cut can have taken anything."""
    with suppress(OSError):
        return checkout.whole.read_text(errors="replace") == mounted(checkout.path)
    return False


def whole_until(checkout: Checkout) -> float:
    """The Unix time up to which changes of its files are durable; 0 if nothing is known."""
    with suppress(OSError):
        info = checkout.whole.stat()
        return info.st_mtime if info.st_size else 0.0
    return 0.0


def settle(checkout: Checkout) -> None:
    """Makes durable what a job has left in a worktree; after a power cut it stays doubted until it is put right."""
    if believed(checkout):
        believe(checkout)
    elif checkout.present:
        sync_filesystems(checkout.path)


def forget(checkout: Checkout) -> None:
    """Of a worktree that is about to be made or removed nothing is known."""
    checkout.whole.unlink(missing_ok=True)


def sound_index(index: Path) -> bool:
    """True if that is an index as Relay's git writes it, with the checksum at its end (gitformat-index(5))."""
    with suppress(OSError):
        data = index.read_bytes()
        closed = any(made(data[:-size]).digest() == data[-size:] for made, size in _CHECKSUMS)
        return closed and data.startswith(SIGNATURE)
    return False
