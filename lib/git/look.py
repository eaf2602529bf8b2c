"""The look at a worktree right after a command has ended there: what it left is noted as its leftovers."""

from __future__ import annotations

from pathlib import Path

from lib.errors import GitError
from lib.git.checkout import Checkout, copy_index, head_of, in_merge
from lib.git.gc_guard import held_off
from lib.git.ignored import note_known
from lib.git.inside import note_inside
from lib.git.leftovers import note, note_work, without_work
from lib.git.listing import Listing, holds, listed
from lib.git.run import Repo
from lib.git.snapshot import take
from lib.git.trees import Sides, differing, tree_of


def look(repo: Repo, path: Path) -> None:
    """Notes all that differs from the commit that the worktree at `path` has checked out, and the ignored files there.

    In the middle of a merge nothing is noted: what differs then is the merge. Calling it again is harmless.
    """
    checkout = Checkout.at(repo, path)
    head = head_of(repo, checkout)
    if head is None or not checkout.complete or in_merge(repo, checkout):
        return
    seen = listed(repo, checkout)
    note_known(checkout, seen.ignored)
    note_inside(repo, checkout)
    note(checkout, without_work(checkout, _differing(repo, checkout, head, seen)))


def look_before(repo: Repo, path: Path) -> None:
    """Notes what of the worktree at `path` is work that no commit has, as a command is about to run there."""
    checkout = Checkout.at(repo, path)
    head = head_of(repo, checkout)
    if head and checkout.complete:
        note_work(checkout, _differing(repo, checkout, head, listed(repo, checkout)))


def _differing(repo: Repo, checkout: Checkout, head: str, seen: Listing) -> Sides:
    if holds(checkout, tree_of(repo, head), seen):
        return {}
    return differing(repo, head, _tree(repo, checkout, head, seen))


def _tree(repo: Repo, checkout: Checkout, head: str, seen: Listing) -> str:
    """The worktree's content, taken with a copy of the private index: that one names no object that may vanish."""
    index = checkout.index.with_name(f"{checkout.name}.looking")
    copy_index(checkout.index, index)
    try:
        return take(repo, checkout.path, index, head, seen).tree
    except GitError:  # the user may have pruned what was stored just now
        index.unlink(missing_ok=True)
        with held_off(repo):
            return take(repo, checkout.path, index, head).tree
    finally:
        index.unlink(missing_ok=True)
