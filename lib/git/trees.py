"""Commits and trees as they are stored: what they hold, what differs between two, and if all of it is there."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from lib.git.reading import UnreadError, commit_in, find, read, read_commit
from lib.git.run import Repo, git

#: More than that of a question is answered faster by a git of its own.
_TREES_MAX: Final = 100
_OBJECTS_MAX: Final = 200
_COMMITS_MAX: Final = 20
#: As git stores it: mode, name and object.
_ENTRY: Final = re.compile(rb"([0-7]+ )([^\0]+)\0(.{20})", re.DOTALL)
_FOLDER: Final = "040000"
_SUBMODULE: Final = "160000"


class TreeEntry(NamedTuple):
    """A file as a tree has it: git's mode (`100644`, `100755`, `120000`, `160000`) and the object's name."""

    mode: str
    oid: str


#: Paths that differ between two trees, as the one and the other has them; None where there is none.
Sides = Mapping[str, tuple[TreeEntry | None, TreeEntry | None]]


def tree_of(repo: Repo, commit: str) -> str:
    with suppress(UnreadError):
        return read_commit(repo, commit).tree
    return git(repo, "rev-parse", "--verify", f"{commit}^{{tree}}").text


def blob(repo: Repo, name: str) -> bytes:
    """The content of a file, named by its object or as COMMIT:PATH. Raises `GitError`."""
    with suppress(UnreadError):
        oid = find(repo, name)
        kind, data = (oid and read(repo, oid)) or ("", b"")
        if kind == "blob":
            return data
    return git(repo, "cat-file", "blob", name).out


def entries(repo: Repo, tree: str) -> dict[str, TreeEntry]:
    """All files of a tree or a commit."""
    found = {}
    for line in git(repo, "ls-tree", "-r", "-z", "--full-tree", tree).fields():
        meta, _, path = line.partition("\t")
        mode, _, oid = meta.split(" ")
        found[path] = TreeEntry(mode, oid)
    return found


def differing(repo: Repo, old: str, new: str) -> Sides:
    """The files that differ between two trees or commits, in git's order. A submodule counts as a file."""
    with suppress(UnreadError):
        return _Comparison(repo).of(old, new)
    fields = git(repo, "diff-tree", "-r", "-z", "--no-renames", old, new).fields()
    found = {}
    for meta, path in zip(fields[::2], fields[1::2], strict=True):
        was, now, was_oid, now_oid, _ = meta.removeprefix(":").split(" ")
        found[path] = TreeEntry(was, was_oid) if int(was) else None, TreeEntry(now, now_oid) if int(now) else None
    return found


def status_of(was: TreeEntry | None, now: TreeEntry | None) -> str:
    """The letter of git-diff-tree(1) for a file that differs: A, D, T where its type does too, else M."""
    if was is None or now is None:
        return "D" if was else "A"
    return "M" if was.mode[:3] == now.mode[:3] else "T"


def with_entries(repo: Repo, root: Path, index: Path, tree: str, wanted: Mapping[str, TreeEntry | None]) -> str:
    """The tree that `index` holds, `tree` until now, with these files, and none where it is None; so has the index."""
    gone = [f"0 {'0' * len(tree)}\t{path}" for path, entry in wanted.items() if entry is None]
    there = [f"{entry.mode} {entry.oid}\t{path}" for path, entry in wanted.items() if entry is not None]
    data = os.fsencode("\0".join([*gone, *there]))
    git(repo, "update-index", "--add", "-z", "--index-info", input=data, index=index, work_tree=root)
    return git(repo, "write-tree", index=index).text


def complete(repo: Repo, commit: str, known: str) -> bool:
    """True if the commit and all objects that it adds to the commit `known` are there."""
    with suppress(UnreadError):
        _read_all(repo, commit, known)
        return True
    command = ("rev-list", "--objects", "--quiet", commit, f"^{known}")
    return git(repo, *command, ok=(0, 1, 128)).status == 0


def _read_all(repo: Repo, commit: str, known: str) -> None:
    """Reads what a line of commits adds to `known`. Raises `UnreadError`, also if anything is missing."""
    comparison = _Comparison(repo)
    for _ in range(_COMMITS_MAX):
        if commit == known:
            return
        found = read_commit(repo, commit)
        if len(found.parents) != 1:
            break
        commit = found.parents[0]
        changed = comparison.of(commit, found.tree).values()
        added = {now.oid for _, now in changed if now and now.mode != _SUBMODULE}
        if len(added) > _OBJECTS_MAX or not all(find(repo, oid) for oid in added):
            break
    raise UnreadError


class _Comparison:
    """Compares trees, of which it reads those that differ; not very many. Raises `UnreadError`."""

    def __init__(self, repo: Repo) -> None:
        self._repo = repo
        self._trees = 0

    def of(self, old: str, new: str) -> Sides:
        """Compares two trees or commits."""
        found = {path: (was, now) for path, was, now in self._below(b"", old, new)}
        return {os.fsdecode(path): found[path] for path in sorted(found)}

    def _below(
        self, folder: bytes, old: str | None, new: str | None
    ) -> Iterator[tuple[bytes, TreeEntry | None, TreeEntry | None]]:
        before, after = self._listed(old), self._listed(new)
        for name in before.keys() | after.keys():
            if before.get(name) == after.get(name):
                continue
            sides = [_entry(each.get(name)) for each in (before, after)]
            was, now = (None if side and side.mode == _FOLDER else side for side in sides)
            if was != now:
                yield folder + name, was, now
            old, new = (side.oid if side and side.mode == _FOLDER else None for side in sides)
            if old or new:
                yield from self._below(folder + name + b"/", old, new)

    def _listed(self, tree: str | None) -> dict[bytes, bytes]:
        """Names in a tree, or in that of a commit, each with its mode, a space and the object, as git stores them."""
        if tree is None:
            return {}
        kind, data = read(self._repo, tree) or ("", b"")
        if kind == "commit":
            return self._listed(commit_in(data).tree)
        self._trees += 1
        if kind != "tree" or self._trees > _TREES_MAX:
            raise UnreadError
        listed = [*_ENTRY.finditer(data)]
        if sum(len(found[0]) for found in listed) != len(data):
            raise UnreadError
        return {found[2]: found[1] + found[3] for found in listed}


def _entry(stored: bytes | None) -> TreeEntry | None:
    """As git reads it: old trees have more permissions, of which only the owner's right to execute counts."""
    if stored is None:
        return None
    octal, oid = stored.split(b" ", 1)
    mode = int(octal, 8)
    if stat.S_ISREG(mode):
        mode = stat.S_IFREG | (0o755 if mode & stat.S_IXUSR else 0o644)
    return TreeEntry(f"{mode:06o}", oid.hex())
