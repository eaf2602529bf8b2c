"""Merging in memory: neither a work tree nor an index is touched, and refs move by compare-and-swap alone."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lib.errors import GitError
from lib.git.inspect import is_ancestor
from lib.git.objects import at, commit_tree, dated, gc_safe, move_ref, stamp_of, value
from lib.git.run import Repo, git, identity_env
from lib.project.paths import SHARED_WORKTREE

#: Merges between two moves of the ref: a kill repeats at most so many, each of which gives the same commit again.
BATCH: Final = 25
_OBJECT: Final = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SYMLINK: Final = "120000"
_SUBMODULE: Final = "160000"
_ABSENT: Final = "000000"
#: The kinds of git's own messages (the third field of git-merge-tree(1), "Informational messages"), the telling ones
#: first; "contents" is refined by what the stages say.
_TYPES: Final = (
    "file/directory",
    "rename/rename",
    "rename/delete",
    "modify/delete",
    "distinct modes",
    "binary",
    "contents",
)
_CONFLICT: Final = re.compile(r"CONFLICT ?\((.*)\)")


@dataclass(frozen=True, slots=True)
class ConflictPath:
    """A path that the sides disagree about.

    `kind` is `content`, `add/add`, `rename/rename`, `rename/delete`, `modify/delete`, `mode`, `binary`, `symlink`,
    `submodule`, `file/directory` or another word of git's. `modes` are those of base, ours and theirs, `000000` where
    a side has no such file; `blobs` what they hold, empty there.
    """

    path: str
    kind: str
    modes: tuple[str, str, str]
    blobs: tuple[str, str, str] = field(default=("", "", ""), compare=False)


@dataclass(frozen=True, slots=True)
class Clean:
    tree: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """`tree` is what git would leave in the work tree, markers and all; `messages` are git's words."""

    paths: list[ConflictPath]
    messages: list[str]
    tree: str


@dataclass(frozen=True, slots=True)
class Merged:
    """Result of merging: the ref's commit, the builders in it, and the one that conflicts, with its conflict."""

    head: str
    merged: list[str]
    conflict: tuple[str, Conflict] | None = None


def merge(repo: Repo, ours: str, theirs: str) -> Clean | Conflict:
    """Predicts the merge of two commits. Raises `GitError` if there is no such commit or no common history."""
    done = git(repo, "merge-tree", "--write-tree", "-z", "--end-of-options", ours, theirs, ok=(0, 1))
    fields = done.out.split(b"\0")
    if not _OBJECT.fullmatch(fields[0]):  # a bad name exits with 1 as well
        raise GitError(f"git merge-tree {ours} {theirs}: {done.err.decode(errors='replace').strip()}")
    tree = fields[0].decode()
    if done.status == 0:
        return Clean(tree)
    end = fields.index(b"", 1)
    told = list(_told([os.fsdecode(entry) for entry in fields[end + 1 :]]))
    return Conflict(_paths([os.fsdecode(entry) for entry in fields[1:end]], told), [words for *_, words in told], tree)


def _told(fields: list[str]) -> Iterator[tuple[list[str], str, str]]:
    """The paths, the kind and the words of each conflict; what git appends after its messages is no record."""
    position = 0
    while position < len(fields) and fields[position].isdigit():
        count = int(fields[position])
        paths, rest = fields[position + 1 : position + 1 + count], fields[position + 1 + count :]
        if found := _CONFLICT.fullmatch(rest[0]):
            yield paths, found[1], rest[1].strip()
        position += count + 3


def _paths(records: list[str], told: list[tuple[list[str], str, str]]) -> list[ConflictPath]:
    stages: dict[str, dict[int, tuple[str, str]]] = defaultdict(dict)
    for record in records:
        entry, _, path = record.partition("\t")
        mode, oid, stage = entry.split(" ")
        stages[path][int(stage)] = (mode, oid)
    types: dict[str, set[str]] = defaultdict(set)
    for paths, kind, _ in told:
        for path in paths:
            types[path].add(kind)
            stages.setdefault(path, {})
    return [_path(path, sides, types[path]) for path, sides in sorted(stages.items())]


def _path(path: str, sides: Mapping[int, tuple[str, str]], types: set[str]) -> ConflictPath:
    base, ours, theirs = (sides.get(stage, (_ABSENT, "")) for stage in (1, 2, 3))
    return ConflictPath(path, _kind(sides, types), (base[0], ours[0], theirs[0]), (base[1], ours[1], theirs[1]))


def _kind(sides: Mapping[int, tuple[str, str]], types: set[str]) -> str:
    told = next((kind for kind in _TYPES if kind in types), min(types, default="contents"))
    if told.startswith("submodule"):
        return "submodule"
    if told != "contents":
        return told
    modes = {mode for mode, _ in sides.values()}
    if _SUBMODULE in modes:
        return "submodule"
    if modes == {_SYMLINK}:
        return "symlink"
    if len(modes) > 1 and len({oid for _, oid in sides.values()}) == 1:
        return "mode"
    return "content" if 1 in sides else "add/add"


