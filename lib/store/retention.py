"""Removing the rows of a run from the run database, with what is searched of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lib.store.search import unindex

if TYPE_CHECKING:
    import sqlite3


def forget(db: sqlite3.Connection, run: str) -> bool:
    """Removes all rows of a run that is over, within the caller's transaction; False if there is no such run.

    Raises `RelayError` (`no_search`) where its texts are indexed and this SQLite has no FTS5.
    """
    if db.execute("SELECT 1 FROM runs WHERE id = ? AND outcome IS NOT NULL", (run,)).fetchone() is None:
        return False
    unindex(db, run)
    db.execute("DELETE FROM unpinned WHERE run = ?", (run,))
    db.execute("DELETE FROM checkpoints WHERE run = ?", (run,))
    db.execute("DELETE FROM events WHERE run = ?", (run,))
    db.execute("DELETE FROM jobs WHERE run = ?", (run,))
    db.execute("DELETE FROM steps WHERE run = ?", (run,))
    db.execute("DELETE FROM revisions WHERE run = ?", (run,))
    db.execute("DELETE FROM runs WHERE id = ?", (run,))
    return True
