"""The private folder of a job for temporary files: short, its user's alone, and gone when the job is judged."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import subprocess
from pathlib import Path
from shlex import quote
from typing import Final

from lib.errors import RelayError

#: The file in a job's folder of records that tells where its scratch folder is.
RECORD: Final = "scratch"
REMOVE_TIMEOUT_S: Final = 120.0


def make_scratch(records: Path, mark: str) -> Path:
    """The scratch folder of the job `mark`, made if it is missing; where it is stands in `records` from then on.

    It lies in the user's folder for temporary files. Raises `RelayError` (`scratch_refused`) if somebody else has put
    something in its place.
    """
    base = Path(os.environ.get("TMPDIR") or "/tmp").resolve()  # noqa: S108 - what is made there is checked
    shared = base / f"relay-{os.geteuid()}"
    folder = shared / hashlib.sha256(mark.encode()).hexdigest()[:12]
    for path in (shared, folder):
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            message = f"{path} is not a private folder of this user"
            raise RelayError(message, remedy=f"ls -ld {quote(str(path))}", code="scratch_refused")
    (records / RECORD).write_bytes(os.fsencode(folder))
    return folder


def scratch_of(records: Path) -> Path | None:
    """Where the scratch folder of a job is that has not been removed yet."""
    with contextlib.suppress(FileNotFoundError):
        return Path(os.fsdecode((records / RECORD).read_bytes()))
    return None


def drop_scratch(records: Path) -> None:
    """Removes it, whatever a job has made of it. Raises `OSError` if something in it can't be removed."""
    folder = scratch_of(records)
    if folder is None:
        return
    remove_whole(folder)
    (records / RECORD).unlink()


def remove_whole(folder: Path) -> None:
    """Removes a folder with all that programs left in it. Raises `OSError` if something in it can't be removed."""
    try:
        if folder.is_symlink():  # not what we made
            folder.unlink()
        else:
            shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):  # folders that may not be entered, or too deep for Python
        _remove_by_force(folder)


def _remove_by_force(folder: Path) -> None:
    for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        done = subprocess.run(
            [*command, "--", str(folder)], check=False, capture_output=True, text=True, timeout=REMOVE_TIMEOUT_S
        )
    if done.returncode:
        raise OSError(f"{folder} can't be removed: {done.stderr.strip()[:200]}")
