"""Commits of Relay's own, and how they outlive a `git gc --prune=now` that runs while they are made."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from lib.errors import GitError
from lib.files.syncing import hollow
from lib.git.gc_guard import COMMANDS, held_off
from lib.git.locks import wait_for_others
from lib.git.reading import UnreadError, read_commit
from lib.git.run import GitTimeoutError, Repo, git, given_identity, identity_env
from lib.git.stored import stored_ref
from lib.git.trees import complete
from lib.names import shown

#: A file that was changed so long ago is written out: vm.dirty_expire_centisecs is 30 s.
UNWRITTEN_S: Final = 120.0

T = TypeVar("T")


def commit_tree(repo: Repo, tree: str, parents: Sequence[str], message: str, env: Mapping[str, str]) -> str:
    """A new commit that no ref names yet; `env` says who makes it and when."""
    command = _commit_tree(tree, parents)
    return git(repo, *command, input=shown(message).encode(), env=env).text


def commit_as_user(repo: Repo, tree: str, parents: Sequence[str], message: str, env: Mapping[str, str]) -> str:
    """As `commit_tree`, made by the user, whom git knows in most cases without being asked before (`identity_env`)."""
    only_known = ("-c", "user.useConfigOnly=true", *_commit_tree(tree, parents))
    text, given = shown(message).encode(), {**given_identity(), **env}
    done = git(repo, *only_known, input=text, env=given, ok=(0, 128))
    return done.text if done.status == 0 else commit_tree(repo, tree, parents, message, {**identity_env(repo), **env})


def _commit_tree(tree: str, parents: Sequence[str]) -> list[str]:
    return ["commit-tree", tree, *(option for parent in parents for option in ("-p", parent)), "-F", "-"]


def dated(repo: Repo, parents: Sequence[str]) -> dict[str, str]:
    """The author and date of a merge: the date of its newest parent, so that merging again gives the same commit."""
    return identity_env(repo) | at(max(stamp_of(repo, parent) for parent in parents))


def stamp_of(repo: Repo, commit: str) -> int:
    """The date of a commit, in seconds of Unix time."""
    with suppress(UnreadError):
        return read_commit(repo, commit).stamp
    return int(git(repo, "rev-list", "-1", "--timestamp", commit).text.split()[0])


def at(stamp: int) -> dict[str, str]:
    """The variables that date a commit, in seconds of Unix time."""
    return {"GIT_AUTHOR_DATE": f"@{stamp} +0000", "GIT_COMMITTER_DATE": f"@{stamp} +0000"}


def move_ref(repo: Repo, ref: str, new: str, old: str | None, why: str) -> bool:
    """Compare-and-swap; `old` None means that the ref must not exist. False if somebody else moved it elsewhere."""
    command = ("update-ref", "-m", f"relay: {why}", ref, new, old or "")
    if git(repo, *command, ok=(0, 1, 128)).status == 0:
        return True
    if (found := value(repo, ref)) != old:
        return found == new  # moved before git was killed
    git(repo, *command)  # it was no race, so this says what it was
    return True


def make_refs(repo: Repo, wanted: Mapping[str, str], why: str) -> None:
    """Makes these refs at their commits; one that is there stays where it is. Raises `GitError`."""
    fresh = {ref: commit for ref, commit in wanted.items() if value(repo, ref) is None}
    lines = "".join(f"create {ref} {commit}\n" for ref, commit in fresh.items())
    if fresh:
        git(repo, "update-ref", "--create-reflog", "-m", f"relay: {why}", "--stdin", input=lines.encode())


def delete_ref(repo: Repo, ref: str, old: str) -> bool:
    """Deletes the ref; False if it is no longer at `old`."""
    return git(repo, "update-ref", "-d", ref, old, ok=(0, 1, 128)).status == 0


def delete_refs(repo: Repo, refs: Sequence[tuple[str, str]]) -> list[str]:
    """Deletes the refs, each with its object, that are still there, and gives their names."""
    if not refs:
        return []
    lines = "".join(f"delete {ref} {old}\n" for ref, old in refs)
    if git(repo, "update-ref", "--stdin", input=lines.encode(errors="surrogateescape"), ok=(0, 1, 128)).status == 0:
        return [ref for ref, _ in refs]
    return [ref for ref, old in refs if delete_ref(repo, ref, old)]  # all or nothing: now one by one


def refs_below(repo: Repo, prefix: str) -> list[tuple[str, str]]:
    """The refs whose names begin with `prefix`, which ends in a slash, each with its object."""
    lines = git(repo, "for-each-ref", "--format=%(refname) %(objectname)", prefix).lines()
    return [(ref, oid) for ref, _, oid in (line.partition(" ") for line in lines)]


def value(repo: Repo, ref: str) -> str | None:
    """The object that a full ref name names, also when that object is missing."""
    with suppress(UnreadError):
        return stored_ref(repo.common_dir, ref)
    return git(repo, "rev-parse", "--verify", "--quiet", ref, ok=(0, 1, 128)).text or None


def gc_safe(repo: Repo, ref: str, known: str, make: Callable[[int], T]) -> T:
    """Calls `make`, which writes objects and moves `ref` to them, and gives its result.

    No ref names a new object at first, and a `git gc --prune=now` that the user runs just then removes it. So once the
    ref has moved, those that were under way are waited for, and if anything is gone the ref goes back and `make`, with
    1 instead of 0, is called again while `gc` is held off. `known` is a commit that was complete before.
    """
    before = value(repo, ref)
    try:
        made = make(0)
    except GitError as error:
        if isinstance(error, GitTimeoutError) or error.code != "git_failed":
            raise
    else:
        wait_for_others(repo.common_dir, COMMANDS, roots=[repo.root])
        if _settled(repo, ref, before, known):
            return made
    with held_off(repo):
        made = make(1)
        if _settled(repo, ref, before, known):
            return made
    message = f"new objects of {ref} vanished: does something prune while Relay works?"
    raise GitError(message, remedy="ps ax | grep git", code="objects_vanish")


def _settled(repo: Repo, ref: str, before: str | None, known: str) -> bool:
    """True if all that the ref has come to name is there; else the ref is put back."""
    head = value(repo, ref)
    if head is None or head == before or complete(repo, head, before or known):
        return True
    _put_back(repo, ref, head, before)
    return False


def _put_back(repo: Repo, ref: str, head: str, before: str | None) -> None:
    """Undoes a move of the ref, in its log as well: an entry of a commit that is gone would make `git fsck` fail."""
    if before is None:
        delete_ref(repo, ref, head)
    elif move_ref(repo, ref, before, head, "again") and git(repo, "reflog", "exists", ref, ok=(0, 1)).status == 0:
        git(repo, "reflog", "delete", "--rewrite", f"{ref}@{{1}}", f"{ref}@{{0}}")


def drop_hollow_objects(repo: Repo, since: float) -> None:
    """Removes loose objects, made after `since`, that hold nothing: git takes them for written, and can't read them."""
    for folder in (repo.common_dir / "objects").glob("[0-9a-f][0-9a-f]"):
        for entry in os.scandir(folder):
            with suppress(FileNotFoundError):  # somebody packs them just now
                info = entry.stat(follow_symlinks=False)
                recent = info.st_mtime >= since - UNWRITTEN_S and stat.S_ISREG(info.st_mode)
                if recent and not entry.name.startswith("tmp_") and hollow(Path(entry.path)):
                    os.unlink(entry.path)  # noqa: PTH108 - as many as there are
