"""Questions on all runs of a repository: which there were, what was said in them, and how they went."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lib.critical_path import Timed
from lib.store.rows import RUN_COLUMNS, RunRow, run_row
from lib.store.search import Place, best, by_run, found, place_of
from lib.store.views import VIEWS, failures, workflows

if TYPE_CHECKING:
    import sqlite3

Figures = dict[str, Any]


class Wanted(NamedTuple):
    """Runs that are asked for: those for which all holds that is given.

    `since` and `until` are ISO 8601, of their start; `step` is the id of a step that they have, in the workflow or in
    the run. Those that `failed` did so, or a step of them did; with a `step`, that one. A step that was cancelled with
    its run after it had failed counts as failed.
    """

    workflow: str | None = None
    outcome: str | None = None
    since: str | None = None
    until: str | None = None
    step: str | None = None
    failed: bool = False


#: All runs.
ALL: Final = Wanted()


class Found(NamedTuple):
    """A run in which words were found: the place where they fit best, and the number of others."""

    run: RunRow
    place: Place
    more: int


class StepFigures(NamedTuple):
    """One step of one run. `node` is its id in the workflow; `seconds` is None if it did not end."""

    run: str
    node: str
    done: bool
    failed: bool
    retries: int
    cost_usd: float
    tokens: int
    timed: Timed
    seconds: float | None


#: Runs by the values of `Wanted`, by their names.
_CHOSEN: Final = """
    SELECT * FROM runs WHERE coalesce(workflow = :workflow, 1) AND coalesce(coalesce(outcome, '') = :outcome, 1)
    AND coalesce(julianday(created_at) >= julianday(:since), 1)
    AND coalesce(julianday(created_at) <= julianday(:until), 1)
    AND (:step IS NULL OR EXISTS (
        SELECT 1 FROM step_summary WHERE run = runs.id AND :step IN (step, node)
        AND (NOT :failed OR failed)))
    AND (NOT :failed OR :step IS NOT NULL OR outcome = 'failed'
        OR EXISTS (SELECT 1 FROM step_summary WHERE run = runs.id AND status IN ('failed', 'cancelled') AND failed))
"""
_NEWEST: Final = "ORDER BY seq DESC LIMIT"


class History:
    """One consistent look at all runs; `RunDB.history` makes one. The methods raise `StoreError`."""

    def __init__(self, db: sqlite3.Connection, *, has_views: bool) -> None:
        """Without views in the database, those of an older schema are given to this connection."""
        self._db = db
        for name, query in {} if has_views else VIEWS.items():
            db.execute(f"CREATE TEMP VIEW {name} AS {query}")

    def runs(self, wanted: Wanted = ALL, *, limit: int = -1) -> list[RunRow]:
        """The newest runs first; all without a `limit`."""
        query = f"SELECT {RUN_COLUMNS} FROM ({_CHOSEN}) {_NEWEST} :limit"  # noqa: S608 - words of ours
        return [run_row(row) for row in self._db.execute(query, wanted._asdict() | {"limit": limit})]

    def ended_before(self, at: str) -> list[RunRow]:
        """The runs that were over then (ISO 8601), the newest first, without the newest of each instance."""
        query = f"""
            SELECT {RUN_COLUMNS} FROM runs WHERE outcome IS NOT NULL AND julianday(updated_at) < julianday(?)
            AND seq NOT IN (SELECT max(seq) FROM runs GROUP BY instance_key) ORDER BY seq DESC
        """  # noqa: S608 - names of ours
        return [run_row(row) for row in self._db.execute(query, (at,))]

    def search(self, words: str, wanted: Wanted = ALL, *, limit: int = -1) -> list[Found]:
        """The newest runs first in which one text has all of the words: of that step, if one is wanted.

        Raises `RelayError` (`no_search`).
        """
        rows = {row.id: row for row in self.runs(wanted)}
        of = "SELECT DISTINCT step FROM step_summary WHERE :step IN (step, node)"
        steps = {row["step"] for row in self._db.execute(of, wanted._asdict())} if wanted.step else set()
        hits = by_run(found(self._db, words), rows, steps)
        chosen = [row for row in rows.values() if row.id in hits][: None if limit < 0 else limit]
        return [Found(row, place_of(self._db, best(hits[row.id]), words), len(hits[row.id]) - 1) for row in chosen]

    def workflows(self, wanted: Wanted = ALL) -> list[Figures]:
        """The figures of each workflow, as the view `workflow_summary` has them; the most recent first."""
        counted = f"SELECT * FROM run_summary WHERE run IN (SELECT id FROM ({_CHOSEN}))"  # noqa: S608 - words of ours
        query = f"WITH chosen AS ({counted}) SELECT * FROM ({workflows('chosen')}) ORDER BY last_started_at DESC"  # noqa: S608
        return [dict(row) for row in self._db.execute(query, wanted._asdict())]

    def failures(self, wanted: Wanted = ALL) -> list[Figures]:
        """Failures by workflow, step and kind, as the view `failure_summary` has them; the most frequent first."""
        query = f"WITH chosen AS ({_CHOSEN}) SELECT * FROM ({failures('chosen')}) ORDER BY failures DESC, step, kind"  # noqa: S608
        return [dict(row) for row in self._db.execute(query, wanted._asdict())]

    def steps(self, wanted: Wanted = ALL) -> Iterator[StepFigures]:
        """The steps of these runs that have ended, oldest run first, each run's in their order."""
        query = f"""
            SELECT step_summary.*, steps.data AS data FROM ({_CHOSEN}) AS chosen
            JOIN step_summary ON step_summary.run = chosen.id
            JOIN steps ON steps.run = step_summary.run AND steps.id = step_summary.step
            WHERE chosen.outcome IS NOT NULL ORDER BY chosen.seq, steps.seq
        """  # noqa: S608 - words of ours
        for row in self._db.execute(query, wanted._asdict()):
            step: Figures = {}
            with suppress(ValueError):
                step = json.loads(row["data"])
            timed = Timed(row["step"], row["kind"], tuple(_needs(step)), step.get("parent", ""),
                          tuple(step.get("members", ())), row["seconds"] or 0.0)  # fmt: skip
            yield StepFigures(
                run=row["run"],
                node=row["node"],
                done=row["status"] == "done",
                failed=bool(row["failed"]),
                retries=row["retries"],
                cost_usd=row["cost_usd"],
                tokens=row["input_tokens"] + row["output_tokens"],
                timed=timed,
                seconds=row["seconds"],
            )


def _needs(step: Figures) -> list[str]:
    """The needs of a step; in a record of an older version, those of its component."""
    return list(step.get("needs", (step.get("component") or {}).get("depends_on", ())))
