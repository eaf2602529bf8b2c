"""`reopen_conflict`: the conflict for another try, as the assistant left the files, the others as git did."""

from __future__ import annotations

from lib.effects import ReopenConflict
from lib.git import resolution
from lib.git.run import Repo
from lib.jobs import JobResult
from orchestrator.effects._conflict import Note, take_back
from orchestrator.effects._runner import Runner, done
from orchestrator.work import Work


def run(work: Work, args: ReopenConflict) -> JobResult:
    left = Note(work).known()
    if args.fresh:
        take_back(work, left)
    else:
        resolution.put_right(Repo.of(work.project), work.worktree, left.head, left.theirs)
    return done()


effect = Runner(ReopenConflict, run)
