"""Lock files that a killed git left behind, told from those that a living one holds."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
#: How far the start of a process, in ticks since boot, may be off a file's time stamp.
_SLACK_S: Final = 2.0


def remove_if_stale(lock: Path) -> bool:
    """Removes `lock` if it has no owner any more; True also when it is gone already.

    Its owner is a process that has it open, or a git that was there before the lock was last written: git closes some
    locks before it renames them. Where the system does not show its processes nothing is ever removed.
    """
    try:
        seen = lock.stat()
    except FileNotFoundError:
        return True
    if not (_PROC / "self" / "fd").exists() or _owned(lock, seen):
        return False
    with suppress(FileNotFoundError):
        # A lock that was released and taken anew meanwhile is another file, or was written later.
        now = lock.stat()
        if (now.st_ino, now.st_mtime_ns) != (seen.st_ino, seen.st_mtime_ns):
            return False
        lock.unlink()
    return True


def running(git_dir: Path, commands: Collection[str]) -> list[Path]:
    """The /proc folders of the git processes at work on that repository with one of `commands` as an argument."""
    places = _places(git_dir)
    return [folder for folder, words in _gits() if {*words} & {*commands} and _works_in(folder, words, places)]


def _gits() -> Iterator[tuple[Path, list[str]]]:
    """The /proc folder and the arguments of each git on this machine."""
    for entry in os.scandir(_PROC) if _PROC.exists() else ():
        if entry.name.isdigit():
            folder = Path(entry.path)
            with suppress(OSError):  # it has ended meanwhile
                if (folder / "comm").read_bytes().startswith(b"git"):
                    words = os.fsdecode((folder / "cmdline").read_bytes()).split("\0")
                    if any(words):  # a zombie has none
                        yield folder, words


def _owned(lock: Path, seen: os.stat_result) -> bool:
    offset_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    places = _places(next(part for part in lock.parents if _is_git_dir(part)))
    for folder, words in _gits():
        with suppress(OSError):  # it has ended meanwhile
            started_s = int((folder / "stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
            if started_s + offset_s < seen.st_mtime + _SLACK_S and _works_in(folder, words, places):
                return True
    return any(_has_open(entry, lock) for entry in os.scandir(_PROC) if entry.name.isdigit())


def _is_git_dir(folder: Path) -> bool:
    return (folder / "objects").is_dir() or (folder / "commondir").is_file()


def _places(git_dir: Path) -> set[Path]:
    """A git directory, the one it shares, and all work trees of the repository."""
    common = git_dir.parent.parent if (git_dir / "commondir").is_file() else git_dir
    pointers = (common / "worktrees").glob("*/gitdir")
    trees = {Path(os.fsdecode(pointer.read_bytes().strip())).parent for pointer in pointers}
    return {git_dir, common, common.parent} | trees


def _works_in(process: Path, words: list[str], places: set[Path]) -> bool:
    """Whether that git may work in one of `places`; one that can't be looked into might."""
    try:
        cwd = (process / "cwd").readlink()
        named = [entry for entry in (process / "environ").read_bytes().split(b"\0") if entry.startswith(b"GIT_")]
    except PermissionError:
        return True
    except OSError:
        return False
    known = [*map(os.fsencode, words), *named]
    return bool(places & {cwd, *cwd.parents}) or any(os.fsencode(place) in entry for place in places for entry in known)


def _has_open(entry: os.DirEntry[str], lock: Path) -> bool:
    with suppress(OSError):  # it has ended, or is another user's
        return any(fd.readlink() == lock for fd in Path(entry.path, "fd").iterdir())
    return False
