"""`prepare`: a builder's branch and worktree, from the merge of all that it depends on."""

from __future__ import annotations

from collections.abc import Iterator

from lib.config.model import Sandbox
from lib.display import escaped
from lib.effects import Prepare, PrepareResult
from lib.git import merge, moved_refs
from lib.git.landing_blockers import some
from lib.git.look import look_before
from lib.git.run import Repo
from lib.jobs import JobResult
from lib.names import quote
from orchestrator.effects._runner import HEADS, STARTS, Runner, done, trailer, triples
from orchestrator.effects._worktree import prepared
from orchestrator.work import Work


def run(work: Work, args: Prepare) -> JobResult:
    repo, start, who = Repo.of(work.project), args.base, work.job.spec.step
    if args.tips:
        merged = merge.merge_builders(repo, f"{STARTS}{work.run}/{who}", start, triples(args.tips),
                                      trailer=trailer(work))  # fmt: skip
        if merged.conflict is not None:
            return _conflict_of_needs(who, *merged.conflict)
        start = merged.head
    made, warnings = not work.worktree.exists(), []
    if work.step is not None and not work.step.base_commit:  # it has never been prepared
        told = moved_refs.put_back(repo, work.run, HEADS + args.branch, start)
        warnings += [told] if told else []
    ready = prepared(work, args.branch, start)
    if not made and not args.set_up:  # what a person mended there is no doing of setup's
        look_before(repo, work.worktree)
    hurt = ready.damage
    emptied = [escaped(name) for name in (*hurt.restored, *hurt.removed, *hurt.ignored)]
    warnings += _told_of_missing(work, ready.missing)
    if emptied:
        warnings.append(f"{who}: a power cut had emptied {', '.join(emptied[:8])}; that does not count as work")
    again = made or bool(hurt.ignored)  # what was set up there may be gone with them
    return done(PrepareResult(base=start, made=again, emptied=tuple(emptied[:50])), warnings)


def _told_of_missing(work: Work, submodules: list[str]) -> Iterator[str]:
    """A sentence on submodules that a contained job can't check out by itself."""
    if submodules and work.config.sandbox is Sandbox.REQUIRE:
        names = " ".join(quote(name) for name in submodules)
        yield (
            f"{work.job.spec.step} works without the submodules {some(submodules)}: this project has not checked "
            f"them out, and a contained job can't. To do so: git submodule update --init --recursive {names}"
        )


def _conflict_of_needs(builder: str | None, needed: str, found: merge.Conflict) -> JobResult:
    paths = ", ".join(path.path for path in found.paths[:8])
    message = f"{needed}, which it depends on, conflicts with another one in {paths}"
    return JobResult(ok=False, code="conflict", message=message, remedy=f"relay skip {builder}",
                     does="goes on without")  # fmt: skip


effect = Runner(Prepare, run)
