"""Tells if work is in a branch, however it got there."""

from __future__ import annotations

from lib.git.inspect import is_ancestor
from lib.git.merge import Clean, merge
from lib.git.objects import at, commit_tree
from lib.git.run import Repo, git, identity_env
from lib.git.trees import tree_of


def is_landed(repo: Repo, tip: str, target: str) -> bool:
    """True if all that `tip` brings is in `target`, also when it got there by a squash or a rebase."""
    if is_ancestor(repo, tip, target):
        return True
    base = git(repo, "merge-base", tip, target, ok=(0, 1)).text
    if not base:
        return False
    merged = merge(repo, target, tip)
    if isinstance(merged, Clean) and merged.tree == tree_of(repo, target):
        return True
    # Landed, and changed since: then its changes are found among the target's commits, one by one or as one.
    if not git(repo, "rev-list", "--merges", "-1", f"{target}..{tip}").text and _picked(repo, target, tip):
        return True
    squashed = commit_tree(repo, tree_of(repo, tip), [base], "squashed", identity_env(repo) | at(0))
    return _picked(repo, target, squashed)


def _picked(repo: Repo, target: str, tip: str) -> bool:
    lines = git(repo, "cherry", target, tip).text.splitlines()
    return bool(lines) and all(line.startswith("-") for line in lines)
