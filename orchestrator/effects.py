"""Jobs that Relay does itself, with git and files. Each may be done again from any half-done state.

A function takes its `Work` and gives the `JobResult`; the name that jobs use is its key in `EFFECTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from lib.atomic import replace_file
from lib.events import Event, JobEnded
from lib.git import clean, land, merge, worktrees
from lib.git.inspect import resolve
from lib.git.run import Repo
from lib.model import JobResult
from orchestrator.jobs import Work

HEADS = "refs/heads/"


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
    """A builder's branch and worktree, from the merge of what it depends on."""
    args = work.job.spec.args
    repo = Repo.of(work.project)
    started = resolve(repo, HEADS + args["branch"] + "-base") if args["tips"] else args["base"]
    if started is None:
        combined = merge.combine(repo, [args["base"], *args["tips"].values()], _combined_title(args["tips"]))
        if isinstance(combined, merge.Conflict):
            return _conflict_of_needs(args["tips"], combined)
        started = combined
    _prepare(work, args["branch"], started)
    return JobResult(ok=True, data={"base": started})


def _prepare(work: Work, branch: str, start: str) -> None:
    worktrees.prepare(Repo.of(work.project), work.worktree, branch, start, include_from=work.project.root,
                      keep_index=_index(work))  # fmt: skip


def _index(work: Work) -> Path:
    """A copy of the worktree's index as it was when new: with it, only what changed is read again."""
    return work.project.store / "indexes" / work.run / str(work.job.spec.worktree)


def _combined_title(tips: Mapping[str, str]) -> str:
    return f"Merge {', '.join(tips)} for what depends on them"


def _conflict_of_needs(tips: Mapping[str, str], found: merge.Conflict) -> JobResult:
    paths = ", ".join(path.path for path in found.paths[:8])
    message = f"what it depends on ({', '.join(tips)}) conflicts in {paths}"
    return JobResult(ok=False, code="conflict", message=message, remedy='relay reject "…" or relay skip BUILDER')


def collect(work: Work) -> JobResult:
    """All that the builder left, as a commit on its branch."""
    args = work.job.spec.args
    taken = worktrees.snapshot(
        Repo.of(work.project), work.worktree, args["branch"], args["base"], keep_index=_index(work),
        author_name=f"{work.job.spec.builder} (relay builder)", message=f"{args['title']}\n\nRelay-Run: {work.run}",
    )  # fmt: skip
    if taken.nested:
        message = f"it made a repository of its own in {', '.join(taken.nested)}, which would be lost"
        return JobResult(ok=False, code="nested_repository", message=message, remedy="relay logs")
    return JobResult(ok=True, data={"commit": taken.commit, "changed": taken.changed})


def merge_builders(work: Work) -> JobResult:
    """The builders' branches on the run's merged branch, in order; a conflict is left in the merged worktree."""
    args, repo = work.job.spec.args, Repo.of(work.project)
    tips = [(tip["id"], tip["tip"], tip["title"]) for tip in args["tips"]]
    done = merge.merge_builders(repo, HEADS + args["branch"], args["base"], tips)
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
