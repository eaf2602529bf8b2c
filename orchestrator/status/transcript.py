"""Output of a job, made readable: an assistant's words, tools and changed files instead of its stream of events."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lib.assistants import LineReader, resolve
from lib.contracts import Assistant, AssistantEvent
from lib.display import escaped
from lib.errors import RelayError
from lib.files.safe_read import NotPlainError, open_plain
from lib.jobs import Job
from lib.secrets.masking import Masker

#: How an event that is no text begins.
_SIGNS: Final = {
    "tool_start": "→ ",
    "file_change": "± ",
    "retrying": "! tries again: ",
    "denied": "! was not allowed: ",
    "asking": "? asks: ",
}
_TAIL_BYTES: Final = 8_000_000


class Transcript:
    """One job's output, read as it grows; each line is masked and escaped."""

    def __init__(self, job: Job, folder: Path, masker: Masker, settings: Mapping[str, Any], *, raw: bool) -> None:
        self.job = job
        self._masker = masker
        self._adapter = None if raw else _adapter(job, settings)
        self._files = {folder / name: _Reading(folder / name) for name in ("output.log", "stderr.log")}
        self._said = ""
        self.ended = False

    def head(self) -> list[str]:
        """The job in a line, and of a command the command."""
        spec = self.job.spec
        who = spec.step or (spec.worktree if self.job.command else "") or "run"
        facts = [who, spec.name.replace("_", " ") + (f" by {self.job.assistant}" if self.job.assistant else "")]
        facts += [f"attempt {self.job.attempt}"] if spec.step else []
        lines = [f"── {' · '.join(facts)} ──", *([f"$ {self.job.command}"] if self.job.command else [])]
        return [escaped(self._masker.masked(line)) for line in lines]

    def foot(self) -> list[str]:
        """A line on the end of the job, if it did not end well."""
        result = self.job.result
        if result is None or result.ok:
            return []
        reason = ": ".join(part for part in (result.code.replace("_", " "), result.message) if part)
        return [escaped(self._masker.masked(f"── failed: {reason or result.exit_status} ──"))]

    def more(self) -> Iterator[str]:
        """The lines that came since the last call; of a job that has ended, all that is left."""
        over = self.job.result is not None
        for file, reading in self._files.items():
            lines = [*reading.lines(), *(reading.reader.close() if over else ())]
            for line in lines:
                told = self._readable(line) if file.name == "output.log" else [line]
                yield from (self._shown(part) for part in told)
        self.ended = over

    def partial(self) -> list[str]:
        """The beginning of the last line."""
        text = next(iter(self._files.values())).reader.partial
        if self.ended or not text or (self._adapter is not None and text.startswith("{")):
            return []
        return [self._shown(text)]

    def _shown(self, text: str) -> str:
        return escaped(self._masker.masked(text))

    def _readable(self, line: str) -> list[str]:
        if self._adapter is None:
            return [line]
        events = self._adapter.read(line)
        if not events:
            return [] if line.startswith("{") or not line.strip() else [line]
        return [part for event in events for part in self._lines(event)]

    def _lines(self, event: AssistantEvent) -> Sequence[str]:
        if event.kind == "text" or (event.kind == "finished" and event.text != self._said):
            self._said = event.text
            return event.text.splitlines()
        if event.kind == "tool_end":
            return [] if event.ok is not False else [f"✗ {event.text}"]
        sign = _SIGNS.get(event.kind)
        return [] if sign is None else [f"{sign}{' '.join(event.text.split())}"]


class _Reading:
    """A file that is being written, from the last part of it that is worth reading."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset: int | None = None
        self.reader = LineReader()

    def lines(self) -> list[str]:
        try:
            with os.fdopen(open_plain(self._file), "rb") as stream:
                size = stream.seek(0, 2)
                if self._offset is None or size < self._offset:
                    self._offset = max(0, size - _TAIL_BYTES)
                    stream.seek(self._offset)
                    skipped = stream.readline() if self._offset else b""
                    self._offset += len(skipped)
                stream.seek(self._offset)
                data = stream.read(size - self._offset)
        except (FileNotFoundError, NotPlainError):  # a builder may have put anything there
            return []
        self._offset += len(data)
        return self.reader.feed(data)


def _adapter(job: Job, settings: Mapping[str, Any]) -> Assistant | None:
    """The adapter that reads what the job's assistant prints; None if that is not known here."""
    if job.turn is None:
        return None
    try:
        return resolve(job.assistant, settings)
    except RelayError:
        return None
