"""`checkout_base`: the commit that the run starts from, in a worktree of its own."""

from __future__ import annotations

from lib.effects import CheckoutBase
from lib.jobs import JobResult
from orchestrator.effects._runner import Runner, done
from orchestrator.effects._worktree import shown
from orchestrator.work import Work


def run(work: Work, args: CheckoutBase) -> JobResult:
    shown(work, args.base)
    return done()


effect = Runner(CheckoutBase, run)
