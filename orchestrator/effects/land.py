"""`land`: the user's branch, moved on to what was verified."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from lib.effects import Land
from lib.errors import RelayError
from lib.files.replace import replace_file
from lib.git.land import Landed, MovedOn, land
from lib.git.run import Repo
from lib.jobs import JobResult
from lib.store.rundb import RunDB
from orchestrator.effects._branches import JOURNAL
from orchestrator.effects._runner import Runner, done
from orchestrator.work import Work


def run(work: Work, args: Land) -> JobResult:
    repo = Repo.of(work.project)
    match land(repo, args.branch, args.base, args.head, _journal(work), waiting=lambda: _check_wanted(work)):
        case Landed():
            return done()
        case MovedOn(tip=tip):
            return JobResult(ok=False, code="moved_on", message=f"{args.branch} is now at {tip[:10]}")
        case blocked:
            return JobResult(ok=False, code=blocked.code, message=blocked.message, remedy=blocked.remedy,
                             does=blocked.does)  # fmt: skip


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
    with db.look(work.run) as look:
        outcome, job = look.stored.row.outcome, look.job(work.job.id)
    if outcome is not None or (job and json.loads(job.data)["stopping"]):
        raise RelayError("the run is over, nothing was landed", remedy="relay status", code="run_over")


effect = Runner(Land, run)
