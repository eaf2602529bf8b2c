"""The schema of the run database, and the steps that lead to it. A step that was released is never edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lib.errors import RelayError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

#: Each step is a list of statements; `PRAGMA user_version` counts the steps that a database has had. Small columns come
#: first in `runs`: SQLite then finds them without following the overflow pages of the large ones.
MIGRATIONS: Final = (
    (
        """
        CREATE TABLE runs (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            instance_key TEXT NOT NULL,
            instance TEXT NOT NULL,
            root BLOB NOT NULL,
            workflow TEXT NOT NULL,
            phase TEXT NOT NULL,
            owner TEXT NOT NULL,
            action TEXT NOT NULL,
            paused INTEGER NOT NULL,
            outcome TEXT,
            rev INTEGER NOT NULL,
            created_at TEXT NOT NULL,
            updated_at TEXT NOT NULL,
            orchestrator TEXT,
            problem TEXT,
            requirement TEXT NOT NULL,
            header TEXT NOT NULL,
            options TEXT NOT NULL,
            file_bytes BLOB
        )
        """,
        "CREATE INDEX runs_by_instance ON runs (instance_key, outcome)",
        """
        CREATE TABLE builders (
            seq INTEGER PRIMARY KEY,
            run TEXT NOT NULL REFERENCES runs (id),
            id TEXT NOT NULL,
            data TEXT NOT NULL,
            UNIQUE (run, id)
        )
        """,
        """
        CREATE TABLE jobs (
            seq INTEGER PRIMARY KEY,
            run TEXT NOT NULL REFERENCES runs (id),
            id TEXT NOT NULL,
            dispatch INTEGER NOT NULL,
            ended INTEGER NOT NULL,
            data TEXT NOT NULL,
            UNIQUE (run, id)
        )
        """,
        """
        CREATE TABLE events (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            run TEXT NOT NULL REFERENCES runs (id),
            at TEXT NOT NULL,
            kind TEXT NOT NULL,
            data TEXT NOT NULL
        )
        """,
        "CREATE INDEX events_by_run ON events (run)",
        """
        CREATE TABLE revisions (
            run TEXT NOT NULL REFERENCES runs (id),
            rev INTEGER NOT NULL,
            sha256 TEXT NOT NULL,
            phase TEXT NOT NULL,
            owner TEXT NOT NULL,
            action TEXT NOT NULL,
            feedback TEXT NOT NULL,
            paused INTEGER NOT NULL,
            PRIMARY KEY (run, rev)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE checkpoints (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            run TEXT NOT NULL REFERENCES runs (id),
            event_seq INTEGER NOT NULL,
            label TEXT NOT NULL,
            at TEXT NOT NULL,
            header TEXT NOT NULL,
            builders TEXT NOT NULL,
            commits TEXT NOT NULL
        )
        """,
        "CREATE INDEX checkpoints_by_run ON checkpoints (run)",
    ),
    (
        "ALTER TABLE builders RENAME TO steps",
        "ALTER TABLE runs ADD COLUMN format INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE steps ADD COLUMN format INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE jobs ADD COLUMN format INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE events ADD COLUMN format INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE checkpoints ADD COLUMN format INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE checkpoints RENAME COLUMN builders TO steps",
        "ALTER TABLE events ADD COLUMN mono_s REAL NOT NULL DEFAULT 0.0",
        "ALTER TABLE checkpoints ADD COLUMN config TEXT",
        "ALTER TABLE checkpoints ADD COLUMN design TEXT",
        # A row goes once its commits have refs: a row of `checkpoints` is too long to be written twice.
        """
        CREATE TABLE unpinned (
            checkpoint INTEGER PRIMARY KEY REFERENCES checkpoints (id),
            run TEXT NOT NULL REFERENCES runs (id),
            commits TEXT NOT NULL
        )
        """,
    ),
)
VERSION: Final = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version of an open database; 0 is one that nothing was ever written to.

    Raises `RelayError` (`database_newer`).
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        message = f"{path} has schema {version}, written by a newer Relay; this one knows up to {VERSION}"
        raise RelayError(message, remedy="pipx upgrade relay-orchestrator", code="database_newer")
    return int(version)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Brings the database to `VERSION` in one transaction, so that nobody ever sees half a schema."""
    if version_of(connection, path) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    for step in MIGRATIONS[version_of(connection, path) :]:  # another process may have done it before the lock was ours
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def show_as_migrated(connection: sqlite3.Connection, version: int) -> None:
    """Gives a reader of an older schema that of this version, by views that only this connection has."""
    if version == 1:
        for table, old, more in (
            ("runs", "runs", ""),
            ("steps", "builders", ""),
            ("jobs", "jobs", ""),
            ("events", "events", ", 0.0 AS mono_s"),
            ("checkpoints", "checkpoints", ", builders AS steps, NULL AS config, NULL AS design"),
        ):
            connection.execute(f"CREATE TEMP VIEW {table} AS SELECT *, 1 AS format{more} FROM main.{old}")  # noqa: S608 - names of ours
        connection.execute(
            "CREATE TEMP VIEW unpinned AS SELECT id AS checkpoint, run, commits FROM checkpoints WHERE 0"
        )