def merge_commit(repo: Repo, tree: str, parents: Sequence[str], message: str) -> str:
    """A commit that no ref names yet; the same arguments give the same commit."""
    return commit_tree(repo, tree, parents, message, dated(repo, parents))


def combine(repo: Repo, commits: Sequence[str], message: str) -> str | Conflict:
    """The merge of all `commits`, one after the other; those that others contain already add nothing.

    The same arguments give the same commit, which no ref names yet.
    """
    head, *others = commits
    for other in others:
        if is_ancestor(repo, other, head):
            continue
        if is_ancestor(repo, head, other):
            head = other
            continue
        done = merge(repo, head, other)
        if isinstance(done, Conflict):
            return done
        head = merge_commit(repo, done.tree, [head, other], message)
    return head


def absorb(repo: Repo, run_ref: str, base_tip: str, message: str) -> str | Conflict:
    """Merges a base branch that moved on into the run's branch; gives the branch's commit."""

    def once(_attempt: int) -> str | Conflict:
        head = value(repo, run_ref)
        merged = combine(repo, [head, base_tip] if head else [base_tip], message)
        if isinstance(merged, str) and merged != head and not move_ref(repo, run_ref, merged, head, "absorb"):
            raise GitError(f"{run_ref} was moved by somebody else while {base_tip} was merged into it")
        return merged

    return gc_safe(repo, run_ref, base_tip, once)


@dataclass(slots=True)
class _History:
    """The commits that some tips add to a start: their parents and, in seconds, their dates."""

    parents: dict[str, list[str]]
    dates: dict[str, int]
    contained: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, repo: Repo, start: str, tips: Sequence[str]) -> _History:
        lines = git(repo, "rev-list", "--parents", "--timestamp", *tips, f"^{start}", "--").text.splitlines()
        rows = [line.split() for line in lines]
        return cls({row[1]: row[2:] for row in rows}, {row[1]: int(row[0]) for row in rows})

    def holds(self, commit: str) -> bool:
        return commit in self.contained or commit not in self.parents

    def take(self, commit: str) -> None:
        waiting = [commit]
        while waiting:
            commit = waiting.pop()
            if not self.holds(commit):
                self.contained.add(commit)
                waiting += self.parents[commit]


def merge_builders(
    repo: Repo, run_ref: str, base: str, tips: Sequence[tuple[str, str, str]], *, trailer: str = ""
) -> Merged:
    """Merges the builders' tips, each `(id, commit, title)`, in order into `run_ref`, which starts at `base`.

    Stops at the first conflict. Tips that are contained already are skipped, so that going on after a kill, a
    conflict that was resolved, or a builder that was added is the same call.
    """
    who = identity_env(repo)
    done: list[str] = []
    while len(done) < len(tips):
        rest = tips[len(done) :]

        def batch(_attempt: int, rest: Sequence[tuple[str, str, str]] = rest) -> Merged:
            return _merge_some(repo, run_ref, base, rest, trailer, who)

        made = gc_safe(repo, run_ref, base, batch)
        done += made.merged
        if made.conflict:
            return Merged(made.head, done, made.conflict)
    head = value(repo, run_ref)
    if head is None:
        _move(repo, run_ref, base, None, "start of the run")
    return Merged(head or base, done)


def _move(repo: Repo, run_ref: str, head: str, before: str | None, why: str) -> None:
    if head != before and not move_ref(repo, run_ref, head, before, why):
        raise GitError(f"{run_ref} was moved by somebody else while builders were merged into it")


def _merge_some(
    repo: Repo, run_ref: str, base: str, tips: Sequence[tuple[str, str, str]], trailer: str, who: Mapping[str, str]
) -> Merged:
    before = value(repo, run_ref)
    start = head = before or base
    history = _History.of(repo, start, [tip for _, tip, _ in tips])
    stamp = stamp_of(repo, start)
    merged: list[str] = []
    conflict: tuple[str, Conflict] | None = None
    made = 0
    for builder, tip, title in tips:
        if made == BATCH:
            break
        if not history.holds(tip):
            result = merge(repo, head, tip)
            if isinstance(result, Conflict):
                conflict = builder, result
                break
            stamp = max(stamp, history.dates[tip])
            what = f"the workflow {title}" if builder == SHARED_WORKTREE else f"{builder}: {title}"
            message = f"Merge {what}\n\n{trailer}".rstrip()
            head = commit_tree(repo, result.tree, [head, tip], message, {**who, **at(stamp)})
            made += 1
            history.take(tip)
        merged.append(builder)
    _move(repo, run_ref, head, before, f"merge {', '.join(merged)}" if made else "start of the run")
    return Merged(head, merged, conflict)
