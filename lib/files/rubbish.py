"""Folders that nobody waits for: renamed aside at once, and removed by a quiet process that outlives its starter.

Rubbish is known by its name alone, and lies in a folder that only Relay puts things into. What a kill or a reboot
leaves of it is removed by the next sweep.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from lib.files.remove import remove_whole
from lib.files.safe_read import NotPlainError, open_plain
from lib.names import shown

PREFIX: Final = ".removed-"
_NAME: Final = re.compile(rf"{re.escape(PREFIX)}[0-9a-f]{{16}}")
#: The shell ends at once, so that the sweeper is nobody's child.
_BEHIND: Final = '"$@" </dev/null &'
_SWEEPER: Final = "import sys; sys.path.append(sys.argv[1]); from lib.files.rubbish import main; main(sys.argv[2])"


def set_aside(thing: Path, folder: Path) -> Path:
    """Makes rubbish of `thing`, in `folder` of the same file system; gives its new place.

    Nothing happens if it is not there. Raises `OSError`.
    """
    place = folder / f"{PREFIX}{secrets.token_hex(8)}"
    with suppress(FileNotFoundError):
        try:
            thing.rename(place)
        except PermissionError:  # a folder that can't be written can't leave the one that it is in
            info = thing.lstat()
            if not stat.S_ISDIR(info.st_mode):
                raise
            thing.chmod(stat.S_IMODE(info.st_mode) | stat.S_IRWXU)
            thing.rename(place)
    return place


def waiting(folder: Path) -> list[Path]:
    """The rubbish of a folder, if nobody is removing it."""
    with _alone(folder, fcntl.LOCK_NB) as ours:
        return _rubbish(folder) if ours else []


def sweep(folder: Path, *, patient: bool = False) -> list[str]:
    """Removes the rubbish of a folder; sentences on what can't be removed, which keeps nothing else.

    Only one process does that at a time: another one leaves it to the first, or is `patient` and waits for it.
    """
    with _alone(folder, 0 if patient else fcntl.LOCK_NB) as ours:
        return [said for thing in _rubbish(folder) if (said := _removed(thing))] if ours else []


def sweep_quietly(folder: Path, log: Path) -> None:
    """Starts a process of the lowest priority that removes the rubbish of a folder, if there is any.

    It adds what it can't remove to `log`. Where it can't be started, the next sweep has more to do.
    """
    if not _rubbish(folder):
        return
    idle = [program, "-c", "3"] if (program := shutil.which("ionice")) else []
    sweeper = [sys.executable, "-I", "-S", "-c", _SWEEPER, str(Path(__file__).parents[2]), str(folder.resolve())]
    with suppress(OSError, NotPlainError):
        descriptor = open_plain(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            subprocess.run(
                ["/bin/sh", "-c", _BEHIND, "sh", *idle, *sweeper],
                cwd="/",
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)


def main(folder: str) -> None:
    """The quiet process."""
    os.nice(19)
    for said in sweep(Path(folder), patient=True):
        with suppress(OSError):  # the disk may be full
            os.write(sys.stdout.fileno(), shown(f"{said}\n").encode())


def _rubbish(folder: Path) -> list[Path]:
    try:
        return sorted(thing for thing in folder.iterdir() if _NAME.fullmatch(thing.name))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _removed(thing: Path) -> str:
    try:
        remove_whole(thing)
    except OSError as error:
        return f"{thing}, which is left of a worktree, can't be removed: {error}"
    return ""


@contextmanager
def _alone(folder: Path, how: int) -> Iterator[bool]:
    """Yields True if this process is the one that may remove the rubbish of a folder, as long as the context lasts."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | how)
        ours = True
    except BlockingIOError:
        ours = False
    try:
        yield ours
    finally:
        os.close(descriptor)
