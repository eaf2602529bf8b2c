"""`merge`: a run's branches are brought together, and the first conflict is left for whoever resolves it.

ci's work in the merged worktree comes first, the base branch if it moved on, then the builders. The next call takes a
resolution up.
"""

from __future__ import annotations

from lib.effects import Merge, MergeResult, NotedConflict
from lib.git import conflict, merge, resolution
from lib.git.checkout import Checkout
from lib.git.inspect import not_in, resolve
from lib.git.run import Repo
from lib.jobs import JobResult
from lib.project.paths import author_of
from orchestrator.effects._branches import base_taken, branches_as_left, steering
from orchestrator.effects._conflict import Note, leave, stage, take_back
from orchestrator.effects._runner import HEADS, RESOLVED, Runner, done, trailer, triples
from orchestrator.effects._worktree import shown
from orchestrator.work import Work


def run(work: Work, args: Merge) -> JobResult:
    warnings = tuple(branches_as_left(work, args))
    result = base_taken(work, args) or _merge(work, args)
    return result.model_copy(update={"warnings": warnings})


def _merge(work: Work, args: Merge) -> JobResult:
    repo, ref, base = Repo.of(work.project), HEADS + args.branch, args.base_branch
    if left := _open_conflict(work, args, repo, ref):
        return _merged(repo, ref, args, left)
    if resolve(repo, ref) is not None and Checkout.at(repo, work.worktree).complete:
        mended = conflict.adopt(repo, work.worktree, ref, f"Fix the merged tree\n\n{trailer(work)}\n")
        if isinstance(mended, merge.Conflict):
            message = "what was changed in the merged worktree conflicts with merges made since; it is kept"
            return JobResult(ok=False, code="conflict", message=message, remedy="relay recover",
                             does="lists what was kept")  # fmt: skip
    base_tip = resolve(repo, HEADS + base)
    if base_tip is not None and resolve(repo, ref) is not None:
        absorbed = merge.absorb(repo, ref, base_tip, f"Merge {base}\n\n{trailer(work)}\n")
        if isinstance(absorbed, merge.Conflict):
            sides = resolve(repo, ref) or args.base, base_tip
            return _merged(repo, ref, args, leave(work, base, base, sides, absorbed))
    merged = merge.merge_builders(repo, ref, base_tip or args.base, triples(args.tips), trailer=trailer(work))
    if merged.conflict is not None:
        builder, found = merged.conflict
        theirs = next(tip.tip for tip in args.tips if tip.id == builder)
        sides = resolve(repo, ref) or args.base, theirs
        return _merged(repo, ref, args, leave(work, builder, f"relay/{work.run}/{builder}", sides, found))
    return _merged(repo, ref, args, None)


def _open_conflict(work: Work, args: Merge, repo: Repo, ref: str) -> NotedConflict | None:
    """The conflict that was left before, if it is still open; one that is resolved is merged."""
    note = Note(work)
    left = note.read()
    if left is None:
        return None
    still = _still_open(work, args, repo, ref, left)
    if still is None:
        note.forget()
    return still


def _still_open(work: Work, args: Merge, repo: Repo, ref: str, left: NotedConflict) -> NotedConflict | None:
    if left.builder not in {args.base_branch, *(tip.id for tip in args.tips)}:
        # It was skipped. What there is of a resolution is rescued, and not taken for a mend.
        shown(work, left.head)
        return None
    if not left.staged:
        stage(work, left)
        return left
    if left.by == work.job.id:  # an orchestrator was killed before it could record that this job had left it
        return left
    if args.resolved:
        resolution.accept(repo, work.worktree, ref, f"{RESOLVED}{work.run}", args.resolved)
        return None
    if left.left is not None:
        return take_back(work, left)
    message = f"Merge {author_of(left.builder)}, conflicts resolved\n\n{trailer(work)}\n"
    accepted = conflict.accept(repo, work.worktree, ref, left.head, left.theirs, message)
    return None if isinstance(accepted, str) else left.model_copy(update={"open": tuple(accepted)})


def _merged(repo: Repo, ref: str, args: Merge, left: NotedConflict | None) -> JobResult:
    """The progress of merging; the conflict is what is left for ci."""
    head = resolve(repo, ref) or args.base
    missing = not_in(repo, [tip.tip for tip in args.tips], head)
    merged = tuple(tip.id for tip in args.tips if tip.tip not in missing)
    base = resolve(repo, HEADS + args.base_branch) or args.base
    flagged = () if left else steering(repo, args, base, head)
    return done(MergeResult(base=base, head=head, merged=merged, conflict=left, flagged=flagged))


effect = Runner(Merge, run)
