"""Checkpoints that are too old or too many are removed, the rows first and then their refs.

Refs that a kill has left without a row are found and removed by a later sweep.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from pydantic import ValidationError

from lib.config.model import Config
from lib.git.objects import delete_refs
from lib.git.pins import pinned
from lib.git.run import Repo
from lib.project.paths import Project
from lib.store.checkpoints import Checkpoints
from lib.store.rows import Cause, CheckpointMark
from lib.store.rundb import RunDB


class Keep(NamedTuple):
    """The checkpoints of a run that are kept: the newest `most`, none of them older than `age`; of one that goes on
    the newest in any case.
    """

    most: int
    age: timedelta
    goes_on: bool

    @classmethod
    def of(cls, config: Config, *, goes_on: bool) -> Keep:
        return cls(config.checkpoints_max, timedelta(days=config.checkpoints_max_days), goes_on)


def outdated(marks: Sequence[CheckpointMark], keep: Keep, now: datetime) -> list[int]:
    """The checkpoints of one run, given oldest first, that are not kept. Those that a person made always are. Pure."""
    last = marks[-1].id if marks and keep.goes_on else None
    own = [mark for mark in marks if mark.cause != Cause.PERSON]
    too_many = len(own) - keep.most
    gone = (mark.id for place, mark in enumerate(own) if place < too_many or _age(mark, now) > keep.age)
    return [number for number in gone if number != last]


def _age(mark: CheckpointMark, now: datetime) -> timedelta:
    return now - datetime.fromisoformat(mark.at)


def prune(project: Project, now: datetime, *, sweep: bool) -> None:
    """Removes the outdated checkpoints of all runs, by the settings of each; with `sweep` also refs without a row.

    Raises `RelayError`; it may be called again, also after a kill.
    """
    if not project.database.exists():
        return
    with RunDB.open(project, may_make=False) as db:
        with db.look_at_checkpoints() as look:
            gone = [number for run, marks in by_run(look.marks())
                    for number in outdated(marks, kept_of(look, run), now)]  # fmt: skip
        if gone:
            remove(db, gone)
        if gone or sweep:
            sweep_refs(project, db)


def by_run(marks: Iterable[CheckpointMark]) -> Iterable[tuple[str, list[CheckpointMark]]]:
    """The checkpoints of each run, in their order."""
    run_of = attrgetter("run")
    return ((run, list(group)) for run, group in groupby(sorted(marks, key=run_of), run_of))


def remove(db: RunDB, numbers: Iterable[int]) -> None:
    """Removes the rows of these checkpoints; `sweep_refs` then removes their refs. Raises `StoreError`."""
    with db.changing_checkpoints() as change:
        change.drop(numbers)


def sweep_refs(project: Project, db: RunDB) -> int:
    """Removes the refs of checkpoints that have no row, of runs that the database knows, and gives their number.

    Raises `RelayError`. The refs are looked at before the rows: a row is there before its refs.
    """
    repo = Repo.of(project)
    held = pinned(repo)
    with db.look_at_checkpoints() as look:
        runs, known = look.known_runs(), {(mark.run, str(mark.id)) for mark in look.marks()}
    strays = [name for name in held if name[0] in runs and name not in known]
    delete_refs(repo, [ref for name in strays for ref in held[name]])
    return len(strays)


def kept_of(look: Checkpoints, run: str) -> Keep:
    """The rule for a run, by its own settings."""
    outcome, options = look.settings(run)
    try:
        config = Config.model_validate(options)
    except ValidationError:  # of a later version
        config = Config()
    return Keep.of(config, goes_on=outcome is None)
