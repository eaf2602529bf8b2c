"""Files of a work tree held against what git has stored: whose are they, after a checkout that was cut short?"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path

from lib.git.run import Repo, git
from lib.git.trees import TreeEntry, entries


class Is(Enum):
    """State of a file, between an old and a new version of it."""

    OLD = "old"
    NEW = "new"
    TORN = "torn"
    MISSING = "missing"
    FOREIGN = "foreign"


def judge(repo: Repo, root: Path, path: str, old: TreeEntry | None, new: TreeEntry | None) -> Is:
    """Judges the file at `path` of the work tree `root`.

    TORN is the beginning of the new content, or all of it with the old permission: git was killed while it wrote.
    Zeros are TORN too, as a power cut may leave them. A directory counts as MISSING: what is in it is judged by itself.
    """
    file = root / path
    try:
        info = file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return Is.MISSING
    if stat.S_ISDIR(info.st_mode):
        return Is.MISSING
    if stat.S_ISLNK(info.st_mode):
        data, mode = os.fsencode(file.readlink()), "120000"
    elif stat.S_ISREG(info.st_mode):
        data, mode = file.read_bytes(), "100755" if info.st_mode & stat.S_IXUSR else "100644"
    else:
        return Is.FOREIGN
    for known, entry in ((Is.NEW, new), (Is.OLD, old)):
        if entry and entry.mode == mode and _same(repo, root, path, data, entry):
            return known
    if old and old.mode[:3] == mode[:3] and _same(repo, root, path, data, old):
        return Is.OLD
    if new and new.mode[:3] == mode[:3]:
        unwritten = not data.strip(b"\0")
        return Is.TORN if unwritten or _content(repo, root, path, new).startswith(data) else Is.FOREIGN
    return Is.FOREIGN


def foreign(
    repo: Repo, root: Path, tree: str, known: Sequence[str], besides: Mapping[str, TreeEntry | None] | None = None
) -> bool:
    """True if `tree`, taken from the work tree `root`, holds what a cut-short checkout of `known` would not leave.

    Files of `besides` are known, too.
    """
    versions = [entries(repo, commit) for commit in known] + [besides or {}]
    for path, entry in entries(repo, tree).items():
        theirs = [each for version in versions if (each := version.get(path))]
        if entry not in theirs and all(judge(repo, root, path, None, other) is not Is.TORN for other in theirs):
            return True
    return False


def _same(repo: Repo, root: Path, path: str, data: bytes, entry: TreeEntry) -> bool:
    """True if `data` would be stored as that object, also after end-of-line conversion and filters."""
    algorithm = hashlib.sha1 if len(entry.oid) == 40 else hashlib.sha256  # noqa: PLR2004 - git's object formats
    if algorithm(b"blob %d\0" % len(data) + data).hexdigest() == entry.oid:
        return True
    if entry.mode == "120000":
        return False
    return git(repo, "hash-object", f"--path={path}", "--stdin", input=data, work_tree=root).text == entry.oid


def _content(repo: Repo, root: Path, path: str, entry: TreeEntry) -> bytes:
    """The bytes that a checkout writes for that object."""
    filters = () if entry.mode == "120000" else ("--filters", f"--path={path}")
    kind = () if filters else ("blob",)
    return git(repo, "cat-file", *filters, *kind, entry.oid, work_tree=root).out
