"""Questions to a repository that change nothing."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Final

from lib.errors import RelayError
from lib.git.records import records
from lib.git.run import Repo, environment, git
from lib.model import Base

#: The first git with `merge-tree --write-tree`.
OLDEST_GIT: Final = (2, 38)
_HEADS: Final = "refs/heads/"

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
    """One line of `git worktree list`: `branch` is a full ref or None, `git_dir` its own git directory."""

    path: Path
    head: str
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
    `bare_repository`, `detached_head`, `no_commits`.
    """
    version = git_version()
    if version < OLDEST_GIT:
        said, need = (".".join(map(str, numbers)) for numbers in (version, OLDEST_GIT))
        raise RelayError(f"git is {said}, Relay needs {need}", remedy="apt-get install git", code="git_too_old")
    _accepted(repo)
    if git(repo, "config", "--type=bool", "core.bare", ok=(0, 1)).text == "true" and repo.git_dir == repo.common_dir:
        message = f"{repo.root} is a bare repository; Relay needs a work tree to land in"
        raise RelayError(message, remedy=f"git clone {quote(str(repo.root))} work && cd work", code="bare_repository")
    ref = git(repo, "symbolic-ref", "--quiet", "HEAD", ok=(0, 1)).text
    if not ref.startswith(_HEADS):
        message = "HEAD is detached: there is no branch for the result to land on"
        raise RelayError(message, remedy="git switch -c my-work", code="detached_head")
    commit = resolve(repo, ref)
    if commit is None:
        message = f"the branch {ref.removeprefix(_HEADS)} has no commits yet"
        raise RelayError(message, remedy="git commit --allow-empty -m start", code="no_commits")
    return Base(branch=ref.removeprefix(_HEADS), commit=commit)


def _accepted(repo: Repo) -> None:
    """Raises `RelayError` if git itself would not work here: a given git directory skips its check of the owner."""
    done = subprocess.run(
        ["git", "-c", "core.fsmonitor=false", "rev-parse", "--git-dir"],
        cwd=repo.root,
        env=environment(),
        check=False,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=30,
    )
    if done.returncode:
        message = f"git refuses to work in {repo.root}: {done.stderr.strip()}"
        remedy = f"git config --global --add safe.directory {quote(str(repo.root))}"
        raise RelayError(message, remedy=remedy, code="repository_refused")


def in_progress(git_dir: Path) -> str | None:
    """What a user of that work tree has begun and not ended: `rebase`, `merge`, `cherry-pick`, `revert`, `bisect`."""
    return next((what for name, what in _IN_PROGRESS.items() if (git_dir / name).exists()), None)


def resolve(repo: Repo, ref: str) -> str | None:
    """The commit that `ref` names."""
    name = f"{ref}^{{commit}}"
    return git(repo, "rev-parse", "--verify", "--quiet", "--end-of-options", name, ok=(0, 1, 128)).text or None


def is_ancestor(repo: Repo, ancestor: str, commit: str) -> bool:
    """Whether all of `ancestor` is in `commit`, which a commit is in itself."""
    return ancestor == commit or git(repo, "merge-base", "--is-ancestor", ancestor, commit, ok=(0, 1)).status == 0


def changed_paths(repo: Repo, old: str, new: str) -> list[tuple[str, str]]:
    """Status letter (git-diff-tree(1): A, D, M, T) and path of each file that differs; renames are a D and an A."""
    fields = git(repo, "diff-tree", "-r", "-z", "--no-renames", "--name-status", old, new).fields()
    return list(zip(fields[::2], fields[1::2], strict=True))


def ignored(repo: Repo, root: Path, paths: Iterable[str]) -> list[str]:
    """Those of `paths` that git ignores in the work tree `root`, tracked or not."""
    names = [f"./{path}" for path in paths]  # so that none is taken for a pattern
    if not names:
        return []
    command = ("check-ignore", "--no-index", "-z", "--stdin")
    data = os.fsencode("\0".join(names))
    done = git(repo, *command, input=data, work_tree=root, env={"GIT_LITERAL_PATHSPECS": "0"}, ok=(0, 1))
    return [name.removeprefix("./") for name in done.fields()]


def worktrees(repo: Repo) -> list[Worktree]:
    """All work trees of the repository whose folder is there, the main one first; a bare one is none.

    The git directory of each is told by git's records: a builder may have replaced the `.git` file of its own.
    """
    git_dirs = {tree: record for record, tree in records(repo.common_dir)}
    found = []
    for block in git(repo, "worktree", "list", "--porcelain", "-z").out.split(b"\0\0"):
        lines = dict(line.partition(" ")[::2] for line in block.decode(errors="surrogateescape").split("\0"))
        path = Path(lines.get("worktree", ""))
        if "HEAD" in lines and path.is_dir():
            found.append(Worktree(path, lines["HEAD"], lines.get("branch"), git_dirs.get(path, repo.common_dir)))
    return found
