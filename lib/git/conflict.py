"""A conflict in the run's own worktree: left there as `git merge` does, judged, and taken over when resolved."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lib.errors import GitError
from lib.git import rescue
from lib.git.blobs import Is, judge
from lib.git.checkout import Checkout, head_of, mend, record_of
from lib.git.damage import revive
from lib.git.inspect import is_ancestor, resolve
from lib.git.leftovers import without
from lib.git.merge import Conflict, combine, merge
from lib.git.objects import commit_tree, gc_safe, move_ref, value
from lib.git.run import CHECKOUT_TIMEOUT_S, Repo, git, identity_env
from lib.git.snapshot import take
from lib.git.trees import TreeEntry, blob, entries, tree_of
from lib.git.whole import believe, believed
from lib.git.worktrees import bring, show

#: What git writes around the sides, of the size that an attribute asks for (gitattributes(5), `conflict-marker-size`).
_MARKER: Final = re.compile(rb"(<+|\|+|>+)( .*)?|=+")
_OPENING: Final = re.compile(rb"(<+) .*")
_SIZE: Final = 7
#: In these a line of seven equals signs may be the underline of a heading.
_PROSE: Final = (".md", ".rst", ".txt", ".adoc")


def stage(repo: Repo, path: Path, head: str, theirs: str, *, label: str = "", include_from: Path | None = None) -> None:
    """Leaves the merge of `theirs` into `head` in the worktree at `path`, with markers and index stages, uncommitted.

    `label` is a branch to name in the markers if it is at `theirs`. A merge that is there already stays as it is, with
    what was resolved so far; anything else in the worktree is rescued first.
    """
    checkout = Checkout.at(repo, path)
    record = record_of(repo, checkout)
    begun = record / "MERGE_HEAD" if record else None
    there_already = begun and begun.is_file() and begun.read_text().split() == [theirs]
    if there_already and head_of(repo, checkout) == head and believed(checkout):
        return
    show(repo, path, head, include_from=include_from)
    name = label if label and resolve(repo, f"refs/heads/{label}") == theirs else theirs
    options = ("--no-ff", "--no-commit", "--no-edit", "--no-stat", "--no-autostash", "--no-squash", "--quiet")
    there = _there(repo, checkout)
    # Takes the lock of the index, or waits for it: a merge that can't have it ends half-way.
    git(there, "read-tree", "-m", "HEAD")
    who = identity_env(repo)  # git asks for it although nothing is committed
    done = git(there, "merge", *options, name, env=who, ok=(0, 1), timeout_s=CHECKOUT_TIMEOUT_S)
    if value(there, "MERGE_HEAD") != theirs:
        raise GitError(f"git did not begin to merge {name} in {path}: {os.fsdecode(done.err).strip()}")
    believe(checkout)


def unresolved(repo: Repo, path: Path, head: str, theirs: str, *, staging_counts: bool = True) -> list[str]:
    """Lists what is still open of the merge of `theirs` into `head` in the worktree at `path`, a line each.

    Text is resolved when no conflict marker is left in it; what has no markers (a binary file, a deletion, a link)
    when it was changed, staged with `git add` or `git rm`, or committed. With `staging_counts` False that is not asked
    for, as of somebody who can't write the index.
    """
    checkout = Checkout.at(repo, path)
    there = _there(repo, checkout)
    predicted = merge(repo, head, theirs)
    disputed = {item.path for item in predicted.paths} if isinstance(predicted, Conflict) else set()
    unmerged = {line.partition("\t")[2] for line in git(there, "ls-files", "--unmerged", "-z").fields()}
    auto = value(there, "AUTO_MERGE")
    left = entries(repo, auto) if auto else {}
    written = entries(repo, predicted.tree)
    sides = entries(repo, head), entries(repo, theirs)
    found = []
    for name in sorted(disputed | unmerged):
        of_sides = [side[name] for side in sides if name in side]
        marker = next(_markers(repo, checkout.path / name, of_sides, written.get(name)), None)
        if marker:
            found.append(f"{name}: line {marker[0]} is a conflict marker: {marker[1]}")
        elif staging_counts and name in unmerged and _untouched(there, name, left.get(name)):
            found.append(f"{name}: keep it with git add, or remove it with git rm")
    return found


def accept(repo: Repo, path: Path, run_ref: str, head: str, theirs: str, message: str) -> str | list[str]:
    """Makes the merge of `theirs` into `head` out of what the worktree at `path` holds, and moves `run_ref` to it.

    A person may have committed there, once or more. Gives the commit, or what is still unresolved.
    """
    checkout = Checkout.at(repo, path)
    tip = value(repo, run_ref) or head
    if is_ancestor(repo, theirs, tip) and is_ancestor(repo, head, tip):
        return tip
    if not believed(checkout):
        revive(repo, checkout, head, value(_there(repo, checkout), "AUTO_MERGE") or "")
    if left := unresolved(repo, path, head, theirs):
        return left

    def once(attempt: int) -> str:
        if attempt:
            checkout.index.unlink(missing_ok=True)
        here = head_of(repo, checkout)
        first = here if here and is_ancestor(repo, head, here) else head
        tree = take(repo, checkout.path, checkout.index, head).tree
        commit = first
        if not is_ancestor(repo, theirs, first):
            commit = commit_tree(repo, tree, [first, theirs], message, identity_env(repo))
        elif tree != tree_of(repo, first):
            commit = commit_tree(repo, tree, [first], message, identity_env(repo))
        if not move_ref(repo, run_ref, commit, tip, "conflict resolved"):
            raise GitError(f"{run_ref} was moved by somebody else just now")
        return commit

    commit = gc_safe(repo, run_ref, head, once)
    mend(repo, checkout, commit)
    return commit


def adopt(repo: Repo, path: Path, run_ref: str, message: str) -> str | Conflict:
    """Takes what a person changed or committed in the run's worktree, with no merge staged there, into `run_ref`.

    What a command left there, as it left it, is nobody's change.
    Gives the commit that `run_ref` is at then, unchanged if there was nothing. What conflicts with the merges made
    since is rescued, and the conflict is the answer.
    """
    checkout = Checkout.at(repo, path)
    tip = value(repo, run_ref)
    here = head_of(repo, checkout) or tip
    if tip is None or here is None or not checkout.complete:
        raise GitError(f"there is no worktree of {run_ref} at {path}")
    if not believed(checkout):
        revive(repo, checkout, here)

    def once(attempt: int) -> str | Conflict:
        if attempt:
            checkout.index.unlink(missing_ok=True)
        tree, _ = without(repo, checkout, take(repo, checkout.path, checkout.index, here).tree, here)
        commit = here
        if tree != tree_of(repo, here):
            commit = commit_tree(repo, tree, [here], message, identity_env(repo))
        merged = combine(repo, [tip, commit], message)
        if isinstance(merged, Conflict):
            rescue.keep(repo, checkout.run, checkout.name, commit, f"{checkout.name}: in conflict with later merges")
        elif merged != tip and not move_ref(repo, run_ref, merged, tip, "edited by hand"):
            raise GitError(f"{run_ref} was moved by somebody else just now")
        return merged

    merged = gc_safe(repo, run_ref, tip, once)
    if isinstance(merged, str):
        bring(repo, checkout, merged)
    return merged


def _there(repo: Repo, checkout: Checkout) -> Repo:
    record = record_of(repo, checkout)
    if record is None:
        raise GitError(f"{checkout.path} is no worktree of this repository any more", code="worktree_gone")
    return Repo(checkout.path, record, repo.common_dir)


def _markers(repo: Repo, file: Path, sides: list[TreeEntry], written: TreeEntry | None) -> Iterator[tuple[int, str]]:
    """The conflict markers in a file, with their line numbers; lines that a side had of its own are none.

    `written` is the file as git leaves it, with its markers.
    """
    if file.is_symlink() or not file.is_file():
        return
    lines = [line.rstrip(b"\r") for line in file.read_bytes().split(b"\n")]
    candidates = [(number, line) for number, line in enumerate(lines, 1) if _MARKER.fullmatch(line)]
    own = {line for entry in sides for line in _lines(repo, entry)} if candidates else set()
    openings = (_OPENING.fullmatch(line) for line in (_lines(repo, written) if candidates and written else ()))
    size = min((len(found[1]) for found in openings if found and found[0] not in own), default=_SIZE)
    for number, line in candidates:
        length = len(line.partition(b" ")[0])
        is_marker = length == size if line.startswith(b"=") else length >= min(size, _SIZE)
        if is_marker and line not in own and not (line.startswith(b"=") and file.suffix in _PROSE):
            yield number, os.fsdecode(line)


def _lines(repo: Repo, entry: TreeEntry) -> list[bytes]:
    return [line.rstrip(b"\r") for line in blob(repo, entry.oid).split(b"\n")]


def _untouched(there: Repo, name: str, left: TreeEntry | None) -> bool:
    """True if the file is as git left it."""
    state = judge(there, there.root, name, left, None)
    return state is (Is.OLD if left else Is.MISSING)
