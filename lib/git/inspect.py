"""Questions to a repository that change nothing."""

from __future__ import annotations

import os
import re
import subprocess
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from lib.errors import RelayError
from lib.git.reading import Commit, UnreadError, find, read_commit
from lib.git.run import Repo, git
from lib.git.stored import OBJECT, stored_ref
from lib.git.suitable import accepted, fit_to_start
from lib.git.trees import differing, status_of
from lib.git.worktree_records import records
from lib.model import Base

#: The first git with `merge-tree --write-tree`.
OLDEST_GIT: Final = (2, 38)
_HEADS: Final = "refs/heads/"
#: So many commits before one are looked at without a git of its own.
_NEAR: Final = 10

#: What git keeps in a git directory while a command waits for its user; git-status(1) goes by the same.
_IN_PROGRESS: Final = {
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}


@dataclass(frozen=True, slots=True)
class Worktree:
    """A work tree: `branch` is the full ref that it has checked out or None, `git_dir` its own git directory."""

    path: Path
    branch: str | None
    git_dir: Path


def git_version() -> tuple[int, ...]:
    """Raises `RelayError` (`git_missing`)."""
    try:
        said = subprocess.run(["git", "version"], check=True, capture_output=True, text=True, timeout=30).stdout
    except FileNotFoundError as error:
        raise RelayError("git is not installed", remedy="apt-get install git", code="git_missing") from error
    return tuple(map(int, re.findall(r"\d+", said)[:3]))


def starting_point(repo: Repo) -> Base:
    """The user's branch and its commit.

    Raises `RelayError` where a run can't start: `git_missing`, `git_too_old`, `repository_refused`,
    `bare_repository`, `work_tree_elsewhere`, `reftable`, `detached_head`, `no_commits`, `nothing_committed`,
    `branch_in_the_way`.
    """
    version = git_version()
    if version < OLDEST_GIT:
        said, need = (".".join(map(str, numbers)) for numbers in (version, OLDEST_GIT))
        raise RelayError(f"git is {said}, Relay needs {need}", remedy="apt-get install git", code="git_too_old")
    accepted(repo)
    ref = git(repo, "symbolic-ref", "--quiet", "HEAD", ok=(0, 1)).text
    if not ref.startswith(_HEADS):
        message = "HEAD is detached: there is no branch for the result to land on"
        raise RelayError(message, remedy="git switch -c my-work", code="detached_head")
    return Base(branch=ref.removeprefix(_HEADS), commit=fit_to_start(repo, ref))


def in_progress(git_dir: Path) -> str | None:
    """The command that a user has begun there and not ended: `rebase`, `merge`, `cherry-pick`, `revert`, `bisect`."""
    return next((what for name, what in _IN_PROGRESS.items() if (git_dir / name).exists()), None)


def resolve(repo: Repo, ref: str) -> str | None:
    """The commit that `ref` names."""
    with suppress(UnreadError):
        oid = ref if OBJECT.fullmatch(ref) else stored_ref(repo.common_dir, ref)
        return oid and find(repo, f"{oid}^{{commit}}")
    name = f"{ref}^{{commit}}"
    return git(repo, "rev-parse", "--verify", "--quiet", "--end-of-options", name, ok=(0, 1, 128)).text or None


def is_ancestor(repo: Repo, ancestor: str, commit: str) -> bool:
    """True if all of `ancestor` is in `commit`; a commit is in itself."""
    if ancestor == commit:
        return True
    with suppress(UnreadError):
        if any(ancestor in each.parents for each in islice(_history(repo, commit), _NEAR)):
            return True
    return git(repo, "merge-base", "--is-ancestor", ancestor, commit, ok=(0, 1)).status == 0


def _history(repo: Repo, commit: str) -> Iterator[Commit]:
    """A commit and those before it, the nearest first. Raises `UnreadError`."""
    waiting, seen = deque([commit]), {commit}
    while waiting:
        found = read_commit(repo, waiting.popleft())
        yield found
        waiting += [parent for parent in found.parents if parent not in seen]
        seen.update(found.parents)


def not_in(repo: Repo, tips: Sequence[str], commit: str) -> set[str]:
    """Commits of `tips` that are not in `commit`, nor it itself."""
    return set(git(repo, "rev-list", *tips, f"^{commit}", "--").text.split()).intersection(tips)


def changed_paths(repo: Repo, old: str, new: str) -> list[tuple[str, str]]:
    """Status letter (git-diff-tree(1): A, D, M, T) and path of each file that differs; renames are a D and an A."""
    return [(status_of(*sides), path) for path, sides in differing(repo, old, new).items()]


def uncommitted(repo: Repo) -> dict[str, int]:
    """Counts what of the work tree is in no commit: changed files, and untracked ones or folders of them."""
    listing = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal")
    marks = [line[:2] for line in git(repo, *listing).fields() if not line[3:].startswith(f"{repo.own}/")]
    untracked = marks.count("??")
    return {"changed": len(marks) - untracked, "untracked": untracked}


def ignored(repo: Repo, root: Path, paths: Iterable[str]) -> list[str]:
    """Paths of `paths` that git ignores in the work tree `root`, tracked or not."""
    names = [f"./{path}" for path in paths]  # so that none is taken for a pattern
    if not names:
        return []
    command = ("check-ignore", "--no-index", "-z", "--stdin")
    data = os.fsencode("\0".join(names))
    done = git(repo, *command, input=data, work_tree=root, env={"GIT_LITERAL_PATHSPECS": "0"}, ok=(0, 1))
    return [name.removeprefix("./") for name in done.fields()]


def worktrees(repo: Repo) -> list[Worktree]:
    """All work trees of the repository whose folder is there, the project's own first.

    Git's records say where the others are, and not `git worktree list`: in a submodule, and with a separate git
    directory, that takes the git directory for the main work tree, and with core.bare it knows none.
    """
    places = {repo.git_dir: repo.root} | {
        record: tree for record, tree in sorted(records(repo.common_dir)) if record != repo.git_dir
    }
    if repo.git_dir != repo.common_dir and (main := _main_tree(repo)):
        places[repo.common_dir] = main
    return [Worktree(path, branch_of(git_dir), git_dir) for git_dir, path in places.items() if path.is_dir()]


def branch_of(git_dir: Path) -> str | None:
    """The branch, as a full ref, that the work tree of that git directory has checked out."""
    file = git_dir / "HEAD"
    try:
        if file.is_symlink():  # as git wrote it long ago
            return os.fsdecode(file.readlink())
        kind, _, ref = file.read_text("utf-8", "surrogateescape").rstrip("\n").partition(" ")
    except OSError:  # its worktree is being made or removed
        return None
    return ref if kind == "ref:" else None


def unseen_branch(repo: Repo) -> str | None:
    """The branch that is checked out in the main work tree, where nothing tells which folder that is."""
    known = repo.git_dir == repo.common_dir or not _has_files(repo.common_dir) or _main_tree(repo)
    return None if known else branch_of(repo.common_dir)


def _main_tree(repo: Repo) -> Path | None:
    """The main work tree, seen from a linked one; None for a bare repository, and where git does not record it."""
    common = repo.common_dir
    if not _has_files(common):
        return None
    there = Repo(common, common, common)
    if named := git(there, "config", "--get", "core.worktree", ok=(0, 1)).text:
        return (common / named).resolve()
    return common.parent if common.name == ".git" else None


def _has_files(git_dir: Path) -> bool:
    """True if something was ever checked out there: core.bare may say otherwise."""
    return (git_dir / "index").exists()
