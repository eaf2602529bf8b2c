"""Commits of Relay's own, and how they outlive a `git gc --prune=now` that runs while they are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from lib.errors import GitError
from lib.git.locks import wait_for_others
from lib.git.run import GitTimeoutError, Repo, git, identity_env

_TRIES: Final = 5
_GC_S: Final = 120.0
_COLLECTORS: Final = frozenset({"gc", "prune", "repack", "prune-packed"})

T = TypeVar("T")


def commit_tree(repo: Repo, tree: str, parents: Sequence[str], message: str, env: Mapping[str, str]) -> str:
    """A new commit that no ref names yet; `env` says who makes it and when."""
    options = [option for parent in parents for option in ("-p", parent)]
    return git(repo, "commit-tree", tree, *options, "-F", "-", input=message.encode(), env=env).text


def dated(repo: Repo, parents: Sequence[str]) -> dict[str, str]:
    """Who makes a merge, and when: as its newest parent, so that merging again gives the same commit."""
    stamps = git(repo, "rev-list", "--no-walk", "--timestamp", *parents).text.splitlines()
    newest = max(int(line.split()[0]) for line in stamps)
    return identity_env(repo) | at(newest)


def at(stamp: int) -> dict[str, str]:
    """The variables that date a commit, in seconds of Unix time."""
    return {"GIT_AUTHOR_DATE": f"@{stamp} +0000", "GIT_COMMITTER_DATE": f"@{stamp} +0000"}


def move_ref(repo: Repo, ref: str, new: str, old: str | None, why: str) -> bool:
    """Compare-and-swap; `old` None means that the ref must not exist. False if somebody else moved it."""
    command = ("update-ref", "-m", f"relay: {why}", ref, new, old or "")
    if git(repo, *command, ok=(0, 1, 128)).status == 0:
        return True
    if value(repo, ref) != old:
        return False
    git(repo, *command)  # it was no race, so this says what it was
    return True


def delete_ref(repo: Repo, ref: str, old: str) -> bool:
    """Deletes the ref; False if it is no longer at `old`."""
    return git(repo, "update-ref", "-d", ref, old, ok=(0, 1, 128)).status == 0


def refs_below(repo: Repo, prefix: str) -> list[tuple[str, str]]:
    """The refs whose names begin with `prefix`, which ends in a slash, each with its object."""
    lines = git(repo, "for-each-ref", "--format=%(refname) %(objectname)", prefix).text.splitlines()
    return [(ref, oid) for ref, _, oid in (line.partition(" ") for line in lines)]


def value(repo: Repo, ref: str) -> str | None:
    """The object that a full ref name stands for, also when that object is missing."""
    return git(repo, "rev-parse", "--verify", "--quiet", ref, ok=(0, 1, 128)).text or None


def lasting(repo: Repo, ref: str, known: str, make: Callable[[int], T]) -> T:
    """What `make` gives, which writes objects and moves `ref` to them.

    No ref names a new object at first, and a `git gc --prune=now` that the user runs just then removes it. So once the
    ref has moved, those that were under way are waited for, and if anything is gone the ref goes back and `make` is
    called again, with the number of the try. `known` is a commit that was complete before.
    """
    before = value(repo, ref)
    for attempt in range(_TRIES):
        try:
            made = make(attempt)
        except GitError as error:
            if isinstance(error, GitTimeoutError) or error.code != "git_failed" or attempt == _TRIES - 1:
                raise
            wait_for_others(repo.common_dir, _COLLECTORS, _GC_S)
            continue
        head = value(repo, ref)
        wait_for_others(repo.common_dir, _COLLECTORS, _GC_S)
        if head is None or head == before or _complete(repo, head, before or known):
            return made
        if before:
            move_ref(repo, ref, before, head, "objects were collected: again")
        else:
            delete_ref(repo, ref, head)
    message = f"new objects of {ref} vanished {_TRIES} times: does something prune without end?"
    raise GitError(message, remedy="ps ax | grep git", code="objects_vanish")


def _complete(repo: Repo, commit: str, known: str) -> bool:
    command = ("rev-list", "--objects", "--quiet", commit, f"^{known}")
    return git(repo, *command, ok=(0, 1, 128)).status == 0
