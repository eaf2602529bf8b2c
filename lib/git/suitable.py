"""Checks, before anything is made, that a run can start here, and that git and Relay mean the same work tree."""

from __future__ import annotations

import os
import subprocess
from itertools import chain, count
from pathlib import Path
from typing import Final

from lib.errors import RelayError
from lib.git.run import Repo, environment, git
from lib.git.worktree_records import records
from lib.names import quote

#: Refs of Relay's are below it, and a ref is a file or a folder.
_IN_THE_WAY: Final = "refs/heads/relay"
_EMPTY_TREES: Final = (
    "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
)
_QUESTION: Final = ("rev-parse", "--is-inside-work-tree", "--show-toplevel")


def accepted(repo: Repo) -> None:
    """Raises `RelayError` if git itself would not work here, or would work with the files of another folder.

    `repository_refused`: a given git directory skips git's check of the owner. `bare_repository`,
    `work_tree_elsewhere`, `reftable`.
    """
    if (repo.common_dir / "reftable").is_dir():
        message = "this repository keeps its refs in a reftable, which Relay can't read yet"
        raise RelayError(message, remedy="git refs migrate --ref-format=files", code="reftable")
    done = _asked(repo)
    inside, _, named = os.fsdecode(done.stdout).removesuffix("\n").partition("\n")
    if not inside:
        raise _refused(repo, os.fsdecode(done.stderr).strip())
    if not named:
        raise _bare(repo)
    if not Path(named).is_dir() or not repo.root.samefile(named):
        message = f"git's core.worktree says that the files of {repo.root} are in {named}"
        remedy = f"git config --file {quote(_file_with(repo, 'core.worktree'))} --unset core.worktree"
        raise RelayError(message, remedy=remedy, code="work_tree_elsewhere")


def fit_to_start(repo: Repo, ref: str) -> str:
    """The commit that a run starts from, of the branch `ref`.

    Raises `RelayError` (`no_commits`, `nothing_committed`, `branch_in_the_way`).
    """
    listing = ("for-each-ref", "--format=%(refname)%00%(objectname)%00%(tree)", ref, _IN_THE_WAY)
    found = {name: (commit, tree) for name, commit, tree in (line.split("\0") for line in git(repo, *listing).lines())}
    commit, tree = found.get(ref, ("", ""))
    branch = ref.removeprefix("refs/heads/")
    if not commit or tree in _EMPTY_TREES:
        listed = git(repo, "ls-files", "--cached", "--others", "--exclude-standard", "--directory", "-z").fields()
        files = [name for name in listed if not name.startswith(f"{repo.own}/")]
        remedy = f"git {'add -A && git commit' if files else 'commit --allow-empty'} -m start"
        if not commit:
            raise RelayError(f"the branch {branch} has no commits yet", remedy=remedy, code="no_commits")
        if files:
            message = f"no file is committed on {branch}, and builders get only what is committed"
            raise RelayError(message, remedy=remedy, code="nothing_committed")
    if _IN_THE_WAY in found:
        message = "there is a branch called relay, and git can't keep others below it: relay/RUN/BUILDER"
        raise RelayError(message, remedy=f"git branch -m relay {_free(repo)}", code="branch_in_the_way")
    return commit


def _free(repo: Repo) -> str:
    """A free name for the branch that has the name `relay`."""
    names = chain(["relay-branch"], (f"relay-branch-{number}" for number in count(2)))
    taken = ("rev-parse", "--verify", "--quiet")
    return next(name for name in names if git(repo, *taken, f"refs/heads/{name}", ok=(0, 1)).status)


def _asked(repo: Repo, *options: str) -> subprocess.CompletedProcess[bytes]:
    """Git's answer in the project's folder, where it finds the git directory by itself."""
    command = ["git", "-c", "core.fsmonitor=false", *options, *_QUESTION]
    return subprocess.run(command, cwd=repo.root, env=environment(), check=False, capture_output=True, timeout=30)


def _refused(repo: Repo, said: str) -> RelayError:
    root = quote(repo.root)
    foreign = _asked(repo, "-c", "safe.directory=*").stdout != b""
    remedy = f"git config --global --add safe.directory {root}" if foreign else f"git -C {root} status"
    return RelayError(f"git refuses to work in {repo.root}: {said}", remedy=remedy, code="repository_refused")


def _bare(repo: Repo) -> RelayError:
    """An error for a bare repository, or for a checkout that is only said to be bare: that one has an index."""
    if (repo.git_dir / "index").exists():
        message = f"git's core.bare says that {repo.root} has no work tree, and it has one: another tool set that"
        scope = "--worktree " if _file_with(repo, "core.bare").name == "config.worktree" else ""
        return RelayError(message, remedy=f"git config {scope}core.bare false", code="bare_repository")
    message = f"{repo.root} is a bare repository; Relay needs a work tree to land in"
    trees = sorted(tree for _, tree in records(repo.common_dir) if tree.is_dir())
    remedy = f"cd {quote(trees[0])}" if trees else f"git clone {quote(repo.root)} work && cd work"
    return RelayError(message, remedy=remedy, code="bare_repository")


def _file_with(repo: Repo, key: str) -> Path:
    """The repository's configuration file that sets `key`."""
    own = repo.git_dir / "config.worktree"
    done = git(repo, "config", "--file", own, "--get", key, ok=(0, 1)) if own.is_file() else None
    return own if done and done.status == 0 else repo.common_dir / "config"
