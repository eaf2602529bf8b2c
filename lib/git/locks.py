"""Lock files that a killed git left behind, told from those that a living one holds."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from lib.git.worktree_records import records

_PROC: Final = Path("/proc")
#: A git that only reads: editors, and Relay itself, keep one open for as long as they work.
_READS: Final = "cat-file"
#: How far the start of a process, in ticks since boot, may be off a file's time stamp.
_SLACK_S: Final = 2.0
#: How long a command of git's that Relay finds running is waited for.
OTHERS_S: Final = 600.0


def remove_if_stale(lock: Path, *roots: Path) -> bool:
    """Removes `lock` if it has no owner any more; True also when it is gone already, or filled in.

    A file that counts as a lock only while it is empty is released by being filled in.

    Its owner is a process that has it open, or a git that was there before the lock was last written: git closes some
    locks before it renames them. `roots` are work trees of the repository that git has no record of. Where the system
    does not show its processes nothing is ever removed.
    """
    try:
        seen = lock.stat()
    except FileNotFoundError:
        return True
    if lock.suffix != ".lock" and seen.st_size:
        return True
    if not (_PROC / "self" / "fd").exists() or _owned(lock, seen, roots):
        return False
    with suppress(FileNotFoundError):
        # A lock that was released and taken again meanwhile is another file, or was written later.
        now = lock.stat()
        if (now.st_ino, now.st_mtime_ns) != (seen.st_ino, seen.st_mtime_ns):
            return False
        lock.unlink()
    return True


def remove_leftovers(folders: Iterable[Path], since_s: float, *roots: Path) -> None:
    """Removes the locks that a git which was killed has left: those written since it began, if nobody holds them.

    `folders` are git directories, or hold an index; `since_s` is Unix time; `roots` are as above.
    """
    found = {lock for folder in folders for pattern in ("*.lock", "refs/**/*.lock") for lock in folder.glob(pattern)}
    for lock in found:
        with suppress(FileNotFoundError):  # it is released just now
            if lock.stat().st_mtime >= since_s - _SLACK_S:
                remove_if_stale(lock, *roots)


def wait_for_others(
    git_dir: Path, words: Collection[str], timeout_s: float = OTHERS_S, *, roots: Collection[Path] = ()
) -> None:
    """Waits for the git processes that are at work on that repository now and have one of `words` as an argument.

    Relay may have been killed and started again while they went on. `roots` are work trees of the repository that git
    has no record of.
    """
    there = {pid: said for pid, said in _gits() if {*said} & {*words}}
    places = _places(git_dir) | {*roots} if there else set()
    there = {pid: said for pid, said in there.items() if _works_in(pid, said, places)}
    deadline = time.monotonic() + timeout_s
    while any(_arguments(pid) == said for pid, said in there.items()) and time.monotonic() < deadline:
        time.sleep(0.01)


def _pids() -> list[str]:
    return [name for name in os.listdir(_PROC) if name.isdigit()] if _PROC.exists() else []  # noqa: PTH208 - quicker


def _gits() -> Iterator[tuple[str, list[str]]]:
    """Each git that runs on this machine, and its arguments."""
    for pid in _pids():
        with suppress(OSError), open(f"/proc/{pid}/comm", "rb") as file:  # noqa: PTH123 - one for each process there is
            if file.read().startswith(b"git") and (words := _arguments(pid)):
                yield pid, words


def _arguments(pid: str) -> list[str]:
    """None of a process that has ended, also if nobody has waited for it yet."""
    with suppress(OSError):
        said = (_PROC / pid / "cmdline").read_bytes()
        return os.fsdecode(said).split("\0") if said else []
    return []


def _owned(lock: Path, seen: os.stat_result, roots: Collection[Path]) -> bool:
    git_dir = next((part for part in lock.parents if _is_git_dir(part)), lock.parent)
    places = _places(git_dir) | {*roots}
    offset_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    for pid, words in _gits():
        if _READS in words:
            continue
        with suppress(OSError):  # it has ended meanwhile
            started = int((_PROC / pid / "stat").read_text().rpartition(")")[2].split()[19])
            started_s = started / os.sysconf("SC_CLK_TCK") + offset_s
            if started_s < seen.st_mtime + _SLACK_S and _works_in(pid, words, places, seen.st_uid):
                return True
    return any(_has_open(pid, lock) for pid in _pids())


def _is_git_dir(folder: Path) -> bool:
    return (folder / "objects").is_dir() or (folder / "commondir").is_file()


def _places(git_dir: Path) -> set[Path]:
    """A git directory, the one it shares, and all work trees of the repository."""
    common = git_dir.parent.parent if (git_dir / "commondir").is_file() else git_dir
    return {git_dir, common, common.parent} | {tree for _, tree in records(common)}


def _works_in(pid: str, words: list[str], places: set[Path], user: int | None = None) -> bool:
    """True if that git may work in one of `places`; one that can't be looked into might, unless it is not `user`'s."""
    try:
        cwd = (_PROC / pid / "cwd").readlink()
        named = [entry for entry in (_PROC / pid / "environ").read_bytes().split(b"\0") if entry.startswith(b"GIT_")]
    except PermissionError:
        return user is None or (_PROC / pid).stat().st_uid == user
    except OSError:
        return False
    known = [*map(os.fsencode, words), *named]
    return bool(places & {cwd, *cwd.parents}) or any(os.fsencode(place) in entry for place in places for entry in known)


def _has_open(pid: str, lock: Path) -> bool:
    with suppress(OSError):  # it has ended, or is another user's
        return any(fd.readlink() == lock for fd in (_PROC / pid / "fd").iterdir())
    return False
