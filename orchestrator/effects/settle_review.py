"""`settle_review`: the worktree and the branch as they were before the review."""

from __future__ import annotations

from lib.effects import SettleReview, SettleReviewResult
from lib.git import worktrees
from lib.git.run import Repo
from lib.jobs import JobResult
from orchestrator.effects._runner import Runner, done
from orchestrator.work import Work


def run(work: Work, args: SettleReview) -> JobResult:
    changed = worktrees.restore(Repo.of(work.project), work.worktree, args.branch, args.tip, args.tree)
    return done(SettleReviewResult(changed=bool(changed)))


effect = Runner(SettleReview, run)
