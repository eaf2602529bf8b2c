"""Refs read where git keeps them: a process for each would be a fifth of all that run.

What can't be read that way (symbolic refs, reftables) is left to git; so is what is damaged.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from lib.files.safe_read import NotPlainError, read_plain

OBJECT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF_MAX_BYTES: Final = 1000
_PACKED_MAX_BYTES: Final = 4_000_000


class UnreadError(Exception):
    """Only git can tell."""


def stored_ref(common_dir: Path, ref: str) -> str | None:
    """The object that a full ref name names (gitrepository-layout(5)). Raises `UnreadError`."""
    if not ref.startswith("refs/"):
        raise UnreadError
    file = common_dir / ref
    try:
        found = None if file.is_dir() else read_plain(file, limit=_REF_MAX_BYTES)
    except NotADirectoryError:
        found = None
    except (OSError, NotPlainError) as error:
        raise UnreadError from error
    if found is None:
        return _packed_ref(common_dir, ref)
    name = found.decode(errors="replace")
    if not name.endswith("\n") or not OBJECT.fullmatch(name[:-1]):
        raise UnreadError
    return name[:-1]


def _packed_ref(common_dir: Path, ref: str) -> str | None:
    """As git does, after the file of the ref: what is packed is put there before its file is removed."""
    try:
        packed = read_plain(common_dir / "packed-refs", limit=_PACKED_MAX_BYTES)
    except (OSError, NotPlainError) as error:
        raise UnreadError from error
    if (common_dir / "reftable").exists():
        raise UnreadError
    found = re.search(rb"^([0-9a-f]+) " + re.escape(os.fsencode(ref)) + rb"$", packed or b"", re.MULTILINE)
    return found[1].decode() if found else None
