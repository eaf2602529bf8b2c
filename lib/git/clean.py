"""Removing what a run has left behind, if it has landed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lib.errors import GitError, RelayError
from lib.files.rubbish import PREFIX, set_aside
from lib.git.checkout import Checkout, discard, head_of, recorded
from lib.git.dropped import keep_dropped
from lib.git.ignored import keep_ignored
from lib.git.inner import end_inner
from lib.git.inside import keep_inside
from lib.git.landed import is_landed
from lib.git.leftovers import without
from lib.git.listing import Listing, holds, listed
from lib.git.objects import at, commit_tree, delete_refs, refs_below, value
from lib.git.run import Repo, git, identity_env
from lib.git.snapshot import filled, take
from lib.git.trees import tree_of, with_entries
from lib.project.paths import Project

#: Begins the reason of what could not be judged.
UNCLEAR: Final = "it can't be cleaned"


@dataclass(slots=True)
class Cleaned:
    """Folders and branches that were removed, and those kept with the reason of each, by the names users know.

    `told` are sentences on what became of ignored files.
    """

    removed: list[str] = field(default_factory=list)
    kept: list[tuple[str, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def clean_run(repo: Repo, project: Project, run: str, target: str) -> Cleaned:
    """Removes the worktrees and branches of `run` whose work is in the branch `target`, and keeps the others.

    The folders become rubbish in `project.worktrees` (lib.files.rubbish).
    """
    done = Cleaned()
    goal = value(repo, f"refs/heads/{target}")
    folder = project.worktrees / run
    names = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    prefix = f"refs/heads/relay/{run}/"
    refs = refs_below(repo, prefix)
    merged = ("for-each-ref", f"--merged={goal}", "--format=%(objectname)", prefix)
    plainly = set(git(repo, *merged).text.split()) if goal else set()
    ignored = project.run_dir(run) / "ignored"
    for name in sorted(names | recorded(repo, folder)):  # a kill may have left the record of one that is gone
        try:
            if name.startswith(PREFIX):  # of a version that kept it here
                set_aside(folder / name, project.worktrees)
            else:
                _clean_worktree(repo, folder / name, goal, target, plainly, done, ignored)
        except (RelayError, OSError) as error:
            done.kept.append((str(folder / name), f"{UNCLEAR}: {error}"))
    held = {what for what, _ in done.kept}
    landed = []
    for ref, tip in refs:
        branch = ref.removeprefix("refs/heads/")
        if str(folder / ref.removeprefix(prefix)) in held:
            done.kept.append((branch, "its worktree is kept"))
        elif goal is None or not (tip in plainly or is_landed(repo, tip, goal)):
            done.kept.append((branch, f"not in {target}"))
        else:
            landed.append((ref, tip))
    done.removed += [ref.removeprefix("refs/heads/") for ref in delete_refs(repo, landed)]
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    return done


def _clean_worktree(
    repo: Repo, path: Path, goal: str | None, target: str, plainly: Collection[str], done: Cleaned, ignored: Path
) -> None:
    checkout = Checkout.at(repo, path)
    head = head_of(repo, checkout)
    why = _no_worktree(checkout, head)
    if goal is None or why:
        done.kept.append((str(path), why or f"there is no branch {target}"))
        return
    seen = frozenset[str]()
    if head and checkout.present:
        left, seen = _held(repo, checkout, head)
        if left not in plainly and not is_landed(repo, left, goal):
            why = "uncommitted changes" if is_landed(repo, head, goal) else f"not in {target}"
            done.kept.append((str(path), why))
            return
    end_inner(repo, checkout)
    if head:
        keep_dropped(repo, checkout, f"relay/{checkout.run}/{checkout.name}", head, ())
    if checkout.present:
        keep_inside(repo, checkout)
        done.told += keep_ignored(checkout, seen, ignored)
    discard(repo, checkout, path.parents[1])
    done.removed.append(str(path))


def _no_worktree(checkout: Checkout, head: str | None) -> str:
    """The reason why what is there can't be judged as a worktree; empty if it can, or if nothing is there."""
    if checkout.path.is_symlink() or (checkout.path.exists() and not checkout.path.is_dir()):
        return "it is no folder"
    return "its HEAD can't be read" if checkout.present and head is None else ""


def _held(repo: Repo, checkout: Checkout, head: str) -> tuple[str, frozenset[str]]:
    """The content of the worktree, as a commit, `head` if nothing differs from it, and what git ignores there."""
    known = tree_of(repo, head)
    try:
        seen = listed(repo, checkout)
        if holds(checkout, known, seen):
            return head, seen.ignored
        tree, ignored = _work_in(repo, checkout, head, seen)
    except GitError:  # the private index may be torn, or name objects that were pruned
        checkout.index.unlink(missing_ok=True)
        tree, ignored = _work_in(repo, checkout, head)
    if tree == known:
        return head, ignored
    return commit_tree(repo, tree, [head], "what its worktree holds", identity_env(repo) | at(0)), ignored


def _work_in(repo: Repo, checkout: Checkout, head: str, seen: Listing | None = None) -> tuple[str, frozenset[str]]:
    """All but what commands left, and files in folders of submodules, which are rescued; and what git ignores."""
    content = take(repo, checkout.path, checkout.index, head, seen)
    tree, _ = without(repo, checkout, content.tree, head)
    links = filled(repo, checkout, tree, content.hollow, head)
    return with_entries(repo, checkout.path, checkout.index, tree, links) if links else tree, content.ignored
