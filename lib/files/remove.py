"""Removing what programs have left behind, whatever they have made of it."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

REMOVE_TIMEOUT_S: Final = 120.0
_ESCAPED: Final = re.compile(rb"\\([0-7]{3})")


def remove_whole(thing: Path) -> None:
    """Removes a file, a link, or a folder with all that is in it; nothing if it is not there.

    Raises `ValueError` for a path that is not absolute, or the root, as what a torn record names is; `OSError` if
    something in it can't be removed, and before anything is removed if something is mounted there.
    """
    if not thing.is_absolute() or thing == Path(thing.anchor):
        raise ValueError(f"{str(thing)!r} is no place to remove")
    try:
        if thing.is_symlink() or not thing.is_dir():
            thing.unlink(missing_ok=True)
        else:
            _refuse_mounts(thing)
            shutil.rmtree(thing)
    except FileNotFoundError:
        if os.path.lexists(thing):  # another one removed something in it at the same time
            _remove_by_force(thing)
    except (OSError, RecursionError):  # folders that may not be entered, or too deep for Python
        _remove_by_force(thing)


def _refuse_mounts(folder: Path) -> None:
    """Raises `OSError` if something is mounted in the folder: it is no part of it, on whichever file system it is."""
    real = folder.resolve()
    for place in _mounts():
        if place.is_relative_to(real):
            raise OSError(errno.EBUSY, f"something is mounted there (umount {place})", str(folder))


def _mounts() -> Iterator[Path]:
    """Places where something is mounted (proc_pid_mountinfo(5)); none where the system does not tell."""
    with suppress(FileNotFoundError):
        for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
            raw = _ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), line.split(b" ")[4])
            yield Path(os.fsdecode(raw))


def _remove_by_force(folder: Path) -> None:
    _refuse_mounts(folder)
    for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        try:
            done = subprocess.run(
                [*command, "--", str(folder)], check=False, capture_output=True, text=True, timeout=REMOVE_TIMEOUT_S
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(errno.ETIMEDOUT, f"{command[0]} did not end", str(folder)) from error
    if done.returncode:
        raise OSError(f"{folder} can't be removed: {done.stderr.strip()[:200]}")
