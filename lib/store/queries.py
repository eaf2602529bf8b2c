"""Questions on one run of the run database, each of which reads no more than its answer.

What is counted and summed comes from indexes alone; documents are read only of the steps and jobs that are asked for.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from lib.errors import RelayError
from lib.steps import WAITING, BuilderStatus, StepKind, is_counted, status_of
from lib.store.rows import JobRow, Revision, StepRow, Stored, current, run_row
from lib.store.upgrades import Kind, upgraded

if TYPE_CHECKING:
    import sqlite3

#: Statuses in stored words: those of steps, and of version 0.1, which had more.
_AT_WORK: Final = "('running', 'preparing', 'verifying')"
_FINISHED: Final = "('done', 'built', 'merged', 'landed', 'skipped', 'cancelled')"
_STATUS: Final = "kind, status, stage, merged, landed"
#: Steps that are shown: a workspace is where others work.
_SHOWN: Final = "AND kind != 'workspace'"


class Totals(NamedTuple):
    """Sums over the steps of a run: what their ended turns used, in tokens and US dollars, and the seconds that ended
    steps took.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    took_s: float = 0.0


class Whole(NamedTuple):
    """Facts of all steps of a run that count: how many are in each status, how many of the builders that are built no
    command has verified, the assistants by name, and the sums. Of those at work so many `asks` a person; it
    `has_worktree` that its steps share.
    """

    counts: Mapping[BuilderStatus, int]
    unverified: int
    assistants: tuple[str, ...]
    totals: Totals = Totals()
    asks: int = 0
    has_worktree: bool = False


_SUMS: Final = Totals._fields


