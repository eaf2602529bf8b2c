"""The private folder of a job for temporary files: short, its user's alone, and gone when the job is judged."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Final

from lib.errors import RelayError
from lib.files.remove import remove_whole
from lib.files.replace import replace_file
from lib.files.safe_read import NotPlainError, read_plain
from lib.names import quote

#: The file in a job's folder of records that tells where its scratch folder is.
RECORD: Final = "scratch"
_MAX_BYTES: Final = 4096
_DIGITS: Final = 12
_NAME: Final = re.compile(rf"[0-9a-f]{{{_DIGITS}}}")


def make_scratch(records: Path, mark: str) -> Path:
    """The scratch folder of the job `mark`, made if it is missing; `records` names its place from then on.

    It lies in the user's folder for temporary files. What somebody else has put in its place there costs nothing but a
    longer name. Raises `RelayError` (`scratch_refused`) where no private folder can be made at all.
    """
    known = scratch_of(records)
    if known is not None and _is_private(known.parent) and _is_private(known):
        return known
    base = Path(os.environ.get("TMPDIR") or "/tmp").resolve()  # noqa: S108 - what is made there is checked
    name = hashlib.sha256(mark.encode()).hexdigest()[:_DIGITS]
    folder = _made(base / _shared_name()) / name
    if not (_is_private(folder.parent) and _is_private(_made(folder))):
        folder = Path(tempfile.mkdtemp(prefix=f"{_shared_name()}-", dir=base)) / name
        if not _is_private(_made(folder)):
            message = f"{folder} is not a private folder of this user"
            raise RelayError(message, remedy=f"ls -ld {quote(str(folder))}", code="scratch_refused")
    replace_file(records / RECORD, os.fsencode(folder), durable=False)  # half a name would be another folder's
    return folder


def _made(folder: Path) -> Path:
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    return folder


def _is_private(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def scratch_of(records: Path) -> Path | None:
    """The scratch folder of a job, if it has not been removed yet; None for what no `make_scratch` wrote."""
    try:
        written = read_plain(records / RECORD, limit=_MAX_BYTES)
    except NotPlainError:  # nothing that was written here
        return None
    if written is None:
        return None
    folder = Path(os.fsdecode(written))
    ours = folder.is_absolute() and _NAME.fullmatch(folder.name) and _is_parent(folder.parent.name)
    return folder if ours else None


def drop_scratch(records: Path) -> None:
    """Removes it, whatever a job has made of it. Raises `OSError` if something in it can't be removed."""
    folder = scratch_of(records)
    if folder is not None:
        remove_whole(folder)
        if folder.parent.name != _shared_name():
            with contextlib.suppress(OSError):  # it is gone, or another job's
                folder.parent.rmdir()
    (records / RECORD).unlink(missing_ok=True)


def _is_parent(name: str) -> bool:
    return name == _shared_name() or re.fullmatch(rf"{_shared_name()}-\w+", name) is not None


def _shared_name() -> str:
    return f"relay-{os.geteuid()}"
