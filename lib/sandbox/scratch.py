"""The private folder of a job for temporary files: short, its user's alone, and gone when the job is judged."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Final

from lib.atomic import replace_file
from lib.errors import RelayError
from lib.names import quote
from lib.removal import remove_whole

#: The file in a job's folder of records that tells where its scratch folder is.
RECORD: Final = "scratch"
_DIGITS: Final = 12
_NAME: Final = re.compile(rf"[0-9a-f]{{{_DIGITS}}}")


def make_scratch(records: Path, mark: str) -> Path:
    """The scratch folder of the job `mark`, made if it is missing; where it is stands in `records` from then on.

    It lies in the user's folder for temporary files. Raises `RelayError` (`scratch_refused`) if somebody else has put
    something in its place.
    """
    base = Path(os.environ.get("TMPDIR") or "/tmp").resolve()  # noqa: S108 - what is made there is checked
    shared = base / _shared_name()
    folder = shared / hashlib.sha256(mark.encode()).hexdigest()[:_DIGITS]
    for path in (shared, folder):
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            message = f"{path} is not a private folder of this user"
            raise RelayError(message, remedy=f"ls -ld {quote(str(path))}", code="scratch_refused")
    replace_file(records / RECORD, os.fsencode(folder), durable=False)  # half a name would be another folder's
    return folder


def scratch_of(records: Path) -> Path | None:
    """Where the scratch folder of a job is that has not been removed yet; None for what no `make_scratch` wrote."""
    try:
        folder = Path(os.fsdecode((records / RECORD).read_bytes()))
    except FileNotFoundError:
        return None
    ours = folder.is_absolute() and _NAME.fullmatch(folder.name) and folder.parent.name == _shared_name()
    return folder if ours else None


def drop_scratch(records: Path) -> None:
    """Removes it, whatever a job has made of it. Raises `OSError` if something in it can't be removed."""
    folder = scratch_of(records)
    if folder is not None:
        remove_whole(folder)
    (records / RECORD).unlink(missing_ok=True)


def _shared_name() -> str:
    return f"relay-{os.geteuid()}"
