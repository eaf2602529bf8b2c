"""Damage of a power cut to a worktree: told from work, kept, and put right.

Linux writes a file out half a minute after it was changed. Until then a cut leaves it empty, or full of zeros, while
its name, and even the index and the commit that a builder made of it, may be there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from lib.files.syncing import hollow
from lib.git import rescue
from lib.git.checkout import Checkout
from lib.git.gc_guard import held_off
from lib.git.inspect import ignored
from lib.git.objects import UNWRITTEN_S, commit_tree, move_ref, value
from lib.git.reflog import read_log
from lib.git.run import CHECKOUT_TIMEOUT_S, Repo, git, identity_env
from lib.git.snapshot import take
from lib.git.trees import complete, entries, tree_of
from lib.git.whole import believe, whole_until


@dataclass(frozen=True, slots=True)
class Damage:
    """Paths that a power cut emptied: those put back, those that were new, and those that git ignores, which stay."""

    restored: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.restored or self.removed or self.ignored)


def damage(repo: Repo, checkout: Checkout, known: str) -> Damage:
    """The files that are empty since a power cut, if there was one; `known` is the tree or commit that they were of.

    A file that was empty in `known` as well is none, nor is one whose last change is known to be durable.
    """
    found = [path for path in _unwritten(checkout) if _hollow(checkout.path / path)]
    if not found:
        return Damage()
    before = entries(repo, known)
    nothing = git(repo, "hash-object", "--stdin", input=b"").text
    restored = [path for path in found if path in before and before[path].oid != nothing]
    fresh = [path for path in found if path not in before]
    caches = set(ignored(repo, checkout.path, fresh))
    return Damage(restored, [path for path in fresh if path not in caches], sorted(caches))


def revive(repo: Repo, checkout: Checkout, commit: str, known: str = "") -> Damage:
    """Puts right what a power cut emptied in a worktree of `commit`, and makes the worktree believed again.

    What there is of the turn that was cut is rescued first. A file is what it was in `known`, or in the commit; one
    that was new is gone.
    """
    found = damage(repo, checkout, known or commit)
    with held_off(repo):
        tree = take(repo, checkout.path, checkout.index, commit).tree
        if found and tree != tree_of(repo, commit):
            what = f"{checkout.name}: as a power cut left it"
            left = commit_tree(repo, tree, [commit], what, identity_env(repo))
            rescue.keep(repo, checkout.run, checkout.name, left, what)
    if found.restored:
        _put_back(repo, checkout, known or commit, found.restored)
    for path in found.removed:
        (checkout.path / path).unlink()
    believe(checkout)
    return found


def sound_branch(repo: Repo, ref: str, start: str) -> None:
    """Moves a branch whose file or commits a power cut has emptied back to the last commit that is whole."""
    tip = value(repo, ref)
    if tip is not None and complete(repo, tip, start):
        return
    file = repo.common_dir / ref
    if tip is None:
        if not file.is_file():
            return
        file.unlink()  # git moves no ref that it can't read
    whole = (commit for commit, _ in read_log(repo.common_dir / "logs" / ref) if complete(repo, commit, start))
    move_ref(repo, ref, next(whole, start), value(repo, ref), "back to what a power cut left whole")


def _unwritten(checkout: Checkout) -> list[str]:
    """The plain files that may not have been written out when the power was cut, by their last change."""
    changed = dict(_changes(checkout.path, ""))
    since = max(whole_until(checkout), max(changed.values(), default=0.0) - UNWRITTEN_S)
    return sorted(path for path, at in changed.items() if at >= since)


def _changes(root: Path, below: str) -> Iterator[tuple[str, float]]:
    with suppress(PermissionError), os.scandir(root / below) as listing:
        for entry in listing:
            path = f"{below}{entry.name}"
            if entry.name == ".git":
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _changes(root, f"{path}/")
            elif entry.is_file(follow_symlinks=False):
                yield path, entry.stat(follow_symlinks=False).st_ctime


def _hollow(file: Path) -> bool:
    with suppress(PermissionError):  # what can't be read can't be taken for work either
        return hollow(file)
    return False


def _put_back(repo: Repo, checkout: Checkout, known: str, paths: list[str]) -> None:
    index = checkout.index.with_name(f"{checkout.index.name}.before")
    names = os.fsencode("\0".join(paths))
    try:
        git(repo, "read-tree", known, index=index)
        git(repo, "checkout-index", "--force", "-z", "--stdin", input=names, timeout_s=CHECKOUT_TIMEOUT_S,
            index=index, work_tree=checkout.path)  # fmt: skip
    finally:
        index.unlink(missing_ok=True)
