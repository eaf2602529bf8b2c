"""The work of an earlier commit, made again on the branch of a worktree."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lib.errors import GitError
from lib.git import rescue
from lib.git.checkout import Checkout, head_of, mend
from lib.git.leftovers import note, without
from lib.git.objects import at, commit_tree, gc_safe, move_ref, stamp_of, value
from lib.git.run import CHECKOUT_TIMEOUT_S, Repo, git, identity_env
from lib.git.snapshot import take
from lib.git.trees import tree_of
from lib.git.whole import believe
from lib.git.worktrees import bring, rescued_content

#: Shows what a format names of a commit, and nothing that the user's settings would add.
_SHOW: Final = ("show", "--no-patch", "--no-show-signature", "--encoding=UTF-8")


def repeat(repo: Repo, path: Path, branch: str, head: str, earlier: str, message: str) -> str:
    """Moves `branch`, and the worktree at `path`, on from the commit `head` to one with the tree and the author of
    `earlier`, which is given: `head` if nothing differs.

    What else the worktree holds is rescued, but for what commands left there, which stays. Calling it again, also after
    a kill, gives the same commit. Raises `GitError` if the branch is moved by somebody else meanwhile.
    """
    if tree_of(repo, earlier) == tree_of(repo, head):
        return head
    checkout, ref = Checkout.at(repo, path), f"refs/heads/{branch}"
    commit = gc_safe(repo, ref, head, lambda _: _moved(repo, checkout, ref, head, earlier, message))
    reason = "found where the work of an earlier run was taken"
    content = rescued_content(repo, checkout, head_of(repo, checkout) or head, [head, commit], reason)
    kept, _ = without(repo, checkout, content.tree, head)
    if kept == tree_of(repo, head) and _brought(repo, checkout, head, commit):
        mend(repo, checkout, ref)
        believe(checkout)
    else:
        bring(repo, checkout, commit, take(repo, path, checkout.index, head).tree, ref)
        note(checkout, {})
    return commit


def message_of(repo: Repo, commit: str) -> str:
    return git(repo, *_SHOW, "--format=%B", commit).text


def _moved(repo: Repo, checkout: Checkout, ref: str, head: str, earlier: str, message: str) -> str:
    """The new commit, at which the branch is then. It has the later date of the two, and so is the same each time."""
    name, _, email = git(repo, *_SHOW, "--format=%an%x00%ae", earlier).text.partition("\0")
    author = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": email}
    dates = at(max(stamp_of(repo, head), stamp_of(repo, earlier)))
    commit = commit_tree(repo, tree_of(repo, earlier), [head], message, identity_env(repo) | author | dates)
    found = value(repo, ref)
    if found is not None and found not in {head, commit}:
        rescue.keep(repo, checkout.run, checkout.name, found, f"{checkout.name}: its branch was moved by another")
    if found != commit and not move_ref(repo, ref, commit, found, "the work of an earlier run"):
        raise GitError(f"{ref} was moved by somebody else just now")
    return commit


def _brought(repo: Repo, checkout: Checkout, head: str, commit: str) -> bool:
    """Brings the files that differ between two commits, beside others that are there; False if one blocks that."""
    command = ("read-tree", "-m", "-u", head, commit)
    done = git(repo, *command, index=checkout.index, work_tree=checkout.path, timeout_s=CHECKOUT_TIMEOUT_S,
               ok=(0, 128))  # fmt: skip
    return done.status == 0
