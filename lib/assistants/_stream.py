"""Lines out of bytes that arrive in pieces, torn, huge or not UTF-8 as an assistant may print them."""

from __future__ import annotations

import json
from contextlib import suppress

#: A longer line is dropped whole: what it begins with could not be parsed, and what is in its middle must not be.
MAX_LINE_BYTES = 10_000_000


def side_lines(data: bytes) -> list[str]:
    """The lines of what a program wrote beside its output: a single JSON document as one, others as they are."""
    with suppress(ValueError, RecursionError):
        data = json.dumps(json.loads(data)).encode()
    reader = LineReader()
    return [*reader.feed(data), *reader.close()]


class LineReader:
    """Gives each line once it is complete. `partial` is the beginning of the one that is not."""

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._held = bytearray()
        self._dropping = False

    def feed(self, data: bytes) -> list[str]:
        lines = []
        *complete, rest = data.split(b"\n")
        for piece in complete:
            self._hold(piece)
            if not self._dropping:
                lines.append(_text(self._held))
            self._held.clear()
            self._dropping = False
        self._hold(rest)
        return lines

    @property
    def partial(self) -> str:
        return _text(self._held)

    def close(self) -> list[str]:
        """The last line, if it ended without a line feed."""
        last = self.partial
        self._held.clear()
        return [last] if last else []

    def _hold(self, piece: bytes) -> None:
        self._dropping = self._dropping or len(self._held) + len(piece) > self._max_bytes
        if self._dropping:
            self._held.clear()
        else:
            self._held += piece


def _text(line: bytes | bytearray) -> str:
    return line.decode("utf-8", errors="replace").rstrip("\r")
