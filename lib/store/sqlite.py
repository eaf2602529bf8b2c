"""Opening SQLite files safely, and saying what is wrong with one in words that help."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import time
from contextlib import contextmanager
from errno import EACCES, EDQUOT, ENOSPC, EPERM, EROFS
from typing import TYPE_CHECKING, Final

from lib.errors import UnreadableError
from lib.names import quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: The code of an error about a file that only another one can mend.
CORRUPT: Final = "store_corrupt"
#: Primary result codes (https://www.sqlite.org/rescode.html) that the user can mend: our code, the reason, the remedy.
_CAUSES: Final = {
    sqlite3.SQLITE_FULL: ("store_full", "no space is left", "df -h {folder}"),
    sqlite3.SQLITE_IOERR: ("store_io", "the disk reports an error, or is full", "df -h {folder}"),
    sqlite3.SQLITE_READONLY: ("store_readonly", "it is read-only", "ls -ld {folder} {file}"),
    sqlite3.SQLITE_PERM: ("store_readonly", "access is denied", "ls -ld {folder} {file}"),
    sqlite3.SQLITE_CANTOPEN: ("store_readonly", "it can't be opened", "ls -ld {folder} {file}"),
    sqlite3.SQLITE_BUSY: ("store_busy", "another process keeps it locked", "fuser -v {file}"),
    sqlite3.SQLITE_LOCKED: ("store_busy", "another process keeps it locked", "fuser -v {file}"),
    sqlite3.SQLITE_CORRUPT: (CORRUPT, "it is damaged", "relay doctor"),
    sqlite3.SQLITE_NOTADB: (CORRUPT, "it is not a database", "relay doctor"),
}
_PRIMARY_CODE: Final = 0xFF
_PAUSE_S: Final = 0.01


class StoreError(UnreadableError):
    """The run database can't be read or written just now; what it held before is intact.

    `code` is `store_full`, `store_io`, `store_readonly`, `store_busy`, `store_corrupt`, `store_gone` or
    `store_refused`. The same call may be made again once the cause is mended.
    """


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns errors of SQLite and of the file system about `path` into `StoreError`; what remains is a bug."""
    try:
        yield
    except sqlite3.Error as error:
        primary = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
        if primary not in _CAUSES:
            raise
        raise _store_error(path, primary, str(error)) from error
    except OSError as error:
        raise _store_error(path, _like(error.errno), str(error.strerror)) from error


def connect(path: Path, *, busy_timeout_s: float, may_make: bool = True) -> sqlite3.Connection:
    """A connection for durable writing, in autocommit mode. File and folder are made if they may be.

    Raises `StoreError`, `sqlite3.Error`, `OSError`.
    """
    _refuse_unsafe(path)
    if may_make and not path.parent.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with _opened(path.parent.parent) as descriptor:
            os.fsync(descriptor)
    place = f"{path.absolute().as_uri()}?mode={'rwc' if may_make else 'rw'}"
    connection = sqlite3.connect(place, uri=True, timeout=busy_timeout_s, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            with _opened(path.parent) as descriptor:
                _lock(descriptor, busy_timeout_s)  # two that switch at once fail without waiting for each other
                connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _lock(descriptor: int, timeout_s: float) -> None:
    """Takes the lock on a folder. Raises `sqlite3.OperationalError` when somebody else keeps it."""
    deadline_mono_s = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline_mono_s:
                busy = sqlite3.OperationalError("the folder is locked")
                busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
                raise busy from None
            time.sleep(_PAUSE_S)
        else:
            return


def connect_readonly(path: Path) -> sqlite3.Connection:
    """A connection for one look. It makes no file, and must not outlive that look.

    A database in WAL mode that nobody has open is one file, and SQLite would make the other two to read it. It is
    `immutable` then, as nobody writes: whoever starts to makes the `-wal` first, and leaves the main file alone for the
    first thousand pages. An immutable connection would take no notice of that, hence the one look.
    """
    _refuse_unsafe(path)
    at_rest = not path.with_name(f"{path.name}-wal").exists()
    mode = "?mode=ro&immutable=1" if at_rest else "?mode=ro"
    connection = sqlite3.connect(path.absolute().as_uri() + mode, uri=True, timeout=1, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def _refuse_unsafe(path: Path) -> None:
    """A link would lead writes elsewhere, and a FIFO would hang."""
    names = (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal")
    for candidate in (path.parent, *map(path.with_name, names)):
        try:
            mode = candidate.lstat().st_mode
        except FileNotFoundError:
            continue
        if not (stat.S_ISDIR(mode) if candidate == path.parent else stat.S_ISREG(mode)):
            message = f"{candidate} is not a plain {'folder' if candidate == path.parent else 'file'}; it is not used"
            raise StoreError(message, remedy=f"ls -ld {quote(str(candidate))}", code="store_refused")


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _like(errno: int | None) -> int:
    """The result code of SQLite that says the same."""
    if errno in {ENOSPC, EDQUOT}:
        return sqlite3.SQLITE_FULL
    return sqlite3.SQLITE_READONLY if errno in {EACCES, EPERM, EROFS} else sqlite3.SQLITE_IOERR


def _store_error(path: Path, primary: int, words: str) -> StoreError:
    code, reason, remedy = _CAUSES[primary]
    places = {"folder": quote(str(path.parent)), "file": quote(str(path))}
    kept = "branches and worktrees are as they were" if code == CORRUPT else "nothing that it held is lost"
    message = f"the run database {path} can't be used: {reason} ({words}); {kept}"
    return StoreError(message, remedy=remedy.format_map(places), code=code)
