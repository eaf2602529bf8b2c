"""Bringing a run's branches together, and what ci is left with when they don't fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lib.atomic import replace_file
from lib.git import conflict, merge, worktrees
from lib.git.checkout import Checkout
from lib.git.inspect import is_ancestor, resolve
from lib.git.run import Repo
from lib.model import JobResult
from orchestrator.jobs import Work

HEADS = "refs/heads/"


def tips_of(work: Work) -> list[tuple[str, str, str]]:
    """The builders to be merged for a job: id, commit and title of each, in order."""
    return [(tip["id"], tip["tip"], tip["title"]) for tip in work.job.spec.args["tips"]]


def trailer(work: Work) -> str:
    """The last line of the message of every commit that Relay makes for a run."""
    return f"Relay-Run: {work.run}"


def merge_all(work: Work) -> JobResult:
    """What ci left in the merged worktree, the base branch if it moved on, then the builders: all on the run's branch.

    The first conflict is left in the merged worktree, for ci to resolve; the next call takes the resolution up.
    """
    args, repo = work.job.spec.args, Repo.of(work.project)
    ref, note = HEADS + args["branch"], _Note(work)
    left = note.read()
    if left and left["builder"] not in {args["base_branch"], *(name for name, _, _ in tips_of(work))}:
        # It was skipped. What there is of a resolution is rescued, and not taken for a mend.
        worktrees.show(repo, work.worktree, left["head"], include_from=work.project.root)
        note.forget()
    elif left:
        if still := _take_resolution(work, repo, ref, note, left):
            return _merged(repo, ref, args, still)
        note.forget()
    elif Checkout.at(repo, work.worktree).complete:
        mended = conflict.adopt(repo, work.worktree, ref, f"Mend the merged tree\n\n{trailer(work)}\n")
        if isinstance(mended, merge.Conflict):
            message = "what was changed in the merged worktree conflicts with merges made since; it is kept"
            return JobResult(ok=False, code="conflict", message=message, remedy="relay recover")
    base = args["base_branch"]
    base_tip = resolve(repo, HEADS + base)
    if base_tip is not None and resolve(repo, ref) is not None:
        absorbed = merge.absorb(repo, ref, base_tip, f"Merge {base}\n\n{trailer(work)}\n")
        if isinstance(absorbed, merge.Conflict):
            return _leave(work, repo, note, base, base, base_tip, absorbed)
    done = merge.merge_builders(repo, ref, base_tip or args["base"], tips_of(work), trailer=trailer(work))
    if done.conflict is not None:
        builder, found = done.conflict
        theirs = next(tip for name, tip, _ in tips_of(work) if name == builder)
        return _leave(work, repo, note, builder, f"relay/{work.run}/{builder}", theirs, found)
    return _merged(repo, ref, args, None)


class _Note:
    """What stands between a conflict that was left for ci and its resolution: who with whom, and the paths."""

    def __init__(self, work: Work) -> None:
        self._file = work.project.record_dir(work.run, "merged") / "conflict.json"

    def read(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return None
        return found

    def write(self, what: Mapping[str, Any]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._file, json.dumps(what).encode())

    def forget(self) -> None:
        self._file.unlink(missing_ok=True)


def _leave(
    work: Work, repo: Repo, note: _Note, builder: str, branch: str, theirs: str, found: merge.Conflict
) -> JobResult:
    """Leaves a conflict for ci; it is noted first, so that a half-staged one is never taken for resolved."""
    args = work.job.spec.args
    ref = HEADS + args["branch"]
    paths = [{"path": path.path, "kind": path.kind} for path in found.paths]
    left = {"builder": builder, "branch": branch, "head": resolve(repo, ref) or args["base"], "theirs": theirs,
            "paths": paths, "staged": False}  # fmt: skip
    note.write(left)
    _stage(work, repo, note, left)
    return _merged(repo, ref, args, left)


def _stage(work: Work, repo: Repo, note: _Note, left: Mapping[str, Any]) -> None:
    root = work.project.root
    conflict.stage(repo, work.worktree, left["head"], left["theirs"], label=left["branch"], include_from=root)
    note.write({**left, "staged": True})


def _take_resolution(
    work: Work, repo: Repo, ref: str, note: _Note, left: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Merges what ci made of a conflict; what is still open of it, if anything."""
    if not left["staged"]:
        _stage(work, repo, note, left)
        return left
    message = f"Merge {left['builder']}, conflicts resolved\n\n{trailer(work)}\n"
    accepted = conflict.accept(repo, work.worktree, ref, left["head"], left["theirs"], message)
    return None if isinstance(accepted, str) else {**left, "open": accepted}


def _merged(repo: Repo, ref: str, args: Mapping[str, Any], left: Mapping[str, Any] | None) -> JobResult:
    """How far merging came; `conflict` is what is left for ci."""
    head = resolve(repo, ref) or args["base"]
    merged = [tip["id"] for tip in args["tips"] if is_ancestor(repo, tip["tip"], head)]
    return JobResult(ok=True, data={"head": head, "merged": merged, "conflict": left})


def checkout_merged(work: Work) -> JobResult:
    """The merged worktree, showing what was merged."""
    repo = Repo.of(work.project)
    head = resolve(repo, HEADS + work.job.spec.args["branch"]) or ""
    worktrees.show(repo, work.worktree, head, include_from=work.project.root)
    return JobResult(ok=True)
