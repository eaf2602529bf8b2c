"""Secrets in a stream of bytes, replaced by their names.

It is loaded once for each job, by `lib.secrets.scribe`, so it imports regular expressions only when they are needed.
"""

from __future__ import annotations

TYPE_CHECKING = False  # that of typing, which takes as long to import as all of Python
if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Final

#: Where a token begins: no word before it, but for the letter of an escape in JSON (`\nsk-…`).
_BEGIN: Final = r"(?:\b|(?<=\\[bfnrt]))"
#: Secrets that are known by their shape alone, as their issuers document them.
TOKEN_SHAPES: Final = {
    "api key": _BEGIN + r"sk-[\w-]{16,}",
    "github token": _BEGIN + r"(?:gh[pousr]_\w{16,}|github_pat_\w{16,})",
    "gitlab token": _BEGIN + r"glpat-[\w-]{16,}",
    "aws key": _BEGIN + r"(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "slack token": _BEGIN + r"xox[a-z]-[\w-]{10,}",
    "google key": _BEGIN + r"AIza[\w-]{35}",
    # No start inside a run, or it is quadratic.
    "jwt": r"(?:(?<![\w-])|(?<=\\[bfnrt]))eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}",
}
CREDENTIALS: Final = "credentials"
CREDENTIALS_SHAPE: Final = r"(?<=://)[^\s/:@]+:[^\s/@]+(?=@)"
AFTER: Final = "://"
#: Each token has one of them: looking for them is much faster than matching the shapes.
MARKS: Final = (
    "sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "AKIA", "ASIA", "xox", "AIza", "eyJ",
)  # fmt: skip
_RAW_AFTER: Final = AFTER.encode()
_RAW_MARKS: Final = tuple(mark.encode() for mark in MARKS)
#: What tokens are made of, and how much of it the shortest has.
_WORD: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-."
_WORD_BYTE, _OTHER_BYTE = b"w", b" "
_LONG_RUN: Final = _WORD_BYTE * 15
_CLASSES: Final = bytes(_WORD_BYTE[0] if code in _WORD else _OTHER_BYTE[0] for code in range(256))
_ADDRESS_ENDS: Final = (b" ", b"\t", b"\n", b"\r", b"\v", b"\f", b"/", b"@")
#: How much of a run without spaces a stream holds back to see whether it becomes a token.
_HELD_BYTES: Final = 16_384
#: How far back a shape looks.
_CONTEXT_BYTES: Final = 3


class MaskStream:
    """Masks bytes that arrive in pieces, also a secret that is split over them.

    What may be the beginning of a secret is held back until it is known to be one or not; `close` gives what is left.
    """

    def __init__(self, values: Mapping[bytes, str]) -> None:
        self._values = values
        self._held = b""
        self._before = b""

    def feed(self, data: bytes) -> bytes:
        return self._told(data, last=False)

    def close(self) -> bytes:
        return self._told(b"", last=True)

    def _told(self, new: bytes, *, last: bool) -> bytes:
        start = len(self._before)
        data = self._before + self._held + new if start or self._held else new
        classes = data.translate(_CLASSES)
        spans = _joined([*self._known(data, start), *_tokens(data, classes, start), *_addresses(data, start)])
        end = len(data) if last else max(start, self._safe_end(data, classes))
        for span_start, span_end, _ in spans:
            if span_start < end < span_end:  # what overlaps it may be a secret, too, and is masked with it
                end = span_start if len(data) - span_start <= _HELD_BYTES else span_end
        told, at = [], start
        for span_start, span_end, name in spans:
            if span_start < end:
                told += [data[at:span_start], label(name).encode()]
                at = span_end
        told.append(data[at:end])
        self._before, self._held = data[max(0, end - _CONTEXT_BYTES) : end], data[end:]
        return b"".join(told)

    def _known(self, data: bytes, start: int) -> Iterator[tuple[int, int, str]]:
        for value, name in self._values.items():
            at = data.find(value, start)
            while at >= 0:
                yield at, at + len(value), name
                at = data.find(value, at + 1)

    def _safe_end(self, data: bytes, classes: bytes) -> int:
        """Up to where no secret can have begun that is not complete."""
        size = len(data)
        end = min((size - _begun(data, value) for value in self._values), default=size)
        run = max(classes.rfind(_OTHER_BYTE) + 1, size - _HELD_BYTES)
        found = [at for mark in _RAW_MARKS if (at := data.find(mark, run)) >= 0]
        found += [size - begun for mark in _RAW_MARKS if (begun := _begun(data, mark))]
        address = max(data.rfind(code, max(0, size - _HELD_BYTES)) for code in _ADDRESS_ENDS) + 1
        if data.endswith(_RAW_AFTER, 0, address):
            found.append(address)
        return min([end, *found])


def named(shapes: Mapping[str, str]) -> str:
    """One pattern of all shapes, a group for each."""
    return "|".join(f"(?P<{name.replace(' ', '_')}>{shape})" for name, shape in shapes.items())


def label(name: str) -> str:
    """The text shown in place of a secret."""
    return f"[masked {name}]"


def _joined(spans: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """In their order, those that overlap made one by the name of the first."""
    joined: list[tuple[int, int, str]] = []
    for start, end, name in sorted(spans, key=lambda span: (span[0], -span[1])):
        if joined and start < joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1]), joined[-1][2]
        else:
            joined.append((start, end, name))
    return joined


def _tokens(data: bytes, classes: bytes, start: int) -> Iterator[tuple[int, int, str]]:
    at = classes.find(_LONG_RUN, start)
    marks = [mark for mark in _RAW_MARKS if mark in data] if at >= 0 else []
    while at >= 0 and marks:
        end = classes.find(_OTHER_BYTE, at)
        end = len(data) if end < 0 else end
        if any(data.find(mark, at, end) >= 0 for mark in marks):
            for match in _pattern(named(TOKEN_SHAPES)).finditer(data, at, end):
                yield match.start(), match.end(), (match.lastgroup or "").replace("_", " ")
        at = classes.find(_LONG_RUN, end)


def _addresses(data: bytes, start: int) -> Iterator[tuple[int, int, str]]:
    last, at = max(0, start - len(AFTER)), data.find(b"@", start)
    while at >= 0:
        after = data.rfind(_RAW_AFTER, last, at)
        if after >= 0 and (match := _pattern(CREDENTIALS_SHAPE).match(data, after + len(AFTER), at + 1)):
            yield match.start(), match.end(), CREDENTIALS
        last, at = at, data.find(b"@", at + 1)


def _pattern(text: str) -> re.Pattern[bytes]:
    import re

    return re.compile(text.encode())


def _begun(data: bytes, value: bytes) -> int:
    """Length of the longest end of `data` that `value` begins with, and which is not all of `value`."""
    size = len(data)
    at = data.find(value[:1], max(0, size - len(value) + 1))
    while at >= 0:
        if value.startswith(data[at:]):
            return size - at
        at = data.find(value[:1], at + 1)
    return 0
