"""`gather_diff`: a builder's changes, and the tree that its worktree holds, with what verifying left in it."""

from __future__ import annotations

from lib.effects import GatherDiff, GatherDiffResult
from lib.git import worktrees
from lib.git.diff import difference
from lib.git.run import Repo
from lib.jobs import JobResult
from orchestrator.effects._runner import Runner, done
from orchestrator.work import Work


def run(work: Work, args: GatherDiff) -> JobResult:
    repo = Repo.of(work.project)
    shown = difference(repo, args.base, args.tip)
    tree = worktrees.held(repo, work.worktree, args.tip)
    return done(GatherDiffResult(diff=shown.text, summary=shown.summary, is_cut=shown.is_cut, tree=tree))


effect = Runner(GatherDiff, run)
