"""Changes between two commits, for reviewers, people and judgements; nothing that the tree asks for is run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from lib.git.run import Repo, git
from lib.git.trees import differing, status_of

_HEAD: Final = "diff --git "
MAX_CHARS: Final = 40_000
MAX_FILES: Final = 300
#: Files larger than that are shown as binary.
_BIG: Final = ("-c", "core.bigFileThreshold=256k")
#: Plumbing, so that no setting of the user's changes the form; `-O` takes back an order of files that one may give.
_PATCH: Final = ("diff-tree", "-r", "-p", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "-O/dev/null",
                 "--src-prefix=a/", "--dst-prefix=b/", "--submodule=short", "--ignore-submodules=none")  # fmt: skip
_PLAIN: Final = ("--no-ext-diff", "--no-textconv", "--no-color", "--find-renames")


@dataclass(frozen=True, slots=True)
class Difference:
    """`summary` has a line a file; `text` is the patch of as many files as fit, and `is_cut` if those are not all."""

    summary: str
    text: str
    is_cut: bool


def difference(repo: Repo, old: str, new: str) -> Difference:
    """The changes from the commit `old` to the commit `new`."""
    stat = git(repo, *_BIG, "diff", *_PLAIN, "--stat=120,90", f"--stat-count={MAX_FILES}", old, new).text
    names = git(repo, "diff", *_PLAIN, "--no-renames", "--name-only", "-z", old, new).fields()
    parts: list[str] = []
    room = MAX_CHARS
    for name in names[:MAX_FILES]:
        part = git(repo, *_BIG, "diff", *_PLAIN, "--no-renames", old, new, "--", name).out.decode(errors="replace")
        if len(part) > room:
            parts.append(part[:room] + "\n[…]\n")
            return Difference(stat, "".join(parts), True)
        room -= len(part)
        parts.append(part)
    return Difference(stat, "".join(parts), len(names) > MAX_FILES)


@dataclass(frozen=True, slots=True)
class Changes:
    """Status letter (git-diff-tree(1): A, D, M, T) and path of each file; `moved` counts the deleted ones of which the
    same content was added under another name.
    """

    files: list[tuple[str, str]]
    moved: int


def changes(repo: Repo, old: str, new: str) -> Changes:
    """The files that differ between two commits, all of them."""
    found = differing(repo, old, new)
    added = {now.oid for was, now in found.values() if now and not was}
    moved = sum(was.oid in added for was, now in found.values() if was and not now)
    return Changes([(status_of(*sides), path) for path, sides in found.items()], moved)


def count_files(repo: Repo, commit: str, besides: str) -> int:
    """The number of files that a commit holds, those below the folder `besides` left out."""
    names = git(repo, "ls-tree", "-r", "-z", "--name-only", commit).fields()
    return sum(not name.startswith(f"{besides}/") for name in names)


@dataclass(frozen=True, slots=True)
class FileChange:
    """`status` as in `Changes`; lines added and removed, None for what has no lines."""

    status: str
    path: str
    added: int | None
    removed: int | None


def listed(repo: Repo, old: str, new: str) -> list[FileChange]:
    """The files that differ between two commits, in the order of `patches`."""
    listing = ("diff-tree", "-r", "-z", "--raw", "--numstat", "--no-renames", "--no-ext-diff", "--no-textconv")
    fields = iter(git(repo, *_BIG, *listing, old, new).fields())
    statuses: dict[str, str] = {}
    counts: dict[str, list[str]] = {}
    for field in fields:
        if field.startswith(":"):
            statuses[next(fields)] = field.rpartition(" ")[2][0]
        else:
            *numbers, path = field.split("\t", 2)
            counts[path] = numbers
    return [FileChange(status, path, *_lines(counts.get(path, []))) for path, status in statuses.items()]


def _lines(numbers: list[str]) -> tuple[int | None, int | None]:
    added, removed = (int(number) if number.isdigit() else None for number in numbers or ["-", "-"])
    return added, removed


def patches(repo: Repo, old: str, new: str) -> list[str]:
    """The patch of each file, in the order of `listed`: a change of type, which git shows as two, is one here."""
    text = os.fsdecode(git(repo, *_BIG, *_PATCH, old, new).out)
    parts = [f"{_HEAD}{part}" for part in f"\n{text}".split(f"\n{_HEAD}")[1:]]
    whole: list[str] = []
    for part in parts:
        first = part.partition("\n")[0]
        if whole and whole[-1].startswith(f"{first}\n"):
            whole[-1] += f"\n{part}"
        else:
            whole.append(part)
    return whole
