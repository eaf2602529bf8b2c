"""`survey`: a worktree for the architect, and what the repository looks like."""

from __future__ import annotations

from lib.effects import Survey, SurveyResult
from lib.git.run import Repo
from lib.jobs import JobResult
from orchestrator.effects._runner import Runner, done
from orchestrator.effects._worktree import prepared
from orchestrator.work import Work


def run(work: Work, args: Survey) -> JobResult:
    from lib.git.survey import survey

    prepared(work, f"relay/{work.run}/architect", args.base)
    return done(SurveyResult(survey=str(survey(Repo.of(work.project), args.base, requirement=work.requirement))))


effect = Runner(Survey, run)
