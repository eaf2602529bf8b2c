"""A builder's change held against its component: the part that asks git. The rules are in `lib.design.scope`."""

from __future__ import annotations

from typing import NamedTuple

from lib.design.globs import matcher
from lib.design.scope import is_emptied, judge
from lib.effects import Collect
from lib.git import rescue, worktrees
from lib.git.diff import changes, count_files
from lib.git.objects import move_ref, value
from lib.git.run import Repo, git
from lib.jobs import JobResult
from lib.model import Reach
from lib.scheduling.retries import TREE_EMPTIED
from orchestrator.effects._runner import HEADS
from orchestrator.work import Work

_COMMITS = 50
_ADVICE = (
    "Your worktree is whole again, without what that attempt left. Never delete files that are not yours, and never "
    "run git worktree remove or git clean."
)


class Seen(NamedTuple):
    """A builder's change: its reach, the paths (those outside first), and whether it left its tree empty."""

    reach: Reach
    paths: list[str]
    emptied: bool


def look(work: Work, base: str, commit: str) -> Seen:
    """The change from the builder's base to `commit`."""
    repo = Repo.of(work.project)
    found = changes(repo, base, commit)
    added, deleted = (sum(status == letter for status, _ in found.files) for letter in "AD")
    total = count_files(repo, base, repo.own) if deleted else 0
    owned = work.step.component.files if work.step and work.step.component else ()
    reach = judge(found.files, owned, moved=found.moved, total=total)
    owns = matcher(owned or ["**"])
    paths = sorted((path for _, path in found.files), key=owns)
    return Seen(reach, paths, bool(deleted) and is_emptied(reach, total - deleted + added))


def emptied(work: Work, args: Collect, commit: str | None, reach: Reach | None = None) -> JobResult:
    """Takes back the worktree and the branch of a builder that emptied its tree; the next attempt begins with whole
    ones. What it had is kept: `commit` with `reach`, or, where its folder is gone, what is on its branch.
    """
    repo, ref = Repo.of(work.project), HEADS + args.branch
    kept = ""
    if commit:
        kept = rescue.keep(repo, work.run, str(work.job.spec.step), commit, "it had emptied its worktree")
    tip = value(repo, ref)
    whole = _last_whole(work, args.base, tip) if tip else None
    if tip and whole and tip != whole:
        rescue.keep(repo, work.run, str(work.job.spec.step), tip, "it had emptied its worktree")
        move_ref(repo, ref, whole, tip, "before its tree was emptied")
    worktrees.remove(repo, work.worktree)
    what = f"{reach.lost} of {reach.total} files are gone from its worktree" if reach else "its worktree is gone"
    told = f"; what it left is kept as {kept}" if kept else ""
    return JobResult(ok=False, code=TREE_EMPTIED, message=f"{what}: that does not count as work{told}",
                     tail=_ADVICE)  # fmt: skip


def _last_whole(work: Work, base: str, tip: str) -> str:
    """The newest commit of the branch that still has the tree that it began with."""
    listed = ("rev-list", "--first-parent", f"--max-count={_COMMITS}", tip, f"^{base}")
    commits = git(Repo.of(work.project), *listed, "--").text.split()
    return next((commit for commit in commits if not look(work, base, commit).emptied), base)
