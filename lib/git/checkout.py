"""Parts of Relay's worktrees and their links: folder, `.git` file, and git's own record of it under `worktrees/`."""

from __future__ import annotations

import os
import re
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from lib.files.remove import remove_whole
from lib.files.replace import replace_file
from lib.files.rubbish import set_aside
from lib.files.syncing import sync_file
from lib.git.indexfile import SIGNATURE
from lib.git.inspect import resolve
from lib.git.reflog import begin_log
from lib.git.run import Repo
from lib.git.worktree_records import record_about, records

#: What git keeps in its record while a merge, rebase or pick is not ended.
_BEGUN: Final = (
    *("MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "MERGE_RR", "AUTO_MERGE", "SQUASH_MSG"),
    *("CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply", "sequencer"),
)
_COMMON: Final = b"../..\n"
#: While it is there git takes a record for one that is still in use.
_LOCKED: Final = "locked"
_HEAD: Final = re.compile(r"(?:ref: (refs/heads/[^\n]+)|([0-9a-f]{40}(?:[0-9a-f]{24})?))\n?")


@dataclass(frozen=True, slots=True)
class Checkout:
    """A worktree of Relay's. `index` is Relay's private copy of its index, out of reach of what runs in it."""

    path: Path
    index: Path

    @classmethod
    def at(cls, repo: Repo, path: Path, index: Path | None = None) -> Checkout:
        real = path.parent.resolve() / path.name
        return cls(real, index or repo.common_dir / "relay" / "indexes" / path.parent.name / path.name)

    @property
    def run(self) -> str:
        return self.path.parent.name

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def look(self) -> Path:
        """The file that notes what commands left in the worktree."""
        return self._beside("look")

    @property
    def work(self) -> Path:
        """The file that notes the work that is in no commit, while a command runs beside it."""
        return self._beside("work")

    @property
    def ignored(self) -> Path:
        """The file that notes who made which ignored files of the worktree."""
        return self._beside("ignored")

    @property
    def inside(self) -> Path:
        """The file that notes what commands changed inside of submodules."""
        return self._beside("inside")

    @property
    def whole(self) -> Path:
        """The file that notes up to when the worktree is durable."""
        return self._beside("whole")

    def _beside(self, kind: str) -> Path:
        return self.index.with_name(f"{self.index.name}.{kind}")

    @property
    def present(self) -> bool:
        return self.path.is_dir() and not self.path.is_symlink() and any(self.path.iterdir())

    @property
    def complete(self) -> bool:
        """True if it was once made as a whole, and is not gone: the private index is the last thing made."""
        return self.present and self.index.is_file()


def record_of(repo: Repo, checkout: Checkout) -> Path | None:
    """Git's folder about the worktree, found by what is written there and not by the worktree's own `.git` file."""
    return record_about(repo.common_dir, checkout.path)


def recorded(repo: Repo, folder: Path) -> set[str]:
    """The names of the worktrees in `folder` that git has a record of, also when they are gone themselves."""
    return {path.name for _, path in records(repo.common_dir) if path.parent == folder.resolve()}


def head_of(repo: Repo, checkout: Checkout) -> str | None:
    """The commit that is checked out there; None where git's record can't be read."""
    record = record_of(repo, checkout)
    with suppress(FileNotFoundError):
        if record and (found := _HEAD.fullmatch((record / "HEAD").read_text("utf-8", "surrogateescape"))):
            return resolve(repo, found[1] or found[2])
    return None


def in_merge(repo: Repo, checkout: Checkout) -> bool:
    """True if a merge was begun in the worktree and not ended."""
    record = record_of(repo, checkout)
    return record is not None and (record / "MERGE_HEAD").exists()


def mend(repo: Repo, checkout: Checkout, head: str) -> bool:
    """Makes record, `.git` file, HEAD and index what they should be; False if the `.git` file had been replaced.

    `head` is a branch's full ref or a commit. The index becomes the private one. A `.git` that is something else is
    set aside beside the private index, with all that is in it.
    """
    record = record_of(repo, checkout) or _new_record(repo, checkout)
    for name, content in _about(checkout, head).items():
        if _read(record / name) != content:
            replace_file(record / name, content)
    for name in (_LOCKED, *_BEGUN):
        remove_whole(record / name)
    copy_index(checkout.index, record / "index")
    if _points(checkout, record):
        return True
    pointer = checkout.path / ".git"
    missing = not os.path.lexists(pointer)
    if not missing:
        _set_aside(pointer, checkout.index)
    replace_file(pointer, _pointer(record))
    return missing


def begin(repo: Repo, checkout: Checkout, head: str, commit: str) -> Path:
    """Makes the folder of a new worktree at `commit`, and git's record of it, which is given; `head` is as in `mend`.

    It has no files and no index yet, and nothing of it is durable. Until `end_of_making` nobody prunes the record.
    """
    checkout.path.mkdir(parents=True, exist_ok=True)
    record = _new_record(repo, checkout)
    replace_file(record / _LOCKED, b"initializing\n", durable=False)
    for name, content in _about(checkout, head).items():
        replace_file(record / name, content, durable=False)
    begin_log(record, commit)
    replace_file(checkout.path / ".git", _pointer(record), durable=False)
    return record


def end_of_making(record: Path) -> None:
    """From now on git takes the worktree for one like any other."""
    (record / _LOCKED).unlink(missing_ok=True)


def _about(checkout: Checkout, head: str) -> dict[str, bytes]:
    """The files of git's record that say what the worktree is, and what it has checked out."""
    return {
        "commondir": _COMMON,
        "gitdir": os.fsencode(checkout.path / ".git") + b"\n",
        "HEAD": (f"ref: {head}" if head.startswith("refs/") else head).encode() + b"\n",
    }


def _pointer(record: Path) -> bytes:
    """The content of a worktree's `.git` file."""
    return b"gitdir: " + os.fsencode(record) + b"\n"


def intact(repo: Repo, checkout: Checkout) -> bool:
    """True if git would find its way from the worktree to its record, and a commit and an index there."""
    record = record_of(repo, checkout)
    if record is None or not _points(checkout, record):
        return False
    listed, shared = _read(record / "index"), _read(record / "commondir")
    return listed.startswith(SIGNATURE) and shared == _COMMON and head_of(repo, checkout) is not None


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""


def _points(checkout: Checkout, record: Path) -> bool:
    pointer = checkout.path / ".git"
    with suppress(OSError):  # whatever it is then, it is not our file
        plain = stat.S_ISREG(pointer.lstat().st_mode)
        return plain and pointer.read_bytes() == _pointer(record)
    return False


def copy_index(source: Path, target: Path) -> None:
    """Copies an index file with its time stamp, by which git tells what may have changed since it was written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f"{target.name}.relay")
    shutil.copy2(source, fresh)
    sync_file(fresh)
    fresh.replace(target)
    sync_file(target.parent)


def drop(repo: Repo, checkout: Checkout) -> None:
    """Removes the worktree and git's record of it, whatever is left of them; nothing in it is looked at."""
    remove_whole(discard(repo, checkout, checkout.path.parents[1]))


def discard(repo: Repo, checkout: Checkout, folder: Path) -> Path:
    """As `drop`, but the worktree becomes rubbish in `folder`, to be swept later; gives its place there.

    A kill in the middle leaves no half of it to be taken for somebody's work.
    """
    place = set_aside(checkout.path, folder)
    if record := record_of(repo, checkout):
        remove_whole(record)
    for noted in (checkout.index, checkout.look, checkout.work, checkout.ignored, checkout.inside, checkout.whole):
        noted.unlink(missing_ok=True)
    return place


def _new_record(repo: Repo, checkout: Checkout) -> Path:
    folder = repo.common_dir / "worktrees"
    folder.mkdir(exist_ok=True)
    names = (checkout.name if number == 0 else f"{checkout.name}{number}" for number in count())
    for record in (folder / name for name in names):
        with suppress(FileExistsError):  # another worktree's
            record.mkdir()
            return record
    raise AssertionError("unreachable")


def _set_aside(thing: Path, beside: Path) -> None:
    beside.parent.mkdir(parents=True, exist_ok=True)
    places = (beside.with_name(f"{beside.name}-replaced-git-{number}") for number in count(1))
    shutil.move(thing, next(place for place in places if not os.path.lexists(place)))
