"""JSON read strictly, and told by line and column what is wrong with it. Pure.

Python's own reader takes duplicate keys, NaN and numbers of any size, which a file that people edit must not have.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

MAX_DEPTH: Final = 32
MAX_NUMBER_LENGTH: Final = 32
_BOMS: Final = {
    codecs.BOM_UTF8: "it starts with a byte order mark; save it as UTF-8 without one",
    codecs.BOM_UTF16_LE: "it is UTF-16; save it as UTF-8",
    codecs.BOM_UTF16_BE: "it is UTF-16; save it as UTF-8",
}
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)

Place = tuple[str | int, ...]


class JsonError(Exception):
    """`line` and `column` count from 1; they are 0 where it is about the file as a whole."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class Token(NamedTuple):
    """A key, or a value that is neither object nor list, its place, and the path that leads there."""

    place: Place
    text: str
    offset: int
    is_key: bool


def decode(raw: bytes) -> tuple[str, Any]:
    """The text, and what it says. Raises `JsonError`."""
    text = _text(raw)
    if not text.strip():
        raise JsonError("it is empty")
    try:
        return text, json.loads(
            text, object_pairs_hook=_object, parse_int=_int, parse_float=_float, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        raise JsonError(f"it is not JSON: {error.msg}", error.lineno, error.colno) from None
    except RecursionError:
        raise JsonError("it is nested too deeply") from None
    except _Refused as error:
        offset = _offset(text, error)
        where = (0, 0) if offset is None else position(text, offset)
        raise JsonError(error.message, *where) from None


def tokens(text: str) -> Iterator[Token]:
    """The keys and plain values of a text that should be JSON, no deeper than `MAX_DEPTH`."""
    stack: list[str | int | None] = []  # of each open container: the index in a list, the key in an object
    for found in _TOKEN.finditer(text):
        match found[0]:
            case "{" | "[" as opening:
                stack.append(None if opening == "{" else 0)
                if len(stack) > MAX_DEPTH:
                    return
            case "}" | "]":
                stack = stack[:-1]
            case ",":
                stack[-1:] = [top + 1 if isinstance(top, int) else None for top in stack[-1:]]
            case ":":
                pass
            case other:
                is_key = bool(stack) and stack[-1] is None
                if is_key:
                    stack[-1] = _unquoted(other)
                yield Token(tuple(part for part in stack if part is not None), other, found.start(), is_key)


def locate(text: str, place: Place) -> tuple[int, int]:
    """Line and column of the key or list item at `place`, or of what it is missing in."""
    first: dict[Place, int] = {}
    for token in tokens(text):
        first.setdefault(token.place, token.offset)
        for length in range(len(token.place)):  # an item of a list begins with what it holds first
            first.setdefault(token.place[:length], token.offset)
    while place and place not in first:
        place = place[:-1]
    return position(text, first.get(place, 0) if place else 0)


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _text(raw: bytes) -> str:
    for mark, message in _BOMS.items():
        if raw.startswith(mark):
            raise JsonError(message)
    if b"\0" in raw[:4]:
        raise JsonError("it is UTF-16 or UTF-32; save it as UTF-8")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        raise JsonError("it has a byte that is no UTF-8", *position(before, len(before))) from None


# --- what the reader lets pass ---------------------------------------------------------------------------------------


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """`token` is the offending one, None for a key that repeats one of its object."""

    def __init__(self, message: str, token: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.token = token


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Refused(f"the key {twice!r} is there twice")
    return made


def _int(text: str) -> int:
    _check_length(text)
    return int(text)


def _float(text: str) -> float:
    _check_length(text)
    value = float(text)
    if math.isinf(value):
        raise _Refused(f"the number {text} is too large", text)
    return value


def _check_length(text: str) -> None:
    if len(text) > MAX_NUMBER_LENGTH:
        raise _Refused(f"a number has {len(text)} digits", text)


def _constant(text: str) -> float:
    raise _Refused(f"{text} is no JSON number", text)


def _offset(text: str, refused: _Refused) -> int | None:
    seen: set[Place] = set()
    for token in tokens(text):
        if refused.token is None and token.is_key:
            if token.place in seen:
                return token.offset
            seen.add(token.place)
        elif refused.token is not None and not token.is_key and token.text == refused.token:
            return token.offset
    return None


def _unquoted(token: str) -> str:
    try:
        return str(json.loads(token))
    except ValueError:
        return token
