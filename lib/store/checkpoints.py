"""The checkpoints of all runs in the run database, within a transaction that `RunDB` makes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lib.errors import RelayError
from lib.store.queries import Queries
from lib.store.rows import Checkpoint, CheckpointMark, StoredCheckpoint, Unpinned, current, storable, stored_checkpoint
from lib.store.upgrades import FORMAT, Kind

if TYPE_CHECKING:
    import sqlite3

UNREADABLE = "checkpoint_unreadable"


class Checkpoints:
    """Questions on checkpoints, and changes of them where the transaction is for writing."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def of(self, run: str) -> list[StoredCheckpoint]:
        """The checkpoints of a run, oldest first."""
        rows = self._db.execute("SELECT * FROM checkpoints WHERE run = ? ORDER BY id", (run,))
        return [stored_checkpoint(row) for row in rows]

    def one(self, number: int) -> StoredCheckpoint:
        """The checkpoint of that number. Raises `RelayError` (`unknown_checkpoint`, `checkpoint_unreadable`)."""
        row = self._db.execute("SELECT * FROM checkpoints WHERE id = ?", (number,)).fetchone()
        if row is None:
            message = f"there is no checkpoint {number}"
            raise RelayError(message, remedy="relay checkpoints", code="unknown_checkpoint")
        try:
            return stored_checkpoint(row)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            message = f"checkpoint {number} can't be read: {error!r}"
            raise RelayError(message, remedy="relay checkpoints --check", code=UNREADABLE) from error

    def marks(self, run: str | None = None) -> list[CheckpointMark]:
        """The checkpoints of a run, or of all, oldest first, without what they hold."""
        chosen = "SELECT id, run, at, cause FROM checkpoints WHERE coalesce(run = ?, 1) ORDER BY id"
        return [CheckpointMark._make(row) for row in self._db.execute(chosen, (run,))]

    def labelled(self, label: str, run: str) -> list[int]:
        """The numbers of a run's checkpoints with that label, oldest first."""
        chosen = "SELECT id FROM checkpoints WHERE run = ? AND label = ? ORDER BY id"
        return [int(number) for (number,) in self._db.execute(chosen, (run, storable(label)))]

    def unpinned(self, run: str | None = None) -> list[Unpinned]:
        """The checkpoints of a run, or of all, whose commits have no refs yet, oldest first."""
        rows = self._db.execute("SELECT * FROM unpinned WHERE coalesce(run = ?, 1) ORDER BY checkpoint", (run,))
        return [Unpinned(row["checkpoint"], row["run"], json.loads(row["commits"])) for row in rows]

    def settings(self, run: str) -> tuple[str | None, dict[str, Any]]:
        """The outcome of a run, None for one that goes on, and its options."""
        row = self._db.execute("SELECT outcome, options, format FROM runs WHERE id = ?", (run,)).fetchone()
        return row["outcome"], json.loads(current(Kind.CONFIG, row["options"], row["format"]))

    def known_runs(self) -> set[str]:
        return {str(run) for (run,) in self._db.execute("SELECT id FROM runs")}

    def run(self, name: str) -> Queries:
        """Questions on a run at the same instant."""
        return Queries(self._db, name)

    def put(self, run: str, checkpoint: Checkpoint) -> int:
        """Makes a checkpoint of the run as it is in the database, and gives its number."""
        (seq,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
        return put_checkpoint(self._db, run, int(seq), checkpoint)

    def drop(self, numbers: Iterable[int]) -> None:
        """Removes these checkpoints; their refs are left to the caller."""
        chosen = [(number,) for number in numbers]
        self._db.executemany("DELETE FROM unpinned WHERE checkpoint = ?", chosen)
        self._db.executemany("DELETE FROM checkpoints WHERE id = ?", chosen)


def put_checkpoint(db: sqlite3.Connection, run: str, seq: int, checkpoint: Checkpoint) -> int:
    """Writes the checkpoint of a run as it is in the database, after event `seq`, and gives its number."""
    header, config, format_ = db.execute("SELECT header, options, format FROM runs WHERE id = ?", (run,)).fetchone()
    steps = db.execute("SELECT id, data, format FROM steps WHERE run = ? ORDER BY seq", (run,))
    row = {
        "run": run,
        "event_seq": seq,
        "label": storable(checkpoint.label),
        "at": checkpoint.at,
        "header": current(Kind.HEADER, header, format_),
        "steps": json.dumps([[key, current(Kind.STEP, data, written)] for key, data, written in steps]),
        "commits": json.dumps(checkpoint.commits),
        "config": current(Kind.CONFIG, config, format_),
        "design": checkpoint.design,
        "cause": checkpoint.cause,
        "format": FORMAT,
    }
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    made = db.execute(f"INSERT INTO checkpoints ({names}) VALUES ({marks})", row).lastrowid  # noqa: S608 - names of ours
    pinned = {name: checkpoint.commits[name] for name in checkpoint.pinned}
    if pinned:
        db.execute("INSERT INTO unpinned VALUES (?, ?, ?)", (made, run, json.dumps(pinned)))
    return int(made or 0)
