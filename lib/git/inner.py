"""Worktrees of the same repository that a tool made inside a builder's: theirs is not the builder's work, but work."""

from __future__ import annotations

from lib.git import rescue
from lib.git.checkout import Checkout, discard, head_of
from lib.git.objects import commit_tree, dated
from lib.git.pins import holders
from lib.git.run import Repo
from lib.git.snapshot import take
from lib.git.trees import tree_of
from lib.git.worktree_records import records


def end_inner(repo: Repo, checkout: Checkout) -> None:
    """Removes the worktrees inside of one that is about to be removed; what no branch has of theirs is rescued."""
    index = checkout.index.with_name(f"{checkout.name}.inner")
    within = f"{checkout.path}/"
    for place in sorted(tree for _, tree in records(repo.common_dir) if str(tree).startswith(within)):
        inner = Checkout(place, index)
        head = head_of(repo, inner)
        if head and inner.present:
            index.unlink(missing_ok=True)
            _keep(repo, checkout, inner, head)
        discard(repo, inner, checkout.path.parents[1])


def _keep(repo: Repo, checkout: Checkout, inner: Checkout, head: str) -> None:
    tree = take(repo, inner.path, inner.index, head).tree
    where = f"{checkout.name}: in the worktree {inner.path.relative_to(checkout.path)} inside of its own"
    if tree != tree_of(repo, head):
        head = commit_tree(repo, tree, [head], where, dated(repo, [head]))
    if not holders(repo, head):
        rescue.keep(repo, checkout.run, checkout.name, head, where)
