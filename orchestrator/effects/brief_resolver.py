"""`brief_resolver`: the conflict goes to an assistant."""

from __future__ import annotations

from lib.effects import BriefResolver, BriefResolverResult
from lib.git import worktrees
from lib.git.inspect import changed_paths
from lib.git.run import Repo
from lib.jobs import JobResult
from orchestrator.effects._conflict import Note
from orchestrator.effects._runner import Runner, done
from orchestrator.work import Work


def run(work: Work, args: BriefResolver) -> JobResult:
    repo, note = Repo.of(work.project), Note(work)
    left = note.known()
    if left.left is None:
        note.write(left.model_copy(update={"left": worktrees.held(repo, work.worktree, left.head)}))
    disputed = {path.path for path in left.paths}
    ours = [
        tip.id
        for tip in args.tips
        if tip.tip != left.theirs and disputed & {path for _, path in changed_paths(repo, args.base, tip.tip)}
    ]
    return done(BriefResolverResult(ours=tuple(ours)))


effect = Runner(BriefResolver, run)
