"""Jobs that Relay does itself, with git and files. Each may be done again from any half-done state.

A function takes its `Work` and gives the `JobResult`; the name that jobs use is its key in `EFFECTS`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lib.atomic import replace_file
from lib.config import Sandbox
from lib.display import escaped
from lib.errors import RelayError
from lib.events import Event, JobEnded
from lib.git import clean, land, merge, strays, worktrees
from lib.git.checkout import Checkout
from lib.git.dropped import keep_dropped, keep_stashes
from lib.git.ignored import in_words, note_built
from lib.git.inside import keep_inside
from lib.git.look import look_before
from lib.git.objects import delete_ref, refs_below, value
from lib.git.run import Repo, again
from lib.git.snapshot import Snapshot
from lib.git.vacate import vacate as vacate_worktree
from lib.git.way import some
from lib.model import JobResult
from lib.names import quote, shown
from lib.rubbish import sweep_quietly
from lib.rundb import RunDB
from orchestrator import scoping
from orchestrator.conflicts import RESOLVED, brief_resolver, judge_resolution, reopen_conflict
from orchestrator.guarding import JOURNAL
from orchestrator.jobs import Work, masker_of
from orchestrator.merging import checkout_merged, merge_all, tips_of, trailer
from orchestrator.reviewing import gather_diff, settle_review

#: Where the merges are kept that dependent builders start from.
STARTS = "refs/relay/starts/"


def run_effect(work: Work) -> Event:
    """Does the job and gives the event of its end. Raises what the effect raises."""
    return JobEnded(job=work.job.id, result=again(lambda: EFFECTS[work.job.spec.name](work)))


def survey(work: Work) -> JobResult:
    """A worktree for the architect, and what the repository looks like."""
    from lib.git.survey import survey as look

    repo = Repo.of(work.project)
    base = str(work.job.spec.args["base"])
    _prepare(work, f"relay/{work.run}/architect", base)
    return JobResult(ok=True, data={"survey": str(look(repo, base, requirement=work.requirement))})


def vacate(work: Work) -> JobResult:
    """The architect's worktree, free for merges."""
    aside = work.project.run_dir(work.run) / "ignored" / "architect"
    branch, base = f"relay/{work.run}/architect", str(work.job.spec.args["base"])
    told = vacate_worktree(Repo.of(work.project), work.worktree, branch, base, aside)
    return JobResult(ok=True, data={"told": told})


def write_files(work: Work) -> JobResult:
    """Text files of the run's folder, each replaced as a whole."""
    folder = work.project.run_dir(work.run)
    folder.mkdir(parents=True, exist_ok=True)
    masker = masker_of(work.config)
    for name, text in work.job.spec.args["files"].items():
        replace_file(folder / name, shown(masker.masked(str(text))).encode())
    return JobResult(ok=True)


def checkout_base(work: Work) -> JobResult:
    """The commit that the run starts from, in a worktree of its own."""
    worktrees.show(Repo.of(work.project), work.worktree, work.job.spec.args["base"], include_from=work.project.root)
    return JobResult(ok=True)


def drop_base(work: Work) -> JobResult:
    """That worktree is removed."""
    worktrees.remove(Repo.of(work.project), work.worktree)
    return JobResult(ok=True)


def prepare(work: Work) -> JobResult:
    """A builder's branch and worktree, from the merge of all that it depends on."""
    args = work.job.spec.args
    start = args["base"]
    if args["tips"]:
        ref = f"{STARTS}{work.run}/{work.job.spec.step}"
        merged = merge.merge_builders(Repo.of(work.project), ref, start, tips_of(work), trailer=trailer(work))
        if merged.conflict is not None:
            return _conflict_of_needs(work.job.spec.step, *merged.conflict)
        start = merged.head
    made, told = not work.worktree.exists(), None
    if work.step is not None and not work.step.base_commit:  # it has never been prepared
        told = strays.put_back(Repo.of(work.project), work.run, f"refs/heads/{args['branch']}", start)
    ready = _prepare(work, args["branch"], start)
    if not made and not args.get("set_up", True):  # what a person mended there is no doing of setup's
        look_before(Repo.of(work.project), work.worktree)
    hurt = ready.damage
    emptied = [escaped(name) for name in (*hurt.restored, *hurt.removed, *hurt.ignored)]
    said = [*([told] if told else []), *_told_of_missing(work, ready.missing)]
    if emptied:
        names = ", ".join(emptied[:8])
        said.append(f"{work.job.spec.step}: a power cut had emptied {names}; that does not count as work")
    again = made or bool(hurt.ignored)  # what was set up there may be gone with them
    return JobResult(ok=True, data={"base": start, "made": again, "told": said, "emptied": emptied[:50]})


def _told_of_missing(work: Work, submodules: list[str]) -> Iterator[str]:
    """A sentence on submodules that a contained job can't check out by itself."""
    if submodules and work.config.sandbox is Sandbox.REQUIRE:
        names = " ".join(quote(name) for name in submodules)
        yield (
            f"{work.job.spec.step} works without the submodules {some(submodules)}: this project has not checked "
            f"them out, and a contained job can't. To do so: git submodule update --init --recursive {names}"
        )


def _prepare(work: Work, branch: str, start: str) -> worktrees.Prepared:
    return worktrees.prepare(Repo.of(work.project), work.worktree, branch, start, include_from=work.project.root)


def _conflict_of_needs(builder: str | None, needed: str, found: merge.Conflict) -> JobResult:
    paths = ", ".join(path.path for path in found.paths[:8])
    message = f"{needed}, which it depends on, conflicts with another one in {paths}"
    return JobResult(ok=False, code="conflict", message=message, remedy=f"relay skip {builder}")


