"""Checks of what is not believed: branches that somebody else moved, and changes of files that steer what is run."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Final

from lib.assistants import safety
from lib.design.sensitive_files import ATTRIBUTES, flagged, runs_programs
from lib.effects import BranchTaken, Flagged, Merge
from lib.files.safe_read import NotPlainError, read_plain
from lib.git import moved_refs
from lib.git.inspect import changed_paths
from lib.git.run import Repo, git
from lib.jobs import JobResult
from orchestrator.effects._runner import HEADS
from orchestrator.work import Work

NOTED = 200
#: What a landing is about to do, beside the record of its job.
JOURNAL: Final = "landing.json"
_JOURNAL_BYTES: Final = 65_536


def branches_as_left(work: Work, args: Merge) -> list[str]:
    """The run's branches are where Relay left them: sentences about those that were not."""
    repo, tips = Repo.of(work.project), {tip.id: tip.tip for tip in args.tips}
    return [
        *moved_refs.put_back_builders(repo, work.run, tips),
        *moved_refs.put_back_own(repo, work.run, HEADS + args.branch),
    ]


def base_taken(work: Work, args: Merge) -> JobResult | None:
    """The failure if the user's branch has commits of builders that Relay did not land there."""
    if args.landed:
        return None
    repo, branch, tips = Repo.of(work.project), args.base_branch, [tip.tip for tip in args.tips]
    known = _landings(work) | ({args.before} if args.before else set())
    found = moved_refs.taken(repo, work.run, branch, args.base, tips, known)
    if found is None or found.tip in args.believed:
        return None
    message = f"{branch} has {found.count} commits of this run's builders, which Relay did not land there"
    data = BranchTaken(tip=found.tip).model_dump(mode="json")
    return JobResult(ok=False, code="branch_taken", message=message, remedy=found.remedy,
                     does="puts the branch back", data=data)  # fmt: skip


def _landings(work: Work) -> set[str]:
    """The commits that this run was about to land, by the journals of its landings: a killed one may have."""
    found = set()
    for file in work.project.record_dir(work.run, "").glob(f"*/{JOURNAL}"):
        with suppress(ValueError, KeyError, TypeError, NotPlainError):  # not Relay's
            found.add(str(json.loads(read_plain(file, limit=_JOURNAL_BYTES) or b"")["new"]))
    return found


def steering(repo: Repo, args: Merge, base: str, head: str) -> tuple[Flagged, ...]:
    """The files that steer what is run and that `head` changes of `base`, and that a builder changed whose component
    does not name them.
    """
    known = safety().steering
    steers = flagged((path for _, path in changed_paths(repo, base, head)), (), known)
    wanted = {path for path in steers if _counts(repo, head, path)}
    found: list[Flagged] = []
    for tip in args.tips if wanted else ():
        its = [path for _, path in changed_paths(repo, args.base, tip.tip) if path in wanted]
        wanted.difference_update(its)
        unnamed = flagged(its, args.owned.get(tip.id, ()), known)
        found += [Flagged(path=path, kind=kind, builder=tip.id) for path, kind in unnamed.items()]
    return tuple(found[:NOTED])


def _counts(repo: Repo, head: str, path: str) -> bool:
    if path.rpartition("/")[2] != ATTRIBUTES:
        return True
    done = git(repo, "cat-file", "blob", f"{head}:{path}", ok=(0, 128))
    return done.status == 0 and runs_programs(done.out.decode(errors="replace"))
