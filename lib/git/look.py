"""The look at a worktree right after a command has ended there: what it left is noted as its leftovers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from lib.errors import GitError
from lib.git.checkout import Checkout, copy_index, head_of, in_merge
from lib.git.collector import held_off
from lib.git.ignored import note_known
from lib.git.inside import note_inside
from lib.git.leftovers import note, note_work, without_work
from lib.git.run import Repo, git
from lib.git.snapshot import take
from lib.git.trees import Sides, differing

#: A file or a link in the index, as `git ls-files -t --stage` lists it.
_PLAIN: Final = re.compile(rb"H 1(00644|00755|20000) ")


def look(repo: Repo, path: Path) -> None:
    """Notes all that differs from the commit that the worktree at `path` has checked out, and the ignored files there.

    In the middle of a merge nothing is noted: what differs then is the merge. Calling it again is harmless.
    """
    checkout = Checkout.at(repo, path)
    head = head_of(repo, checkout)
    if head is None or not checkout.complete or in_merge(repo, checkout):
        return
    note_known(repo, checkout)
    note_inside(repo, checkout)
    note(checkout, without_work(checkout, _differing(repo, checkout, head)))


def look_before(repo: Repo, path: Path) -> None:
    """Notes what of the worktree at `path` is work that no commit has, as a command is about to run there."""
    checkout = Checkout.at(repo, path)
    head = head_of(repo, checkout)
    if head and checkout.complete:
        note_work(checkout, _differing(repo, checkout, head))


def _differing(repo: Repo, checkout: Checkout, head: str) -> Sides:
    return {} if holds_just(repo, checkout, head) else differing(repo, head, _tree(repo, checkout, head))


def holds_just(repo: Repo, checkout: Checkout, head: str) -> bool:
    """True if nothing differs from the commit `head`, by looks that store nothing; never true with submodules."""
    if not checkout.index.is_file():
        return False
    listing = ("ls-files", "-t", "--stage", "--others", "--exclude-standard", "-z")
    entries = git(repo, *listing, index=checkout.index, work_tree=checkout.path).out.split(b"\0")[:-1]
    if not all(_PLAIN.match(entry) for entry in entries):
        return False
    command = ("diff-index", "--quiet", "--no-renames", head)
    return git(repo, *command, index=checkout.index, work_tree=checkout.path, ok=(0, 1)).status == 0


def _tree(repo: Repo, checkout: Checkout, head: str) -> str:
    """The worktree's content, taken with a copy of the private index: that one names no object that may vanish."""
    index = checkout.index.with_name(f"{checkout.name}.looking")
    copy_index(checkout.index, index)
    try:
        return take(repo, checkout.path, index, head).tree
    except GitError:  # the user may have pruned what was stored just now
        index.unlink(missing_ok=True)
        with held_off(repo):
            return take(repo, checkout.path, index, head).tree
    finally:
        index.unlink(missing_ok=True)
