"""Obstacles to landing, sorted by kind so that their owner can clear them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lib.git.blobs import Is, judge
from lib.git.inspect import changed_paths, ignored
from lib.git.run import Repo, git
from lib.git.trees import entries
from lib.names import quote

_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Blocked:
    """Landing has changed nothing. `remedy` can be typed as it is, and `does` says what it does.

    `paths` are relative to the work tree.
    """

    code: str
    message: str
    remedy: str
    does: str
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
    """The user's changes and files that would be lost if the work tree `there` went from `tip` to `new`."""
    unmerged = {line.partition("\t")[2] for line in git(there, "ls-files", "--unmerged", "-z").fields()}
    if unmerged:
        message = f"{there.root} has unresolved conflicts: {some(unmerged)}"
        remedy = f"cd {quote(str(there.root))} && git status"
        return Blocked("unmerged", message, remedy, "shows the files in question", sorted(unmerged))
    differing = changed_paths(there, tip, new)
    dirty = set(git(there, "diff", "--no-ext-diff", "--no-textconv", "--name-only", "--no-renames", "-z", tip).fields())
    lost = (path for status, path in differing if status != "D" or os.path.lexists(there.root / path))
    tags = _tags(there)
    concealed = _concealed(there, tip, [path for _, path in differing], tags)
    changed = dirty.intersection(lost) - concealed.keys()
    found = {name for status, path in differing if status == "A" for name in _found_at(there.root, path)}
    tracked = tags.keys()
    removed = {path for status, path in differing if status == "D"}
    untracked = found - tracked - changed - removed
    hidden = set(ignored(there, there.root, untracked))
    untracked -= hidden
    if not changed | untracked | hidden | concealed.keys():
        return None
    kinds = {"changed": changed, "changed, and hidden from git": concealed, "untracked": untracked, "ignored": hidden}
    told = "; ".join(f"{kind}: {some(paths)}" for kind, paths in kinds.items() if paths)
    message = f"files in {there.root} would be overwritten ({told})"
    # What has to go is a folder as a whole where a file is to be.
    folders = {path for status, path in differing if status == "A" and _is_folder(there.root / path)}
    stashed, moved = (_as_wholes(paths, folders) for paths in (changed | untracked, hidden))
    remedy = _remedy(there.root, stashed, moved, concealed)
    return Blocked(
        "in_the_way", message, remedy, "sets those files aside", sorted({*changed, *concealed} | found - tracked)
    )


def _tags(there: Repo) -> dict[str, str]:
    """The tracked files, each with its letter of `git ls-files -v`."""
    fields = (field.partition(" ") for field in git(there, "ls-files", "-v", "-z").fields())
    return {name: tag for tag, _, name in fields}


def _concealed(there: Repo, tip: str, paths: Iterable[str], tags: Mapping[str, str]) -> dict[str, str]:
    """Paths of `paths` that the user has changed and told git not to look at, each with its letter."""
    flagged = [path for path in paths if path in tags and (tags[path] == "S" or tags[path].islower())]
    before = entries(there, tip) if flagged else {}
    return {
        path: tags[path]
        for path in flagged
        if judge(there, there.root, path, before.get(path), None) not in {Is.OLD, Is.MISSING}
    }


def _is_folder(place: Path) -> bool:
    return place.is_dir() and not place.is_symlink()


def _as_wholes(paths: Iterable[str], folders: set[str]) -> set[str]:
    """The paths, and instead of those in one of `folders` that folder."""
    return {next((str(up) for up in PurePosixPath(path).parents if str(up) in folders), path) for path in paths}


def _found_at(root: Path, path: str) -> Iterable[str]:
    """Paths that take the place of a new file: the file, a file where its folder is to be, or all files of a folder."""
    for part in [*reversed(PurePosixPath(path).parents)][1:]:
        if os.path.lexists(root / part) and ((root / part).is_symlink() or not (root / part).is_dir()):
            return [str(part)]
    place = root / path
    if _is_folder(place):
        return [str(Path(base, name).relative_to(root)) for base, _, names in os.walk(place) for name in names]
    return [path] if os.path.lexists(place) else []


def _remedy(root: Path, stashed: set[str], hidden: set[str], concealed: Mapping[str, str]) -> str:
    steps = [f"cd {quote(str(root))}"]
    for option, marks in (("no-skip-worktree", "Ss"), ("no-assume-unchanged", "hs")):
        if names := [path for path, tag in sorted(concealed.items()) if tag in marks]:
            steps.append(f"git update-index --{option} -- {_words(names)}")
    if stashed or concealed:
        steps.append(f"git stash push --include-untracked -- {_words(sorted({*stashed, *concealed}))}")
    steps += [f"mv {quote(path)} {quote(f'{path}.mine')}" for path in sorted(hidden)]
    return " && ".join(steps)


def _words(paths: Iterable[str]) -> str:
    return " ".join(map(quote, paths))


def some(paths: Iterable[str]) -> str:
    """The first of some paths, and how many more there are."""
    names = sorted(paths)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