def collect(work: Work) -> JobResult:
    """All that the builder left, as a commit on its branch."""
    args, repo = work.job.spec.args, Repo.of(work.project)
    if not work.worktree.exists():
        return scoping.emptied(work, None)
    told = strays.put_back_own(repo, work.run, f"refs/heads/{args['branch']}", work.worktree)
    taken = worktrees.snapshot(
        repo, work.worktree, args["branch"], args["base"],
        author_name=f"{work.job.spec.step} (relay builder)", message=_message(work),
    )  # fmt: skip
    checkout = Checkout.at(repo, work.worktree)
    ignored = in_words(work.worktree, note_built(repo, checkout))
    told += [*_told_of(work, taken, ignored), *_put_away(work, checkout, taken.commit)]
    if inside := keep_inside(repo, checkout):
        told.append(
            f"{work.job.spec.step} changed files in submodules, which can't land; they are kept: "
            f"{some(inside)} (relay recover)"
        )
    seen = scoping.look(work, taken.commit)
    if seen.emptied:
        return scoping.emptied(work, taken.commit, seen.reach)
    return JobResult(ok=True, data={"commit": taken.commit, "changed": seen.paths[:100], "nested": taken.nested,
                                    "reach": seen.reach.model_dump(), "left_out": taken.left_out[:100],
                                    "told": told, "ignored": ignored})  # fmt: skip


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


def _put_away(work: Work, checkout: Checkout, tip: str) -> Iterator[str]:
    """Sentences on work that a builder reset or stashed, which is kept."""
    repo, who, args = Repo.of(work.project), work.job.spec.step, work.job.spec.args
    if kept := keep_dropped(repo, checkout, args["branch"], tip, (args["base"],)):
        yield f"{who} took back commits of its own; they are kept as {some(kept)}: relay recover"
    if kept := keep_stashes(repo, checkout, args["branch"]):
        yield f"{who} stashed work, which does not land; it is kept as {some(kept)}: relay recover"


def _message(work: Work) -> str:
    """A builder's commit: its title, and what it said of its work."""
    args = work.job.spec.args
    said = "\n\n".join(part for part in (args["title"], args.get("report", "")) if part)
    return f"{masker_of(work.config).masked(said)}\n\n{trailer(work)}\n"


def land_merged(work: Work) -> JobResult:
    """The user's branch, moved on to what was verified."""
    args, repo = work.job.spec.args, Repo.of(work.project)
    done = land.land(
        repo, args["branch"], args["base"], args["head"], _journal(work), waiting=lambda: _check_wanted(work)
    )
    match done:
        case land.Landed():
            return JobResult(ok=True, data={"commit": done.commit})
        case land.MovedOn():
            return JobResult(ok=False, code="moved_on", message=f"{args['branch']} is now at {done.tip[:10]}")
        case _:
            return JobResult(ok=False, code=done.code, message=done.message, remedy=done.remedy,
                             data={"paths": done.paths[:50]})  # fmt: skip


def _journal(work: Work) -> Callable[[Mapping[str, Any]], None]:
    """Keeps what is about to be landed, for whoever has to look into a repository after a crash."""

    def keep(entry: Mapping[str, Any]) -> None:
        _check_wanted(work)
        work.records.mkdir(parents=True, exist_ok=True)
        replace_file(work.records / JOURNAL, json.dumps(entry).encode())

    return keep


def _check_wanted(work: Work) -> None:
    """Raises `RelayError` (`run_over`) if the run was cancelled, or is over."""
    if (db := RunDB.open_readonly(work.project.database)) is None:
        return
    with db:
        stored = db.load(work.run)
    jobs = (json.loads(row.data) for row in stored.jobs if row.id == work.job.id)
    if stored.row.outcome is not None or any(job["stopping"] for job in jobs):
        raise RelayError("the run is over, nothing was landed", remedy="relay status", code="run_over")


def clean_landed(work: Work) -> JobResult:
    """Worktrees and branches whose work has landed, and the starts of dependents, are removed; the rest is kept."""
    repo = Repo.of(work.project)
    architect = work.project.worktree(work.run, "architect")
    told = []
    try:
        if architect.exists():  # of a run that version 0.1 began
            worktrees.remove(repo, architect, f"relay/{work.run}/architect")
    except (RelayError, OSError) as error:
        told = [f"{architect} is kept: {error}"]
    done = clean.clean_run(repo, work.project, work.run, work.job.spec.args["branch"])
    for ref, commit in refs_below(repo, f"{STARTS}{work.run}/"):
        delete_ref(repo, ref, commit)
    if resolved := value(repo, f"{RESOLVED}{work.run}"):
        delete_ref(repo, f"{RESOLVED}{work.run}", resolved)
    indexes = work.project.store / "indexes" / work.run
    if indexes.is_dir() and not done.kept:
        shutil.rmtree(indexes)
    sweep_quietly(work.project.worktrees, work.project.orchestrator_log)
    told += [f"{what} is kept: {why}" for what, why in done.kept if why.startswith(clean.UNCLEAR)]
    return JobResult(ok=True, data={"removed": done.removed, "kept": done.kept, "told": [*told, *done.told]})


EFFECTS: Mapping[str, Callable[[Work], JobResult]] = {
    "survey": survey,
    "vacate": vacate,
    "write_files": write_files,
    "checkout_base": checkout_base,
    "drop_base": drop_base,
    "prepare": prepare,
    "collect": collect,
    "gather_diff": gather_diff,
    "settle_review": settle_review,
    "merge": merge_all,
    "brief_resolver": brief_resolver,
    "judge_resolution": judge_resolution,
    "reopen_conflict": reopen_conflict,
    "checkout_merged": checkout_merged,
    "land": land_merged,
    "clean": clean_landed,
}
