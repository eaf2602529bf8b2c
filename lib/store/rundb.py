"""The run database: every fact of every run of a repository, in SQLite, at `Project.database`.

Several orchestrators write to it at once, and anyone may read meanwhile. What a tick decided is one transaction; when
`RunDB.commit` has returned, it survives `kill -9` and a power cut (WAL with `synchronous=FULL`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Self

from lib.store.checkpoints import Checkpoints, put_checkpoint
from lib.store.migrations import WITH_VIEWS, migrate, show_as_migrated, version_of
from lib.store.queries import Queries
from lib.store.rows import (
    RUN_COLUMNS,
    Checkpoint,
    EventRow,
    JobRow,
    Revision,
    RunRow,
    StepRow,
    Stored,
    StoredCheckpoint,
    Unpinned,
    current,
    event_row,
    json_or_null,
    run_row,
    run_values,
    storable,
)
from lib.store.sqlite import StoreError, connect, connect_readonly, explained
from lib.store.upgrades import FORMAT, Kind

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from lib.project.paths import Project
    from lib.store.history import History

REVISIONS_KEPT: Final = 200
BUSY_TIMEOUT_S: Final = 5.0
#: Events between two times that the index of what was said is brought up: many at once cost less each.
INDEXED_AT_ONCE: Final = 100


class RunDB:
    """The database as one process and thread sees it; a child made by fork must open its own."""

    def __init__(self, path: Path, project: Project | None, connection: sqlite3.Connection | None) -> None:
        """Use `open` or `open_readonly`. Without a connection, each look at the database makes its own."""
        self._path = path
        self._project = project
        self._connection = connection
        self._file = path.stat() if connection else None
        self._pid = os.getpid()

    @classmethod
    def open(cls, project: Project, *, busy_timeout_s: float = BUSY_TIMEOUT_S, may_make: bool = True) -> RunDB:
        """The database for writing, migrated if need be, and made where it is missing and may be.

        Raises `StoreError`, `RelayError` (`database_newer`).
        """
        path = project.database
        with explained(path):
            connection = connect(path, busy_timeout_s=busy_timeout_s, may_make=may_make)
            try:
                migrate(connection, path)
                return cls(path, project, connection)
            except BaseException:
                connection.close()
                raise

    @classmethod
    def open_readonly(cls, path: Path) -> RunDB | None:
        """The database for reading, also while others write; None if there is none. It makes no file.

        Raises `StoreError`, `RelayError` (`database_newer`).
        """
        with explained(path):
            try:
                path.lstat()  # `exists` would take a folder that may not be entered for an empty one
            except FileNotFoundError:
                return None
            with closing(connect_readonly(path)) as connection:
                return cls(path, None, None) if version_of(connection, path) else None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- writing -----------------------------------------------------------------------------------------------------

    def commit(
        self,
        run: str,
        *,
        events: Iterable[tuple[str, str, str]] = (),
        mono_s: float = 0.0,
        header: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        definition: Mapping[str, Any] | None = None,
        steps: Iterable[StepRow] = (),
        jobs: Iterable[JobRow] = (),
        file_bytes: bytes | None = None,
        revision: Revision | None = None,
        problem: Mapping[str, Any] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> int:
        """Writes all that one tick decided, in one transaction, and returns the seq of the newest event of all runs.

        `events` are (at, kind, JSON), all of the instant `mono_s`. `header` is JSON-like, with at least the keys of
        `State` that `RunRow` shows; the first one makes the run, and `problem` is stored with it (None clears). Steps
        and jobs are those that changed. What is not given stays as it was. Raises `StoreError`: nothing was written.
        """
        with self._writing() as db:
            if header is not None:
                self._put_run(db, run, run_values(header, problem))
            if options is not None:
                db.execute("UPDATE runs SET options = ? WHERE id = ?", (json.dumps(options), run))
            if definition is not None:
                db.execute("UPDATE runs SET definition = ? WHERE id = ?", (json.dumps(definition), run))
            if file_bytes is not None:
                db.execute("UPDATE runs SET file_bytes = ? WHERE id = ?", (file_bytes, run))
            db.executemany(
                "INSERT INTO events (run, at, kind, data, mono_s, format) VALUES (?, ?, ?, ?, ?, ?)",
                ((run, *event, mono_s, FORMAT) for event in events),
            )
            db.executemany(
                "INSERT INTO steps (run, id, data, format) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (run, id) DO UPDATE SET data = excluded.data, format = excluded.format",
                ((run, *row, FORMAT) for row in steps),
            )
            db.executemany(
                "INSERT INTO jobs (run, id, dispatch, ended, data, format) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (run, id) DO UPDATE SET dispatch = excluded.dispatch, ended = excluded.ended,"
                " data = excluded.data, format = excluded.format",
                ((run, *row, FORMAT) for row in jobs),
            )
            if revision is not None:
                _put_revision(db, run, revision)
            seq = _newest_seq(db)
            if checkpoint is not None:
                put_checkpoint(db, run, seq, checkpoint)
            _index_if_due(db, seq)
        return seq

    def set_orchestrator(self, run: str, identity: Mapping[str, Any] | None) -> None:
        """Records which process (pid, start_ticks, boot_id) drives the run, or that none does. Raises `StoreError`."""
        with self._writing() as db:
            db.execute("UPDATE runs SET orchestrator = ? WHERE id = ?", (json_or_null(identity), run))

    def note_pinned(self, checkpoints: Iterable[int]) -> None:
        """Records that the commits of these checkpoints have refs. Raises `StoreError`."""
        with self._writing() as db:
            db.executemany("DELETE FROM unpinned WHERE checkpoint = ?", ((checkpoint,) for checkpoint in checkpoints))

    @contextmanager
    def changing_checkpoints(self) -> Iterator[Checkpoints]:
        """The checkpoints, of which all changes are one transaction. Raises `StoreError`."""
        with self._writing() as db:
            yield Checkpoints(db)

    def forget(self, runs: Iterable[str]) -> list[str]:
        """Removes all that is known of runs that are over; gives those that there were. Raises `StoreError`,
        `RelayError` (`no_search`).
        """
        from lib.store.retention import forget

        with self._writing() as db:
            return [run for run in runs if forget(db, run)]

    def _put_run(self, db: sqlite3.Connection, run: str, values: dict[str, Any]) -> None:
        if self._project is None:
            raise RuntimeError("the database was opened for reading only")
        _upgrade_options(db, run)
        row = values | {
            "id": run,
            "instance_key": self._project.instance_dir.name,
            "instance": self._project.instance,
            "root": os.fsencode(self._project.root),
            "options": "{}",
        }
        names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
        changes = ", ".join(f"{name} = excluded.{name}" for name in values)
        insert = f"INSERT INTO runs ({names}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {changes}"  # noqa: S608 - names of ours
        db.execute(insert, row)

    # --- reading -----------------------------------------------------------------------------------------------------

    @contextmanager
    def look(self, run: str) -> Iterator[Queries]:
        """One consistent look at a run, for questions on its steps and jobs. Raises `StoreError`."""
        with self._reading() as db:
            yield Queries(db, run)

    def load(self, run: str) -> Stored:
        """The run as a whole, without its steps and jobs. Raises `RelayError` (`unknown_run`), `StoreError`."""
        with self.look(run) as look:
            return look.stored

    def revisions(self, run: str) -> tuple[Revision, ...]:
        """The newest revisions of a run's state.json, oldest first. Raises `StoreError`."""
        with self.look(run) as look:
            return look.revisions()

    def active_run(self, instance_key: str) -> str | None:
        """The newest run of the instance that has no outcome yet. Raises `StoreError`."""
        return self._newest_run("instance_key = ? AND outcome IS NULL", instance_key)

    def latest_run(self, instance_key: str) -> str | None:
        """The newest run of the instance. Raises `StoreError`."""
        return self._newest_run("instance_key = ?", instance_key)

    def runs(self, *, instance_key: str | None = None, limit: int = 100) -> list[RunRow]:
        """The newest runs first, of all instances or of one. Raises `StoreError`."""
        query = f"SELECT {RUN_COLUMNS} FROM runs WHERE coalesce(instance_key = ?, 1) ORDER BY seq DESC LIMIT ?"  # noqa: S608 - names of ours
        with self._reading() as db:
            return [run_row(row) for row in db.execute(query, (instance_key, limit))]

    @contextmanager
    def history(self) -> Iterator[History]:
        """One consistent look at all runs, for questions on what there was. Raises `StoreError`."""
        from lib.store.history import History

        with self._reading() as db:
            has_views = version_of(db, self._path) >= WITH_VIEWS
            yield History(db, has_views=has_views)

    def events(
        self, run: str, *, after_seq: int = 0, kinds: Sequence[str] = (), newest: int | None = None
    ) -> list[EventRow]:
        """The events of a run in order, or only the `newest` so many of them. Raises `StoreError`."""
        wanted = f" AND kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
        order = "ASC" if newest is None else "DESC"
        query = f"SELECT * FROM events WHERE run = ? AND seq > ?{wanted} ORDER BY seq {order}"  # noqa: S608 - marks of ours
        with self._reading() as db:
            rows = db.execute(f"{query} LIMIT ?", (run, after_seq, *kinds, -1 if newest is None else newest))
            found = [event_row(row) for row in rows]
        return found if newest is None else found[::-1]

    def equal_steps(
        self, content: str, *, besides: str, before: str, name: str, limit: int
    ) -> list[tuple[str, StepRow]]:
        """The done steps with that digest of all runs `besides` one, each with its run: those called `name` first, then
        those that ended last, `before` a time (ISO 8601). Raises `StoreError`.
        """
        with self._reading() as db:
            rows = db.execute(
                "SELECT run, id, data, format FROM steps WHERE content = ? AND status = 'done' AND run != ?"
                " AND ended_day <= julianday(?) ORDER BY id = ? DESC, ended_day DESC, seq DESC LIMIT ?",
                (content, besides, before, name, limit),
            )
            return [(row["run"], StepRow(row["id"], current(Kind.STEP, row["data"], row["format"]))) for row in rows]

    def last_seq(self) -> int:
        """The seq of the newest event of all runs; 0 if there is none. Raises `StoreError`."""
        with self._reading() as db:
            return _newest_seq(db)

    def checkpoints(self, run: str) -> list[StoredCheckpoint]:
        """The checkpoints of a run, oldest first. Raises `StoreError`."""
        with self._reading() as db:
            return Checkpoints(db).of(run)

    @contextmanager
    def look_at_checkpoints(self) -> Iterator[Checkpoints]:
        """One consistent look at the checkpoints. Raises `StoreError`."""
        with self._reading() as db:
            yield Checkpoints(db)

    def unpinned(self, run: str | None = None) -> list[Unpinned]:
        """The checkpoints of a run, or of all, whose commits have no refs yet, oldest first. Raises `StoreError`."""
        with self._reading() as db:
            return Checkpoints(db).unpinned(run)

    def check(self) -> list[str]:
        """Faults that SQLite finds in the file; none if it is sound. Raises `StoreError`."""
        with self._reading() as db:
            found = [str(line) for (line,) in db.execute("PRAGMA quick_check")]
        return [line for line in found if line != "ok"]

    def _newest_run(self, condition: str, instance_key: str) -> str | None:
        query = f"SELECT id FROM runs WHERE {condition} ORDER BY seq DESC LIMIT 1"  # noqa: S608 - conditions of ours
        with self._reading() as db:
            row = db.execute(query, (instance_key,)).fetchone()
        return str(row["id"]) if row else None

    # --- transactions ------------------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with explained(self._path):
            db = self._own_connection()
            if db is None:
                raise RuntimeError("the database was opened for reading only")
            self._refuse_if_gone()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            finally:
                db.rollback()  # does nothing after a commit

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent look."""
        with explained(self._path):
            db = self._own_connection()
            with nullcontext(db) if db else closing(connect_readonly(self._path)) as look:
                if db is None:
                    show_as_migrated(look, version_of(look, self._path))
                look.execute("BEGIN")
                try:
                    yield look
                finally:
                    look.rollback()

    def _refuse_if_gone(self) -> None:
        """SQLite would go on writing to a file that has no name any more."""
        if (
            self._file is None
            or not os.path.lexists(self._path)
            or not os.path.samestat(self._file, self._path.lstat())
        ):
            message = (
                f"the run database {self._path} was deleted or replaced while it was open: put it back and start the "
                f"orchestrator again (relay stop, relay resume), or end the run here; its branches are kept"
            )
            raise StoreError(message, remedy="relay stop && git branch --list 'relay/*'", code="store_gone")

    def _own_connection(self) -> sqlite3.Connection | None:
        if os.getpid() != self._pid:
            raise RuntimeError("a connection to SQLite does not survive a fork; open another one")
        return self._connection


_REVISION: Final = ", ".join(Revision._fields)


def _put_revision(db: sqlite3.Connection, run: str, revision: Revision) -> None:
    row = (run, *revision._replace(feedback=storable(revision.feedback)))
    db.execute(f"INSERT OR REPLACE INTO revisions (run, {_REVISION}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608 - names of ours
    db.execute("DELETE FROM revisions WHERE run = ? AND rev <= ?", (run, revision.rev - REVISIONS_KEPT))


def _upgrade_options(db: sqlite3.Connection, run: str) -> None:
    """Brings the configuration of a run to this format: its row has one format for that and for the header."""
    row = db.execute("SELECT options, format FROM runs WHERE id = ? AND format < ?", (run, FORMAT)).fetchone()
    if row is not None:
        options = current(Kind.CONFIG, row["options"], row["format"])
        db.execute("UPDATE runs SET options = ? WHERE id = ?", (options, run))


def _index_if_due(db: sqlite3.Connection, last: int) -> None:
    (indexed,) = db.execute("SELECT seq FROM indexed").fetchone()
    if last - indexed >= INDEXED_AT_ONCE:
        from lib.store.search import index

        index(db, last)


def _newest_seq(db: sqlite3.Connection) -> int:
    (seq,) = db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
    return int(seq)


__all__ = [
    "Checkpoint",
    "EventRow",
    "JobRow",
    "Revision",
    "RunDB",
    "RunRow",
    "StepRow",
    "StoreError",
    "Stored",
    "StoredCheckpoint",
    "Unpinned",
]
