"""Git operations of a review: the diff that is shown, and the worktree as it was before."""

from __future__ import annotations

from lib.git import worktrees
from lib.git.diff import difference
from lib.git.run import Repo
from lib.model import JobResult
from orchestrator.jobs import Work


def gather_diff(work: Work) -> JobResult:
    """The builder's changes, and the tree that its worktree holds, with what verifying left in it."""
    args, repo = work.job.spec.args, Repo.of(work.project)
    shown = difference(repo, args["base"], args["tip"])
    tree = worktrees.held(repo, work.worktree, args["tip"])
    return JobResult(ok=True, data={"diff": shown.text, "summary": shown.summary, "is_cut": shown.is_cut, "tree": tree})


def settle_review(work: Work) -> JobResult:
    """The worktree and the branch as they were before the review; `changed` says whether they were not."""
    args = work.job.spec.args
    changed = worktrees.restore(Repo.of(work.project), work.worktree, args["branch"], args["tip"], args["tree"])
    return JobResult(ok=True, data={"changed": changed})
