"""`drop_base`: the worktree of the commit that the run starts from is removed."""

from __future__ import annotations

from lib.effects import DropBase
from lib.git import worktrees
from lib.git.run import Repo
from lib.jobs import JobResult
from orchestrator.effects._runner import Runner, done
from orchestrator.work import Work


def run(work: Work, _: DropBase) -> JobResult:
    worktrees.remove(Repo.of(work.project), work.worktree)
    return done()


effect = Runner(DropBase, run)
