"""The schema of the run database, and the steps that lead to it. A step that was released is never edited."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from lib.errors import RelayError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def _facts(**paths: str) -> dict[str, str]:
    """SQL for facts of a document, which are null if SQLite can't read it."""
    return {name: f"CASE WHEN json_valid(data) THEN {value} END" for name, value in paths.items()}


#: Facts of a step, and of a job, that queries choose by and count, of documents in the formats 1 and 2. They become
#: computed columns: nobody who writes the document, an earlier version neither, can leave them behind.
_STEP_FACTS: Final = _facts(
    status="json_extract(data, '$.status')",
    stage="json_extract(data, '$.stage')",
    merged="json_extract(data, '$.merged')",
    landed="json_extract(data, '$.landed')",
    verified="json_extract(data, '$.verified')",
    assistant="json_extract(data, '$.assistant')",
    input_tokens="json_extract(data, '$.usage.input_tokens')",
    output_tokens="json_extract(data, '$.usage.output_tokens')",
    cost_usd="json_extract(data, '$.usage.cost_usd')",
    ended_day="julianday(json_extract(data, '$.ended_at'))",
    took_s="(julianday(json_extract(data, '$.ended_at')) - julianday(json_extract(data, '$.started_at'))) * 86400.0",
)
_KIND: Final = _facts(kind="coalesce(json_extract(data, '$.kind'), 'builder')")
#: The digest of the content that decided a step's work, null where nobody may take what it gave.
_CONTENT: Final = _facts(content="nullif(json_extract(data, '$.content'), '')")
_JOB_FACTS: Final = _facts(
    step="coalesce(json_extract(data, '$.spec.step'), json_extract(data, '$.spec.builder'))",
    name="json_extract(data, '$.spec.name')",
)

_FAILURE_FACTS: Final = _facts(
    failed="NOT json_extract(data, '$.result.ok')",
    code="json_extract(data, '$.result.code')",
)


class _WithLater:
    """Statements, and after them those of a module that is imported when they are carried out: to look at one run does
    without it.
    """

    def __init__(self, *statements: str, module: str) -> None:
        self._statements = statements
        self._module = module

    def __iter__(self) -> Iterator[str]:
        yield from self._statements
        yield from import_module(self._module).STATEMENTS


#: Each step is a list of statements; `PRAGMA user_version` counts the steps that a database has had. Small columns come
#: first in `runs`: SQLite then finds them without following the overflow pages of the large ones.
MIGRATIONS: Final[tuple[Iterable[str], ...]] = (
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
    (
        *(f"ALTER TABLE steps ADD COLUMN {name} AS ({value})" for name, value in _STEP_FACTS.items()),
        *(f"ALTER TABLE jobs ADD COLUMN {name} AS ({value})" for name, value in _JOB_FACTS.items()),
        # It has all that is counted and summed, so that no document is read for that.
        """
        CREATE INDEX steps_by_status ON steps (
            run, status, stage, merged, landed, verified, assistant, input_tokens, output_tokens, cost_usd, took_s
        )
        """,
        "CREATE INDEX steps_by_end ON steps (run, ended_day, status)",
        "CREATE INDEX jobs_by_step ON jobs (run, step)",
        "CREATE INDEX jobs_live ON jobs (run) WHERE NOT ended",
    ),
    (
        *(f"ALTER TABLE steps ADD COLUMN {name} AS ({value})" for name, value in _KIND.items()),
        "DROP INDEX steps_by_status",
        """
        CREATE INDEX steps_by_status ON steps (
            run, kind, status, stage, merged, landed, verified, assistant, input_tokens, output_tokens, cost_usd, took_s
        )
        """,
        "ALTER TABLE runs ADD COLUMN definition TEXT",
    ),
    _WithLater(
        *(f"ALTER TABLE jobs ADD COLUMN {name} AS ({value})" for name, value in _FAILURE_FACTS.items()),
        "CREATE INDEX jobs_failed ON jobs (run, step, code) WHERE failed",
        module="lib.store.views",
    ),
    (
        "ALTER TABLE checkpoints ADD COLUMN cause TEXT NOT NULL DEFAULT 'transition'",
        "DROP INDEX checkpoints_by_run",
        # It has all that pruning asks for: the rows themselves are long.
        "CREATE INDEX checkpoints_by_run ON checkpoints (run, at, cause)",
    ),
    (
        *(f"ALTER TABLE steps ADD COLUMN {name} AS ({value})" for name, value in _CONTENT.items()),
        "CREATE INDEX steps_by_content ON steps (content) WHERE content IS NOT NULL",
    ),
)
VERSION: Final = len(MIGRATIONS)
#: The first version with the views of `lib.store.views`.
WITH_VIEWS: Final = 5
#: The first version with the causes of checkpoints.
_WITH_CAUSES: Final = 6
#: The last versions without columns for the facts of steps and jobs, and without kinds of steps.
_WITHOUT_FACTS: Final = 2
_WITHOUT_KINDS: Final = 3


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
    (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
    import_module("lib.store.search").index(connection, last)  # what is there already
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def show_as_migrated(connection: sqlite3.Connection, version: int) -> None:
    """Gives a reader of an older schema that of this version, by views that only this connection has."""
    if version == VERSION:
        return
    shown = {"steps": _shown(_CONTENT)}
    if version < _WITH_CAUSES:
        shown["checkpoints"] = ["'transition' AS cause"]
    if version < WITH_VIEWS:
        shown["jobs"] = _shown(_FAILURE_FACTS)
    if version <= _WITHOUT_KINDS:
        shown["runs"] = ["NULL AS definition"]
        shown["steps"] += _shown(_KIND)
    if version <= _WITHOUT_FACTS:
        shown["steps"] += _shown(_STEP_FACTS)
        shown["jobs"] += _shown(_JOB_FACTS)
    tables = {name: name for name in shown}
    if version == 1:
        tables |= {"steps": "builders", "events": "events"}
        shown["events"] = ["0.0 AS mono_s"]
        shown["checkpoints"] += ["builders AS steps", "NULL AS config", "NULL AS design"]
        shown = {name: [*more, "1 AS format"] for name, more in shown.items()}
        connection.execute(
            "CREATE TEMP VIEW unpinned AS SELECT id AS checkpoint, run, commits FROM main.checkpoints WHERE 0"
        )
    for name, table in tables.items():
        columns = ", ".join(["*", *shown[name]])
        connection.execute(f"CREATE TEMP VIEW {name} AS SELECT {columns} FROM main.{table}")  # noqa: S608 - names of ours


def _shown(facts: dict[str, str]) -> list[str]:
    return [f"{value} AS {name}" for name, value in facts.items()]
