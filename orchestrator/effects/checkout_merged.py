"""`checkout_merged`: the merged worktree, showing what was merged."""

from __future__ import annotations

from lib.effects import CheckoutMerged
from lib.git.inspect import resolve
from lib.git.run import Repo
from lib.jobs import JobResult
from orchestrator.effects._runner import HEADS, Runner, done
from orchestrator.effects._worktree import shown
from orchestrator.work import Work


def run(work: Work, args: CheckoutMerged) -> JobResult:
    shown(work, resolve(Repo.of(work.project), HEADS + args.branch) or "")
    return done()


effect = Runner(CheckoutMerged, run)
