"""Jobs that Relay does itself, with git and files. Each may be done again from any half-done state.

A function takes its `Work` and gives the `JobResult`; the name that jobs use is its key in `EFFECTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lib.atomic import replace_file
from lib.events import Event, JobEnded
from lib.git import clean, land, merge, worktrees
from lib.git.inspect import resolve
from lib.git.run import Repo
from lib.model import JobResult
from orchestrator.jobs import Work

HEADS = "refs/heads/"
#: Where the merges are kept that dependent builders start from.
STARTS = "refs/relay/starts/"


def run_effect(work: Work) -> Event:
    """Does the job and gives the event of its end. Raises what the effect raises."""
    return JobEnded(job=work.job.id, result=EFFECTS[work.job.spec.name](work))


def survey(work: Work) -> JobResult:
    """A worktree for the architect, and what the repository looks like."""
    from lib.git.survey import survey as look

    repo = Repo.of(work.project)
    base = str(work.job.spec.args["base"])
    _prepare(work, f"relay/{work.run}/architect", base)
    return JobResult(ok=True, data={"survey": look(repo, base)})


def write_files(work: Work) -> JobResult:
    """Text files of the run's folder, each replaced as a whole."""
    folder = work.project.run_dir(work.run)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in work.job.spec.args["files"].items():
        replace_file(folder / name, str(text).encode())
    return JobResult(ok=True)


def prepare(work: Work) -> JobResult:
    """A builder's branch and worktree, from the merge of all that it depends on."""
    args = work.job.spec.args
    start = args["base"]
    if args["tips"]:
        ref = f"{STARTS}{work.run}/{work.job.spec.builder}"
        merged = merge.merge_builders(Repo.of(work.project), ref, start, _tips(args), trailer=_trailer(work))
        if merged.conflict is not None:
            return _conflict_of_needs(*merged.conflict)
        start = merged.head
    _prepare(work, args["branch"], start)
    return JobResult(ok=True, data={"base": start})


def _tips(args: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [(tip["id"], tip["tip"], tip["title"]) for tip in args["tips"]]


def _trailer(work: Work) -> str:
    return f"Relay-Run: {work.run}"


def _prepare(work: Work, branch: str, start: str) -> None:
    worktrees.prepare(Repo.of(work.project), work.worktree, branch, start, include_from=work.project.root,
                      keep_index=_index(work))  # fmt: skip


def _index(work: Work) -> Path:
    """A copy of the worktree's index as it was when new: with it, only what changed is read again."""
    return work.project.store / "indexes" / work.run / str(work.job.spec.worktree)


def _conflict_of_needs(builder: str, found: merge.Conflict) -> JobResult:
    paths = ", ".join(path.path for path in found.paths[:8])
    message = f"{builder}, which it depends on, conflicts with another one in {paths}"
    return JobResult(ok=False, code="conflict", message=message, remedy="relay skip BUILDER")


def collect(work: Work) -> JobResult:
    """All that the builder left, as a commit on its branch."""
    args = work.job.spec.args
    taken = worktrees.snapshot(
        Repo.of(work.project), work.worktree, args["branch"], args["base"], keep_index=_index(work),
        author_name=f"{work.job.spec.builder} (relay builder)", message=f"{args['title']}\n\n{_trailer(work)}\n",
    )  # fmt: skip
    if taken.nested:
        message = f"it made a repository of its own in {', '.join(taken.nested)}, which would be lost"
        return JobResult(ok=False, code="nested_repository", message=message, remedy="relay logs")
    return JobResult(ok=True, data={"commit": taken.commit, "changed": taken.changed})


def merge_builders(work: Work) -> JobResult:
    """The builders' branches on the run's merged branch, in order; a conflict is left in the merged worktree."""
    args, repo = work.job.spec.args, Repo.of(work.project)
    done = merge.merge_builders(repo, HEADS + args["branch"], args["base"], _tips(args), trailer=_trailer(work))
    return JobResult(ok=True, data={"merged": done.merged, "head": done.head, "conflict": None})


def checkout_merged(work: Work) -> JobResult:
    args, repo = work.job.spec.args, Repo.of(work.project)
    head = resolve(repo, HEADS + args["branch"]) or ""
    _prepare(work, args["branch"], head)
    return JobResult(ok=True)


def land_merged(work: Work) -> JobResult:
    args, repo = work.job.spec.args, Repo.of(work.project)
    done = land.land(repo, args["branch"], "", args["head"], lambda _entry: None)
    match done:
        case land.Landed():
            return JobResult(ok=True, data={"commit": done.commit})
        case land.MovedOn():
            return JobResult(ok=False, code="moved_on", message=f"{args['branch']} is now at {done.tip[:10]}")
        case _:
            return JobResult(ok=False, code=done.code, message=done.message, remedy=done.remedy)


def clean_landed(work: Work) -> JobResult:
    clean.clean_run(Repo.of(work.project), work.project, work.run, work.job.spec.args["branch"])
    return JobResult(ok=True)


EFFECTS: Mapping[str, Callable[[Work], JobResult]] = {
    "survey": survey,
    "write_files": write_files,
    "prepare": prepare,
    "collect": collect,
    "merge": merge_builders,
    "checkout_merged": checkout_merged,
    "land": land_merged,
    "clean": clean_landed,
}
