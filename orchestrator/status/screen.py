"""Output for a terminal: colour, tables, bars, wrapped text. All widths are terminal columns.

Text is drawn with Unicode glyphs, and brought to what a stream can show by `Look.fit` alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple, TextIO

from lib.display import clip, escaped, width
from lib.names import shown
from lib.spelling import EDITOR, RELAY, called, editing, spelled

#: Of a terminal that does not tell its size.
_COLUMNS: Final = 80
_ROWS: Final = 40
#: Of what is piped: room for all, as nothing that a program reads may be cut.
PIPED: Final = 1_000_000
_LEAST_COLUMNS: Final = 40
_LEAST_CELL: Final = 6
_GAP: Final = "  "

_CODES: Final = {
    "bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "magenta": "35", "cyan": "36",
}  # fmt: skip
#: For streams whose encoding has no such glyphs: one character for each, so that no column moves.
_PLAIN: Final = str.maketrans("✓✗●◆○‖↻→▸█▒░…·", "+x*?o=~>>#:.~-")
_GLYPHS: Final = "✓✗●◆‖↻→█▒░…"


class Look(NamedTuple):
    """Properties of a stream that shows text: its size, colour, encoding, and how commands are typed here."""

    columns: int = _COLUMNS
    rows: int = _ROWS
    colour: bool = False
    encoding: str = "utf-8"
    program: str = RELAY
    editor: str = EDITOR

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str] = os.environ, *, colour: bool = True) -> Look:
        """The look of `stream`; `colour` False is a person's wish for none."""
        columns, rows = PIPED, PIPED
        if stream.isatty():
            size = os.get_terminal_size(stream.fileno())
            columns, rows = size.columns or _COLUMNS, size.lines or _ROWS  # a serial line tells 0
        painted = colour and has_colour(stream, environ)
        return cls(max(columns, _LEAST_COLUMNS), rows, painted, stream.encoding or "ascii", called(), editing())

    def spelled(self, text: str) -> str:
        """The text with its commands as they can be typed here."""
        return spelled(text, self.program, self.editor)

    def fit(self, text: str) -> str:
        """The text, with what the encoding lacks escaped."""
        try:
            _GLYPHS.encode(self.encoding)
        except UnicodeEncodeError:
            text = text.translate(_PLAIN)
        return shown(text).encode(self.encoding, errors="backslashreplace").decode(self.encoding)

    def paint(self, text: str, style: str) -> str:
        return paint(text, style, colour=self.colour)


def say(text: str) -> None:
    """Writes lines to standard output at once, with what its encoding lacks escaped. Raises `BrokenPipeError`."""
    sys.stdout.write(Look.of(sys.stdout).fit(f"{text}\n"))
    sys.stdout.flush()


def has_colour(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Colour is for terminals; `NO_COLOR` (https://no-color.org) and `TERM=dumb` say no."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb" and stream.isatty()


def terminal_width() -> int:
    """Columns of standard output; no limit when it is piped."""
    return Look.of(sys.stdout).columns


def paint(text: str, style: str, *, colour: bool | None = None) -> str:
    """The text in a style: any of bold, dim, red, green, yellow, blue, magenta, cyan, with spaces between.

    Without `colour` it is as standard output takes it.
    """
    shown = has_colour(sys.stdout) if colour is None else colour
    if not (shown and style and text):
        return text
    return f"\x1b[{';'.join(_CODES[name] for name in style.split())}m{text}\x1b[0m"


def padded(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


def columns(rows: Sequence[Sequence[str]], total: int) -> list[list[str]]:
    """The cells, escaped, clipped and padded so that each row with gaps takes at most `total` columns.

    The last column gives way first, then the widest. Nothing is narrower than 6, however small `total` is.
    """
    cells = [[escaped(cell) for cell in row] for row in rows]
    sizes = [max(map(width, column)) for column in zip(*cells, strict=True)]
    over = sum(sizes) + len(_GAP) * (len(sizes) - 1) - total
    if over > 0:
        given = max(0, min(over, sizes[-1] - 2 * _LEAST_CELL))
        sizes[-1] -= given
        for _ in range(over - given):
            widest = sizes.index(max(sizes))
            sizes[widest] = max(sizes[widest] - 1, _LEAST_CELL)
    return [[padded(clip(cell, size), size) for cell, size in zip(row, sizes, strict=True)] for row in cells]


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """A table for people, in at most `width` columns, with its header dimmed where standard output has colour."""
    head, *body = (_GAP.join(row).rstrip() for row in columns([headers, *rows], width))
    return "\n".join([paint(head, "dim"), *body])


def bar(done: int, total: int, width: int, *, active: int = 0) -> str:
    """A bar of `width` columns: what is done, then what is at work, then the rest."""
    if total <= 0:
        return "░" * width
    full = width * done // total
    busy = min(width - full, -(-width * active // total))
    return "█" * full + "▒" * busy + "░" * (width - full - busy)


def ago(seconds: float) -> str:
    """A span of time in at most six columns: `8s`, `2m05s`, `3h07m`, `12d4h`."""
    whole = max(0, int(seconds))
    for size, unit, part, name in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size}{unit}{rest:02d}{name}" if unit != "d" else f"{whole // size}d{rest}h"
    return f"{whole}s"


def spent(tokens: int, cost_usd: float) -> str:
    """The cost in US dollars where it is known, else the tokens, in few columns; empty if neither is."""
    return f"${cost_usd:.2f}" if cost_usd else thousands(tokens) if tokens else ""


def thousands(count: int) -> str:
    """A count in few columns: `7`, `1.2k`, `3.4M`."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return str(count)


def wrapped(text: str, columns: int, most: int | None = None) -> list[str]:
    """The text, escaped, in lines of at most `columns`; a path stays whole, so that it can be copied.

    With `most`, only so many lines of it; what comes after them costs nothing.
    """
    return list(islice(_lines(text, columns), most))


def _lines(text: str, columns: int) -> Iterator[str]:
    for paragraph in text.strip().splitlines():
        line = ""
        for word in escaped(paragraph).split():
            for piece in [word] if "/" in word else _pieces(word, columns):
                if line and width(line) + 1 + width(piece) > columns:
                    yield line
                    line = ""
                line = f"{line} {piece}" if line else piece
        yield line


def _pieces(word: str, columns: int) -> Iterator[str]:
    """The word in parts of at most `columns`, each character looked at once."""
    begin, used = 0, 0
    for at, char in enumerate(word):
        size = width(char)
        if used + size > columns and at > begin:
            yield word[begin:at]
            begin, used = at, 0
        used += size
    yield word[begin:]


def error_block(message: str, remedy: str) -> str:
    """An error as every command shows it on standard error: what is wrong, and what to type."""
    look = Look.of(sys.stderr)
    prose = look.columns if look.columns < PIPED else _COLUMNS
    text = "\n       ".join(wrapped(look.spelled(message), prose - 7))
    lines = [f"{look.paint('error:', 'bold red')} {text}"]
    if remedy:
        lines.append(f"  {look.paint('try:', 'bold')} {escaped(look.spelled(remedy))}")
    return look.fit("\n".join(lines))
