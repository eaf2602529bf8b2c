"""The last thing that a job printed, as a sign of life: best effort, from the end of its output file."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from lib.files.safe_read import NotPlainError, open_plain

if TYPE_CHECKING:
    from pathlib import Path

_TAIL_BYTES: Final = 4096
_DEPTH: Final = 6
#: Where the event streams of assistants have words that mean something to a person, the most telling first.
_TELLING: Final = ("text", "command", "file_path", "path", "content")
#: What others told the assistant.
_NOT_ITS_OWN: Final = frozenset({"user", "system", "tool_result"})


def last_line(file: Path) -> str:
    """The last line of `file` that says something, or nothing. Of a stream of JSON events, the words in them.

    A builder may have put anything there: only a plain file is read, and no more than its last 4 KB.
    """
    text = _tail(file).decode("utf-8", errors="replace")
    for line in reversed(text.splitlines()):
        words = _said(line) if line.startswith("{") else line
        if words.strip():
            return words.strip().splitlines()[-1]
    return ""


def _tail(file: Path) -> bytes:
    """The last whole lines."""
    try:
        descriptor = open_plain(file)
    except (OSError, NotPlainError):  # it has printed nothing yet, or it is no file of ours
        return b""
    try:
        start = max(0, os.fstat(descriptor).st_size - _TAIL_BYTES)
        tail = os.pread(descriptor, _TAIL_BYTES, start)
    finally:
        os.close(descriptor)
    return tail.partition(b"\n")[2] if start and b"\n" in tail else tail


def _said(line: str) -> str:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    if event.get("type") in _NOT_ITS_OWN or event.get("role") in _NOT_ITS_OWN:
        return ""
    return next((words for key in _TELLING if (words := _found(event, key, _DEPTH))), "")


def _found(data: Any, key: str, depth: int) -> str:  # noqa: ANN401 - JSON can be anything
    """The first words under `key`, at most `depth` levels down."""
    if isinstance(data, dict):
        own = data.get(key)
        if isinstance(own, str) and own.strip():
            return own
        data = list(data.values())
    if not isinstance(data, list) or not depth:
        return ""
    return next((words for value in data if (words := _found(value, key, depth - 1))), "")
