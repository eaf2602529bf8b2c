"""One look into a worktree by its private index: what differs from that, what is new there, and what git ignores."""

from __future__ import annotations

from typing import Final, NamedTuple

from lib.git.checkout import Checkout
from lib.git.indexfile import read_index
from lib.git.run import Repo, git

_STATUS: Final = ("status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=all", "--untracked-files=all",
                  "--ignored=matching")  # fmt: skip
_NEW, _IGNORED = "??", "!!"


class Listing(NamedTuple):
    """`same` if all files of the index are as it has them, submodules aside.

    `untracked` are new files, and with a slash behind their name folders that are repositories of their own; `ignored`
    are files, and folders with a slash, that match a pattern of ignored ones.
    """

    same: bool
    untracked: list[str]
    ignored: frozenset[str]


def listed(repo: Repo, checkout: Checkout) -> Listing:
    fields = git(repo, *_STATUS, index=checkout.index, work_tree=checkout.path).fields()
    names: dict[str, list[str]] = {_NEW: [], _IGNORED: []}
    same = True
    for field in fields:
        mark, name = field[:2], field[3:]
        if mark in names:
            names[mark].append(name)
        else:  # the first column compares with the commit that the user has checked out
            same = same and mark[1] == " "
    return Listing(same, names[_NEW], frozenset(names[_IGNORED]))


def holds(checkout: Checkout, tree: str, seen: Listing) -> bool:
    """True if a worktree that was `seen` so holds just `tree`; never with submodules, or files left out of it."""
    index = read_index(checkout.index, len(tree))
    return seen.same and not seen.untracked and index is not None and index.plain and index.tree == tree
