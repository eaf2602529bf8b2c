"""Bringing a run's branches together, and what ci is left with when they don't fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib.git import conflict, merge, resolution, worktrees
from lib.git.checkout import Checkout
from lib.git.inspect import not_in, resolve
from lib.git.run import Repo
from lib.model import JobResult
from orchestrator.conflicts import RESOLVED, Note, leave, stage, take_back
from orchestrator.guarding import HEADS, base_taken, branches_as_left, steering
from orchestrator.jobs import Work


def tips_of(work: Work) -> list[tuple[str, str, str]]:
    """The builders to be merged for a job: id, commit and title of each, in order."""
    return [(tip["id"], tip["tip"], tip["title"]) for tip in work.job.spec.args["tips"]]


def trailer(work: Work) -> str:
    """The last line of the message of every commit that Relay makes for a run."""
    return f"Relay-Run: {work.run}"


def merge_all(work: Work) -> JobResult:
    """Merges on the run's branch: ci's work in the merged worktree, the base branch if it moved on, then the builders.

    The first conflict is left in the merged worktree, for ci to resolve; the next call takes the resolution up.
    """
    told = branches_as_left(work)
    done = base_taken(work) or _merge(work)
    return done.model_copy(update={"data": {**done.data, "told": told}})


def _merge(work: Work) -> JobResult:
    args, repo = work.job.spec.args, Repo.of(work.project)
    ref, base = HEADS + args["branch"], args["base_branch"]
    if left := _open_conflict(work, repo, ref):
        return _merged(repo, ref, args, left)
    if resolve(repo, ref) is not None and Checkout.at(repo, work.worktree).complete:
        mended = conflict.adopt(repo, work.worktree, ref, f"Fix the merged tree\n\n{trailer(work)}\n")
        if isinstance(mended, merge.Conflict):
            message = "what was changed in the merged worktree conflicts with merges made since; it is kept"
            return JobResult(ok=False, code="conflict", message=message, remedy="relay recover")
    base_tip = resolve(repo, HEADS + base)
    if base_tip is not None and resolve(repo, ref) is not None:
        absorbed = merge.absorb(repo, ref, base_tip, f"Merge {base}\n\n{trailer(work)}\n")
        if isinstance(absorbed, merge.Conflict):
            sides = resolve(repo, ref) or args["base"], base_tip
            return _merged(repo, ref, args, leave(work, base, base, sides, absorbed))
    done = merge.merge_builders(repo, ref, base_tip or args["base"], tips_of(work), trailer=trailer(work))
    if done.conflict is not None:
        builder, found = done.conflict
        theirs = next(tip for name, tip, _ in tips_of(work) if name == builder)
        sides = resolve(repo, ref) or args["base"], theirs
        return _merged(repo, ref, args, leave(work, builder, f"relay/{work.run}/{builder}", sides, found))
    return _merged(repo, ref, args, None)


def _open_conflict(work: Work, repo: Repo, ref: str) -> Mapping[str, Any] | None:
    """The conflict that was left before, if it is still open; one that is resolved is merged."""
    note = Note(work)
    left = note.read()
    if left is None:
        return None
    still = _still_open(work, repo, ref, left)
    if still is None:
        note.forget()
    return still


def _still_open(work: Work, repo: Repo, ref: str, left: Mapping[str, Any]) -> Mapping[str, Any] | None:
    args = work.job.spec.args
    if left["builder"] not in {args["base_branch"], *(name for name, _, _ in tips_of(work))}:
        # It was skipped. What there is of a resolution is rescued, and not taken for a mend.
        worktrees.show(repo, work.worktree, left["head"], include_from=work.project.root)
        return None
    if not left["staged"]:
        stage(work, left)
        return left
    if args.get("resolved"):
        resolution.accept(repo, work.worktree, ref, f"{RESOLVED}{work.run}", args["resolved"])
        return None
    if "left" in left:
        return take_back(work, left)
    message = f"Merge {left['builder']}, conflicts resolved\n\n{trailer(work)}\n"
    accepted = conflict.accept(repo, work.worktree, ref, left["head"], left["theirs"], message)
    return None if isinstance(accepted, str) else {**left, "open": accepted}


def _merged(repo: Repo, ref: str, args: Mapping[str, Any], left: Mapping[str, Any] | None) -> JobResult:
    """The progress of merging; `conflict` is what is left for ci."""
    head = resolve(repo, ref) or args["base"]
    missing = not_in(repo, [tip["tip"] for tip in args["tips"]], head)
    merged = [tip["id"] for tip in args["tips"] if tip["tip"] not in missing]
    base = resolve(repo, HEADS + args["base_branch"]) or args["base"]
    flagged = [] if left else steering(repo, args, base, head)
    data = {"base": base, "head": head, "merged": merged, "conflict": left, "flagged": flagged}
    return JobResult(ok=True, data=data)


def checkout_merged(work: Work) -> JobResult:
    """The merged worktree, showing what was merged."""
    repo = Repo.of(work.project)
    head = resolve(repo, HEADS + work.job.spec.args["branch"]) or ""
    worktrees.show(repo, work.worktree, head, include_from=work.project.root)
    return JobResult(ok=True)