class Queries:
    """One consistent look at a run; `RunDB.look` makes one. The methods raise `StoreError`."""

    def __init__(self, db: sqlite3.Connection, run: str) -> None:
        self._db = db
        self._run = run

    # --- the run as a whole ------------------------------------------------------------------------------------------

    @cached_property
    def stored(self) -> Stored:
        """The run without its steps, jobs and events. Raises `RelayError` (`unknown_run`)."""
        row = self._db.execute("SELECT * FROM runs WHERE id = ?", (self._run,)).fetchone()
        if row is None:
            raise RelayError(f"there is no run {self._run}", remedy="relay runs", code="unknown_run")
        return Stored(
            row=run_row(row),
            header=upgraded(Kind.HEADER, json.loads(row["header"]), row["format"]),
            options=upgraded(Kind.CONFIG, json.loads(row["options"]), row["format"]),
            file_bytes=row["file_bytes"],
            definition=json.loads(row["definition"] or "null"),
        )

    def revisions(self) -> tuple[Revision, ...]:
        """The newest revisions of state.json, oldest first."""
        rows = self._rows(", ".join(Revision._fields), "revisions", "ORDER BY rev")
        return tuple(Revision._make(row)._replace(paused=bool(row["paused"])) for row in rows)

    # --- steps -------------------------------------------------------------------------------------------------------

    def whole(self) -> Whole:
        """Counts and sums over all steps. What the run's own turns used is in its header."""
        counts: Counter[BuilderStatus] = Counter()
        unverified, sums = 0, [0.0] * len(_SUMS)
        facts = f"{_STATUS}, verified, assistant"  # in the order of an index, from which all is read then
        columns = ", ".join([facts, "count(*) AS number", *(f"total({name}) AS {name}" for name in _SUMS)])
        asks, assistants, has_worktree = 0, set[str](), False
        for row in self._rows(columns, "steps", f"AND status IS NOT NULL GROUP BY {facts}"):
            status, kind = _status(row), row["kind"] or StepKind.BUILDER
            has_worktree |= kind == StepKind.WORKSPACE
            if is_counted(kind, status):
                counts[status] += row["number"]
            if kind == StepKind.BUILDER and status.is_built and not row["verified"]:
                unverified += row["number"]
            if kind == StepKind.GATE and status.is_at_work:
                asks += row["number"]
            assistants |= {row["assistant"]} - {""}
            if kind not in {*WAITING, StepKind.WORKSPACE}:
                sums = [total + row[name] for total, name in zip(sums, _SUMS, strict=True)]
        totals = Totals(int(sums[0]), int(sums[1]), round(sums[2], 6), round(sums[3], 3))
        return Whole(dict(counts), unverified, tuple(sorted(assistants)), totals, asks, has_worktree)

    def step_ids(self) -> list[str]:
        return [row["id"] for row in self._rows("id", "steps", f"{_SHOWN} ORDER BY seq")]

    def statuses(self, names: Iterable[str]) -> dict[str, BuilderStatus]:
        """The statuses of these steps; unknown ones are left out."""
        found = (row for name in names for row in self._rows(f"id, {_STATUS}", "steps", "AND id = ?", name))
        return {row["id"]: _status(row) for row in found}

    def steps(self) -> list[StepRow]:
        """All steps, in order: the cost grows with the run."""
        return self._steps("ORDER BY seq")

    def step(self, name: str) -> StepRow | None:
        return next(iter(self._steps("AND id = ?", name)), None)

    def at_work(self) -> list[StepRow]:
        """The steps that are at work, in order."""
        return self._steps(f"{_SHOWN} AND status IN {_AT_WORK} ORDER BY seq")

    def failed(self, limit: int) -> list[StepRow]:
        """The first steps that failed, in order."""
        return self._steps(f"{_SHOWN} AND status = 'failed' ORDER BY seq LIMIT ?", limit)

    def finished(self, limit: int) -> list[StepRow]:
        """The steps that finished last, the latest first."""
        return self._steps(f"{_SHOWN} AND status IN {_FINISHED} ORDER BY ended_day DESC, seq DESC LIMIT ?", limit)

    def foremost(self, limit: int) -> list[StepRow]:
        """The steps that count most, in order: all that are at work, and with them up to `limit` of those that failed,
        then wait, then finished last.
        """
        places = self._places(f"{_SHOWN} AND status IN {_AT_WORK}")
        for status in ("failed", "retrying", "pending"):
            places += self._places(f"{_SHOWN} AND status = ? ORDER BY seq LIMIT ?", status, max(0, limit - len(places)))
        latest = f"{_SHOWN} AND status IN {_FINISHED} ORDER BY ended_day DESC, seq DESC LIMIT ?"
        places += self._places(latest, max(0, limit - len(places)))
        return self._steps(f"AND seq IN {_listed(places)} ORDER BY seq")

    # --- jobs --------------------------------------------------------------------------------------------------------

    def jobs(self) -> list[JobRow]:
        """All jobs, in order: the cost grows with the run."""
        return self._jobs("ORDER BY seq")

    def job(self, name: str) -> JobRow | None:
        return next(iter(self._jobs("AND id = ?", name)), None)

    def live(self) -> list[JobRow]:
        """The jobs that have not ended, in order."""
        return self._jobs("AND NOT ended ORDER BY seq")

    def jobs_of(self, step: str | None) -> list[JobRow]:
        """The jobs of a step, or of the run as a whole, in order."""
        return self._jobs("AND step IS ? ORDER BY seq", step)

    def at_hand(self) -> list[JobRow]:
        """The jobs that have not ended, those of steps that have not finished, and of the run as a whole, in order."""
        unfinished = f"AND step IN (SELECT id FROM steps WHERE run = ? AND status NOT IN {_FINISHED})"  # noqa: S608 - words of ours
        chosen = (("AND step IS NULL",), ("AND NOT ended",), (unfinished, self._run))
        places = {row["seq"] for which in chosen for row in self._rows("seq", "jobs", *which)}
        return self._jobs(f"AND seq IN {_listed(places)} ORDER BY seq")

    def said(self, steps: Sequence[str], name: str) -> dict[str, str]:
        """The closing words, if any, of the newest job of that name that ended well, by step."""
        newest = "AND step = ? AND name = ? AND json_extract(data, '$.result.ok') ORDER BY seq DESC LIMIT 1"
        words = "step, json_extract(data, '$.result.text') AS text"
        rows = (row for step in steps for row in self._rows(words, "jobs", newest, step, name))
        return {row["step"]: row["text"] for row in rows if row["text"]}

    # --- rows --------------------------------------------------------------------------------------------------------

    def _steps(self, chosen: str, *values: object) -> list[StepRow]:
        rows = self._rows("id, data, format", "steps", chosen, *values)
        return [StepRow(row["id"], current(Kind.STEP, row["data"], row["format"])) for row in rows]

    def _places(self, chosen: str, *values: object) -> list[int]:
        return [row["seq"] for row in self._rows("seq", "steps", chosen, *values)]

    def _jobs(self, chosen: str, *values: object) -> list[JobRow]:
        rows = self._rows("id, dispatch, ended, data, format", "jobs", chosen, *values)
        return [
            JobRow(row["id"], row["dispatch"], bool(row["ended"]), current(Kind.JOB, row["data"], row["format"]))
            for row in rows
        ]

    def _rows(self, columns: str, table: str, chosen: str = "", *values: object) -> Iterator[sqlite3.Row]:
        query = f"SELECT {columns} FROM {table} WHERE run = ? {chosen}"  # noqa: S608 - all words of it are ours
        return self._db.execute(query, (self._run, *values))


def _listed(places: Iterable[int]) -> str:
    return f"({', '.join(map(str, places))})"


def _status(row: sqlite3.Row) -> BuilderStatus:
    """The status by the columns of a step, of which version 0.1 had only the first."""
    return status_of({name: row[name] for name in _STATUS.split(", ") if row[name] is not None})
