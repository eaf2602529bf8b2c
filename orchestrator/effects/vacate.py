"""`vacate`: the architect's worktree is made free for merges."""

from __future__ import annotations

from lib.effects import Vacate
from lib.git.run import Repo
from lib.git.vacate import vacate
from lib.jobs import JobResult
from orchestrator.effects._runner import Runner, done
from orchestrator.work import Work


def run(work: Work, args: Vacate) -> JobResult:
    aside = work.project.run_dir(work.run) / "ignored" / "architect"
    branch = f"relay/{work.run}/architect"
    return done(warnings=vacate(Repo.of(work.project), work.worktree, branch, args.base, aside))


effect = Runner(Vacate, run)
