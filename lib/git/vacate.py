"""The worktree that the architect has had becomes the one in which builders' work comes together: a checkout less."""

from __future__ import annotations

from pathlib import Path

from lib.git.checkout import Checkout, head_of, in_merge, intact, mend, record_of
from lib.git.dropped import keep_dropped
from lib.git.ignored import keep_ignored
from lib.git.inside import keep_inside
from lib.git.landing_blockers import some
from lib.git.listing import holds, listed
from lib.git.objects import delete_ref, refs_below, value
from lib.git.rescue import PREFIX
from lib.git.run import Repo, git
from lib.git.trees import tree_of
from lib.git.whole import believed, sound_index
from lib.git.worktrees import remove


def vacate(repo: Repo, path: Path, branch: str, base: str, ignored: Path) -> list[str]:
    """Leaves the worktree at `path` as it was made, at `base` and on no branch; `branch` is removed.

    One that differs in anything is removed, and made again when it is needed. What was in it is kept: ignored files in
    the folder `ignored`, the rest under rescue refs. Sentences on that. It may be called again after any kill.
    """
    checkout = Checkout.at(repo, path)
    told: list[str] = []
    ref = f"refs/heads/{branch}"
    if _is_as_made(repo, checkout, ref, base):
        mend(repo, checkout, base)
        delete_ref(repo, ref, base)
    else:
        if checkout.present:
            keep_inside(repo, checkout)
            keep_dropped(repo, checkout, branch, head_of(repo, checkout) or base, (base,))
            told += keep_ignored(checkout, listed(repo, checkout).ignored, ignored)
        remove(repo, path, branch)
    if kept := [kept for kept, _ in refs_below(repo, f"{PREFIX}{checkout.run}/{checkout.name}/")]:
        told.append(
            f"the architect left work in its worktree, which does not land; it is kept as {some(kept)}: relay recover"
        )
    return told


def _is_as_made(repo: Repo, checkout: Checkout, ref: str, base: str) -> bool:
    """True if the worktree differs in nothing from a new one of `base`, by what git's record and the files say."""
    record = record_of(repo, checkout)
    return (
        record is not None
        and checkout.complete
        and believed(checkout)
        and sound_index(checkout.index)
        and intact(repo, checkout)
        and not in_merge(repo, checkout)
        and not (record / "modules").exists()
        and (head_of(repo, checkout), value(repo, ref) or base) == (base, base)
        and holds(checkout, tree_of(repo, base), listed(repo, checkout))
        and not _besides(repo, checkout)
    )


def _besides(repo: Repo, checkout: Checkout) -> bytes:
    """Names all that is no file of the index: ignored files, repositories within and empty folders, too."""
    return git(repo, "clean", "--dry-run", "-ffdx", index=checkout.index, work_tree=checkout.path).out
