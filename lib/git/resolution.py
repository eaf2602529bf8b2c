"""An assistant's resolution of a conflict: the evidence of it, the commit that it becomes, and what is put right again.

Until it is accepted it is a commit under `refs/relay/resolved/RUN`; the run's branch is not moved before that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from lib.conflicts.account import Disputed, Judgement
from lib.errors import GitError
from lib.git.checkout import Checkout, head_of
from lib.git.conflict import stage, unresolved
from lib.git.damage import damage
from lib.git.gc_guard import held_off
from lib.git.inspect import is_ancestor
from lib.git.merge import Conflict, ConflictPath, merge
from lib.git.objects import commit_tree, gc_safe, move_ref, value
from lib.git.run import CHECKOUT_TIMEOUT_S, Repo, git, identity_env
from lib.git.snapshot import take
from lib.git.trees import TreeEntry, blob, entries
from lib.git.whole import believe, believed
from lib.git.worktrees import bring, held, rescued_content, show

_FILES: Final = ("100644", "100755")
_ABSENT: Final = "0" * 6


def judge(
    repo: Repo, path: Path, sides: tuple[str, str], ref: str, message: str, check: Callable[[list[Disputed]], Judgement]
) -> Judgement:
    """Judges the merge of `sides`, commits both, that was left in the worktree at `path`.

    Without objections `ref` comes to name the commit of it. `check` judges the files in conflict.
    """
    checkout, (head, theirs) = Checkout.at(repo, path), sides

    def once(attempt: int) -> Judgement:
        if attempt:
            checkout.index.unlink(missing_ok=True)
        tree = take(repo, checkout.path, checkout.index, head).tree
        predicted = _predicted(repo, head, theirs)
        found = entries(repo, tree)
        judgement = check([_disputed(repo, each, found.get(each.path)) for each in predicted.paths])
        left = unresolved(repo, path, head, theirs, staging_counts=False)
        judgement.objections[:0] = left + _strays(repo, predicted, found)
        if not judgement.objections:
            commit = commit_tree(repo, tree, [head, theirs], message, identity_env(repo))
            move_ref(repo, ref, commit, value(repo, ref), "resolved")
        return judgement

    return gc_safe(repo, ref, head, once)


def put_right(repo: Repo, path: Path, head: str, theirs: str) -> None:
    """Makes all but the files in conflict what git left at `path`; what that replaces is rescued."""
    checkout, predicted = Checkout.at(repo, path), _predicted(repo, head, theirs)
    lost = frozenset[str]() if believed(checkout) else frozenset(damage(repo, checkout, predicted.tree).restored)
    with held_off(repo):
        left = take(repo, checkout.path, checkout.index, head).tree
        if _strays(repo, predicted, entries(repo, left)):
            rescued_content(repo, checkout, head, [], "changed beside a conflict")
        tree = _with_disputed_of(repo, checkout, left, predicted, lost)
        if tree != left:
            command = ("read-tree", "--reset", "-u", tree)
            git(repo, *command, index=checkout.index, work_tree=checkout.path, timeout_s=CHECKOUT_TIMEOUT_S)
    believe(checkout)


def stage_again(repo: Repo, path: Path, head: str, theirs: str, label: str, include_from: Path) -> None:
    """Leaves the conflict as git first did; what had become of it is rescued."""
    show(repo, path, head, include_from=include_from)
    stage(repo, path, head, theirs, label=label, include_from=include_from)


def accept(repo: Repo, path: Path, run_ref: str, ref: str, commit: str) -> None:
    """Moves the run's branch to the resolution `commit`, which `ref` names, and shows it at `path`."""
    tip = value(repo, run_ref)
    if tip is None or not is_ancestor(repo, commit, tip):
        first = git(repo, "rev-parse", f"{commit}^1").text
        if not move_ref(repo, run_ref, commit, first, "conflict resolved by an assistant"):
            raise GitError(f"{run_ref} was moved by somebody else just now")
    checkout = Checkout.at(repo, path)
    bring(repo, checkout, commit, held(repo, path, head_of(repo, checkout) or commit))
    git(repo, "update-ref", "-d", ref)


def _predicted(repo: Repo, head: str, theirs: str) -> Conflict:
    predicted = merge(repo, head, theirs)
    if not isinstance(predicted, Conflict):
        raise GitError(f"{theirs} does not conflict with {head}")
    return predicted


def _strays(repo: Repo, predicted: Conflict, found: dict[str, TreeEntry]) -> list[str]:
    wanted = entries(repo, predicted.tree)
    disputed = {each.path for each in predicted.paths}
    names = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    return [f"{name} is not in conflict, and must stay as it is" for name in names if name not in disputed]


def _disputed(repo: Repo, each: ConflictPath, result: TreeEntry | None) -> Disputed:
    base, ours, theirs = (_text(repo, oid) for oid in each.blobs)
    modes = {*each.modes} - {_ABSENT} or set(_FILES)
    allowed = result is None or result.mode in modes
    text = _text(repo, result.oid) if result and result.mode in _FILES else None if result is None else ""
    return Disputed(each.path, base, ours, theirs, text, allowed)


def _text(repo: Repo, oid: str) -> str | None:
    return blob(repo, oid).decode(errors="surrogateescape") if oid else None


def _with_disputed_of(repo: Repo, checkout: Checkout, tree: str, predicted: Conflict, lost: Collection[str]) -> str:
    """The tree that git left, with the files in conflict as `tree` has them, but for those that a power cut took."""
    index = checkout.index.with_name(f"{checkout.name}.right")
    found = entries(repo, tree)
    lines = []
    for each in predicted.paths:
        if each.path in lost:
            continue
        entry = found.get(each.path) or TreeEntry("0", "0" * len(tree))
        lines.append(f"{entry.mode} {entry.oid}\t{each.path}")
    try:
        git(repo, "read-tree", predicted.tree, index=index)
        git(repo, "update-index", "--add", "-z", "--index-info", input=os.fsencode("\0".join(lines)), index=index)
        return git(repo, "write-tree", index=index).text
    finally:
        index.unlink(missing_ok=True)
