"""What stands in the way of landing, told apart so that its owner can clear it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lib.git.inspect import changed_paths, ignored
from lib.git.run import Repo, git
from lib.names import quote

_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Blocked:
    """Landing has changed nothing. `remedy` can be typed as it stands; `paths` are relative to the work tree."""

    code: str
    message: str
    remedy: str
    paths: list[str]


def busy(git_dir: Path) -> str | None:
    """The branch, as a full ref, that a rebase or a bisection has taken from HEAD and will give back."""
    for name in ("rebase-merge/head-name", "rebase-apply/head-name"):
        if (git_dir / name).is_file():
            return (git_dir / name).read_text("utf-8", "surrogateescape").strip()
    if (git_dir / "BISECT_START").is_file():
        return f"refs/heads/{(git_dir / 'BISECT_START').read_text('utf-8', 'surrogateescape').strip()}"
    return None


def in_the_way(there: Repo, tip: str, new: str) -> Blocked | None:
    """What of the user's would be lost if the work tree `there` went from `tip` to `new`."""
    unmerged = {line.partition("\t")[2] for line in git(there, "ls-files", "--unmerged", "-z").fields()}
    if unmerged:
        message = f"{there.root} has unresolved conflicts: {some(unmerged)}"
        return Blocked("unmerged", message, f"cd {quote(str(there.root))} && git status", sorted(unmerged))
    differing = changed_paths(there, tip, new)
    dirty = set(git(there, "diff", "--no-ext-diff", "--no-textconv", "--name-only", "--no-renames", "-z", tip).fields())
    lost = (path for status, path in differing if status != "D" or os.path.lexists(there.root / path))
    changed = dirty.intersection(lost)
    found = {name for status, path in differing if status == "A" for name in _found_at(there.root, path)}
    tracked = set(git(there, "ls-files", "-z").fields())
    removed = {path for status, path in differing if status == "D"}
    untracked = found - tracked - changed - removed
    hidden = set(ignored(there, there.root, untracked))
    untracked -= hidden
    if not changed | untracked | hidden:
        return None
    kinds = {"changed": changed, "untracked": untracked, "ignored": hidden}
    told = "; ".join(f"{kind}: {some(paths)}" for kind, paths in kinds.items() if paths)
    message = f"files in {there.root} would be overwritten ({told})"
    return Blocked(
        "in_the_way", message, _remedy(there.root, changed | untracked, hidden), sorted(changed | found - tracked)
    )


def _found_at(root: Path, path: str) -> Iterable[str]:
    """What is there where a new file is to be: the file, a file where its folder is to be, or all files of a folder."""
    for part in [*reversed(PurePosixPath(path).parents)][1:]:
        if os.path.lexists(root / part) and ((root / part).is_symlink() or not (root / part).is_dir()):
            return [str(part)]
    place = root / path
    if place.is_dir() and not place.is_symlink():
        return [str(Path(base, name).relative_to(root)) for base, _, names in os.walk(place) for name in names]
    return [path] if os.path.lexists(place) else []


def _remedy(root: Path, stashed: set[str], hidden: set[str]) -> str:
    steps = [f"cd {quote(str(root))}"]
    if stashed:
        steps.append(f"git stash push --include-untracked -- {' '.join(quote(path) for path in sorted(stashed))}")
    steps += [f"mv {quote(path)} {quote(f'{path}.mine')}" for path in sorted(hidden)]
    return " && ".join(steps)


def some(paths: Iterable[str]) -> str:
    """The first of some paths, and how many more there are."""
    names = sorted(paths)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
