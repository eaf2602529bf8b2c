"""`collect`: all that a builder left, as a commit on its branch."""

from __future__ import annotations

from collections.abc import Iterator

from lib.effects import Collect, CollectResult
from lib.git import moved_refs, worktrees
from lib.git.checkout import Checkout
from lib.git.dropped import keep_dropped, keep_stashes
from lib.git.ignored import in_words, is_partial, note_built
from lib.git.inside import keep_inside
from lib.git.landing_blockers import some
from lib.git.run import Repo
from lib.git.snapshot import Snapshot
from lib.jobs import JobResult
from lib.steps import StepKind
from orchestrator.effects import _scope
from orchestrator.effects._runner import HEADS, Runner, done, trailer
from orchestrator.work import Work


def run(work: Work, args: Collect) -> JobResult:
    repo, who = Repo.of(work.project), work.job.spec.step
    if not work.worktree.exists():
        return _scope.emptied(work, args, None)
    warnings = moved_refs.put_back_own(repo, work.run, HEADS + args.branch, work.worktree)
    taken = worktrees.snapshot(
        repo, work.worktree, args.branch, args.base, author_name=_author(work), message=_message(work, args)
    )
    checkout = Checkout.at(repo, work.worktree)
    ignored = in_words(work.worktree, note_built(checkout, taken.ignored))
    warnings += [*_told_of(work, taken, ignored), *_put_away(work, args, checkout, taken.commit)]
    if inside := keep_inside(repo, checkout):
        warnings.append(
            f"{who} changed files in submodules, which can't land; they are kept: {some(inside)} (relay recover)"
        )
    seen = _scope.look(work, args.base, taken.commit)
    if seen.emptied:
        return _scope.emptied(work, args, taken.commit, seen.reach)
    result = CollectResult(
        commit=taken.commit,
        changed=tuple(seen.paths[:100]),
        nested=tuple(taken.nested),
        left_out=tuple(taken.left_out[:100]),
        ignored=ignored,
        partial=is_partial(checkout, taken.ignored),
        reach=seen.reach,
    )
    return done(result, warnings)


def _told_of(work: Work, taken: Snapshot, ignored: str) -> Iterator[str]:
    """Sentences on what a builder did that is not taken as it is."""
    who = work.job.spec.step
    if not taken.intact:
        aside = work.project.store / "indexes" / work.run
        yield f"{who} had replaced the .git of its worktree; that is undone, and kept in {aside}"
    if taken.taken_out:
        yield f"{who} committed what setup or verify had made; it is left out: {some(taken.taken_out)}"
    if ignored:
        yield f"{who} wrote files that git ignores, which don't land: {ignored}"
    if taken.links:
        yield (
            f"{who} changed submodules that stay as they were: {some(taken.links)}. A commit that no remote has can't "
            "land: push it first. Files put into a submodule's folder are kept: relay recover"
        )


def _put_away(work: Work, args: Collect, checkout: Checkout, tip: str) -> Iterator[str]:
    """Sentences on work that a builder reset or stashed, which is kept."""
    repo, who = Repo.of(work.project), work.job.spec.step
    if kept := keep_dropped(repo, checkout, args.branch, tip, (args.base,)):
        yield f"{who} took back commits of its own; they are kept as {some(kept)}: relay recover"
    if kept := keep_stashes(repo, checkout, args.branch):
        yield f"{who} stashed work, which does not land; it is kept as {some(kept)}: relay recover"


def _author(work: Work) -> str:
    kind = "builder" if work.step is None or work.step.kind is StepKind.BUILDER else "step"
    return f"{work.job.spec.step} (relay {kind})"


def _message(work: Work, args: Collect) -> str:
    """A builder's commit: its title, and what it said of its work."""
    said = "\n\n".join(part for part in (args.title, args.report) if part)
    return f"{work.masker.masked(said)}\n\n{trailer(work)}\n"


effect = Runner(Collect, run)
