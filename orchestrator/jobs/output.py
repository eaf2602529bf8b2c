"""Progress of running turns, read from their output as it grows: conditions, and tokens and cost so far."""

from __future__ import annotations

import contextlib
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from lib.assistants import LineReader, Tally, asks
from lib.contracts import Assistant, AssistantEvent
from lib.files.safe_read import NotPlainError, open_plain
from lib.jobs import Condition, Progress
from lib.model import Now

if TYPE_CHECKING:
    from inotify_simple import INotify

#: Most bytes of one turn's output that are read in one tick: the loop has others to look after.
READ_BYTES = 1 << 20
#: Most lines of it that one look takes in, and how much may be unread before the middle of it is left out.
LOOK_LINES = 10_000
BEHIND_BYTES = 16 << 20
REASON_CHARS = 300
#: How soon after a look at the output the next one follows at the earliest: a flood must not keep the loop busy.
LOOK_AGAIN_S = 0.05

_ANSWERS = frozenset({"text", "tool_start", "tool_end", "file_change"})


class TurnReader:
    """Follows the standard output of one turn. `stuck_since_mono_s` is when its condition began."""

    def __init__(self, file: Path, assistant: Assistant, instant: Now) -> None:
        self.file = file
        self._assistant = assistant
        self._lines = LineReader()
        self._tally = Tally()
        self._offset = 0
        self.progress = Progress()
        self.stuck_since_mono_s = instant.mono_s

    def read(self, instant: Now) -> bool:
        """Takes in what is new; whether there is more."""
        try:
            descriptor = open_plain(self.file)
        except (FileNotFoundError, NotPlainError):  # a builder may have put anything there
            return False
        with os.fdopen(descriptor, "rb") as stream:
            data, more = self._new(stream)
        before = self.progress
        for line in self._lines.feed(data):
            for event in self._assistant.read(line):
                self._take(event, instant.wall)
        if (partial := self._lines.partial) and asks(partial):
            self._set(Condition.ASKING, partial)
        self.progress = self.progress.model_copy(update={"usage": self._tally.usage})
        if self.progress.condition is not before.condition:
            self.stuck_since_mono_s = instant.mono_s
        return more

    def _new(self, stream: BinaryIO) -> tuple[bytes, bool]:
        """The new output, or so much of it as one look can take in; whether there is more.

        Of what is printed faster than it can be read, the middle is left out.
        """
        size = os.fstat(stream.fileno()).st_size
        if size - self._offset > BEHIND_BYTES:
            self._lines = LineReader()
            stream.seek(size - READ_BYTES)
            stream.readline()
            self._offset = stream.tell()
        stream.seek(self._offset)
        data = stream.read(READ_BYTES)
        if data.count(b"\n") > LOOK_LINES:
            data = b"".join(line + b"\n" for line in data.split(b"\n", LOOK_LINES)[:-1])
        self._offset += len(data)
        return data, self._offset < size

    def _take(self, event: AssistantEvent, at: datetime) -> None:
        self._tally.add(event)
        match event.kind:
            case "retrying":
                condition = Condition.RATE_LIMITED if event.error == "rate_limit" else Condition.RETRYING
                delay = timedelta(seconds=event.delay_s) if event.delay_s is not None else None
                self._set(condition, event.text, event.error, event.retry_at or (at + delay if delay else None))
            case "asking":
                self._set(Condition.ASKING, event.text)
            case "finished":
                self.progress = self.progress.model_copy(update={"ended": True})
            case _ if event.error:  # words of an error, which are no answer
                pass
            case "started" | "denied" | "text" | "tool_start" | "tool_end" | "file_change":
                self._set(Condition.WORKING, answered=self.progress.answered or event.kind in _ANSWERS)

    def _set(
        self, condition: Condition, reason: str = "", code: str = "", until: datetime | None = None,
        *, answered: bool | None = None,
    ) -> None:  # fmt: skip
        shown = " ".join(reason.split())[-REASON_CHARS:]
        changes: dict[str, Any] = {"condition": condition, "reason": shown, "code": code, "until": until}
        if answered is not None:
            changes["answered"] = answered
        self.progress = self.progress.model_copy(update=changes)


class OutputWatch:
    """Watches output files with inotify(7) for growth. A hint only, and None where there is no inotify."""

    def __init__(self) -> None:
        self._notifier: INotify | None = None
        self._marks: dict[Path, int] = {}
        with contextlib.suppress(OSError, ImportError):
            from inotify_simple import INotify

            self._notifier = INotify(nonblocking=True)

    @property
    def fd(self) -> int | None:
        return self._notifier.fileno() if self._notifier else None

    def follow(self, files: set[Path]) -> None:
        """Watches these files, and no others."""
        if self._notifier is None:
            return
        from inotify_simple import flags

        for file in self._marks.keys() - files:
            with contextlib.suppress(OSError):  # a file that was deleted took its watch along
                self._notifier.rm_watch(self._marks.pop(file))
        for file in files - self._marks.keys():
            with contextlib.suppress(OSError):  # not there yet, or no watch to be had: polling goes on
                self._marks[file] = self._notifier.add_watch(file, flags.MODIFY)

    def drain(self) -> None:
        if self._notifier is not None:
            self._notifier.read(timeout=0)
