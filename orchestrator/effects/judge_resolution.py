"""`judge_resolution`: what the assistant left is judged, and becomes a commit unless it has to mend something."""

from __future__ import annotations

from lib.conflicts.account import Account, Disputed, Judgement, bounded, judge
from lib.effects import JudgeResolution, JudgeResolutionResult
from lib.git import resolution
from lib.git.objects import value
from lib.git.run import Repo
from lib.jobs import JobResult
from lib.project.paths import author_of
from orchestrator.effects._conflict import Note
from orchestrator.effects._runner import RESOLVED, Runner, done
from orchestrator.work import Work


def run(work: Work, args: JudgeResolution) -> JobResult:
    """Reports, as warnings, what the assistant left out or put in by its own account, and may."""
    repo, left = Repo.of(work.project), Note(work).known()
    ref, sides = f"{RESOLVED}{work.run}", (left.head, left.theirs)
    account = Account.of(args.removed, args.added)

    def check(files: list[Disputed]) -> Judgement:
        return judge(files, account, ("what was merged before", author_of(left.builder)))

    found = resolution.judge(repo, work.worktree, sides, ref, args.message, check)
    result = JudgeResolutionResult(
        objections=tuple(bounded(found.objections)),
        questions=tuple(bounded(found.questions)),
        commit=None if found.objections else value(repo, ref),
    )
    return done(result, () if found.objections or found.questions else bounded(found.told))


effect = Runner(JudgeResolution, run)
