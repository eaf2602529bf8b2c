"""The two logs of an instance, made from the stream of events: one for machines and one for people.

Each line carries the seq of its event, so a log that was cut short by a crash goes on after its last whole line, and no
event is written twice or left out. The run database stays the truth: logs are not synced to the disk.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

from lib.lean import load_structlog
from lib.logs.logfile import LogFile
from lib.logs.sentences import sentence
from lib.secrets.masking import Masker
from lib.store.rows import EventRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lib.project.paths import Project

ROTATE_BYTES: Final = 10_000_000
_Entry = tuple[EventRow, Any]
_Lines = Callable[[Sequence[_Entry]], bytes]
_BATCH: Final = 500
_JSON_SEQ: Final = re.compile(rb'\A{"seq":(\d+),')
_HUMAN_SEQ: Final = re.compile(rb"  #(\d+)\Z")


class Sinks:
    """Writes `events.jsonl` and `workflow.log`, and remakes what is deleted meanwhile."""

    def __init__(
        self,
        project: Project,
        masker: Masker | None = None,
        *,
        newest_seq: int | None = None,
        rotate_bytes: int = ROTATE_BYTES,
    ) -> None:
        """Touches no file yet.

        `masker` knows the secrets (by default those of the environment). `newest_seq` is the newest of the database:
        a log that is ahead of it belongs to a database that was deleted, and is put aside.
        """
        self._masker = masker or Masker.from_environ()
        self._named = project.named

        def file(name: str, number: re.Pattern[bytes]) -> LogFile:
            path = project.logs / name
            return LogFile(path, root=project.root, number=number, newest=newest_seq, rotate_bytes=rotate_bytes)

        self._files: tuple[tuple[LogFile, _Lines], ...] = (
            (file("events.jsonl", _JSON_SEQ), _json_lines),
            (file("workflow.log", _HUMAN_SEQ), _HumanLines().lines),
        )

    @property
    def last_seq(self) -> int:
        """The seq up to which both logs are complete: what comes after it is to be given to `catch_up`."""
        found = []
        for file, _ in self._files:
            with suppress(OSError):  # catch_up meets it again, and tells
                file.ready()
            found.append(file.cursor)
        return min(found)

    def catch_up(self, rows: Iterable[EventRow]) -> str | None:
        """Writes those of `rows`, all events after `last_seq` in order, that are not written yet.

        Returns what is wrong if a log can't be written; nothing is lost then, as `last_seq` stays where it was.
        """
        masked = [(row, self._masker.masked_data(json.loads(self._named(row.data)))) for row in rows]
        problem = None
        for file, lines in self._files:
            try:
                file.ready()
                new = [entry for entry in masked if entry[0].seq > file.cursor]
                for start in range(0, len(new), _BATCH):
                    batch = new[start : start + _BATCH]
                    file.append(lines(batch), batch[-1][0].seq)
            except OSError as error:
                problem = f"{file.path} can't be written: {error.strerror}"
        return problem

    def close(self) -> None:
        for file, _ in self._files:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _json_lines(batch: Sequence[_Entry]) -> bytes:
    """ASCII only: no terminal is moved by it, no reader of lines finds one that was forged."""
    lines = (json.dumps(row._asdict() | {"data": data}, separators=(",", ":")) + "\n" for row, data in batch)
    return "".join(lines).encode("ascii")


class _HumanLines:
    """The lines of workflow.log, by structlog: its import is late, as it takes 100 ms."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._log: Any = None

    def lines(self, batch: Sequence[_Entry]) -> bytes:
        if self._log is None:
            structlog = load_structlog()
            self._log = structlog.wrap_logger(
                structlog.BytesLogger(self._buffer),
                processors=[_worded, _rendered],
                wrapper_class=structlog.BoundLogger,
            )
        self._buffer.seek(0)
        self._buffer.truncate()
        for row, data in batch:
            self._log.msg(row.kind, seq=row.seq, at=row.at, data=data)
        return self._buffer.getvalue()


def _worded(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    import structlog

    entry["event"] = sentence(entry["event"], entry["data"])
    if entry["event"] is None:
        raise structlog.DropEvent
    return entry


def _rendered(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> bytes:
    line = f"{entry['at'][:19]}Z {entry['event']}  #{entry['seq']}"
    return line.encode(errors="backslashreplace")
