"""Documents in YAML or JSON, as data, with the line and column of each value.

YAML is read as version 1.2 means it: only `true` and `false` are booleans, and `010`, `1:30` and dates are text. Tags
are refused; aliases are followed within bounds. Nothing here recurses, so no nesting can exhaust the stack.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, Protocol, Self

import yaml

from lib.statefile.strict_json import JsonError, decode

MAX_BYTES: Final = 8_000_000
MAX_DEPTH: Final = 64
#: Values in a document, with those behind aliases counted at each alias.
MAX_VALUES: Final = 1_000_000
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_DIGITS: Final = 18
_WORDS: Final[Mapping[str, object]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT: Final = re.compile(rf"-?(?:0|[1-9][0-9]{{0,{_MAX_DIGITS - 1}}})")
_FLOAT: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?(?:[eE][-+]?[0-9]{1,2})?")

Path = Sequence[int | str]


class Written(float):
    """A number that knows how it was written, for keys that want text: `version: 1.10`."""

    text: str

    def __new__(cls, text: str) -> Self:
        made = super().__new__(cls, text)
        made.text = text
        return made


class NotReadableError(Exception):
    """The text is no document; `line` and `column` count from 1, 0 where they are unknown."""

    def __init__(self, reason: str, line: int = 0, column: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.column = column


class Place(NamedTuple):
    """A place in a text; both count from 1, `column` in characters."""

    line: int
    column: int


class Document(Protocol):
    """Data whose values have places in a file."""

    @property
    def data(self) -> Any: ...  # noqa: ANN401 - whatever was written

    def place(self, path: Path) -> Place:
        """The place of the value at `path`, or of the nearest around it that is there."""
        ...

    def key_place(self, path: Path) -> Place:
        """The place of the key that `path` ends with, or as `place`."""
        ...

    def place_in(self, path: Path, offset: int) -> Place:
        """The place of a character of the text at `path`."""
        ...


class _Mark:
    """The part of the text that a value was written in, and those of its parts."""

    __slots__ = ("begin", "column", "end", "keys", "line", "parts")

    def __init__(self, line: int, column: int, begin: int, end: int) -> None:
        self.line = line
        self.column = column
        self.begin = begin
        self.end = end
        self.parts: dict[int | str, _Mark] = _NO_PARTS
        self.keys: dict[int | str, Place] = _NO_KEYS

    @property
    def place(self) -> Place:
        return Place(self.line + 1, self.column + 1)


_NO_PARTS: Final[dict[int | str, _Mark]] = {}
_NO_KEYS: Final[dict[int | str, Place]] = {}


class Located:
    """The document that a text holds."""

    def __init__(self, text: str, data: Any, root: _Mark | None) -> None:  # noqa: ANN401 - whatever was written
        self.text = text
        self.data = data
        self._root = root

    def place(self, path: Path) -> Place:
        mark, _ = self._mark(path)
        return mark.place if mark else Place(1, 1)

    def key_place(self, path: Path) -> Place:
        mark, left = self._mark(path[:-1])
        if mark and not left and path and path[-1] in mark.keys:
            return mark.keys[path[-1]]
        return self.place(path)

    def place_in(self, path: Path, offset: int) -> Place:
        mark, left = self._mark(path)
        value = _at(self.data, path)
        if mark is None or left or not isinstance(value, str):
            return self.place(path)
        at = _found(value, offset, self.text[mark.begin : mark.end])
        if at is None:
            return mark.place
        at += mark.begin
        return Place(self.text.count("\n", 0, at) + 1, at - self.text.rfind("\n", 0, at))

    def _mark(self, path: Path) -> tuple[_Mark | None, Path]:
        mark = self._root
        for at, part in enumerate(path):
            if mark is None or part not in mark.parts:
                return mark, path[at:]
            mark = mark.parts[part]
        return mark, ()


def _at(data: Any, path: Path) -> Any:  # noqa: ANN401 - whatever was written
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _found(value: str, offset: int, raw: str) -> int | None:
    """The offset in what was written of a character of the text that it means; None if the two differ too much."""
    before = value[:offset].split("\n")
    lines = value.split("\n")[: len(before)]
    at = 0
    for line in lines[:-1]:
        found = raw.find(line, at)
        if found < 0:
            return None
        at = found + len(line)
    found = raw.find(lines[-1], at)
    if found >= 0:
        return found + len(before[-1])
    braces = value.count("{", 0, offset)
    found = -1
    for _ in range(braces + 1):
        found = raw.find("{", found + 1)
        if found < 0:
            return None
    return found


def read(text: str, *, is_json: bool = False) -> Located:
    """The document in `text`. Raises `NotReadableError`."""
    if len(text) > MAX_BYTES:
        raise NotReadableError(f"it has {len(text):,} characters; the limit is {MAX_BYTES:,}")
    if is_json:
        return _read_json(text)
    with uncollected():
        data, root = _Builder().build(text.removeprefix("\ufeff"))
    if root is None:
        raise NotReadableError("it is empty")
    return Located(text.removeprefix("\ufeff"), data, root)


def _read_json(text: str) -> Located:
    try:
        text, data = decode(text.encode("utf-8", errors="surrogatepass"))
        json.dumps(data, ensure_ascii=False).encode()
    except JsonError as error:
        raise NotReadableError(error.message, error.line, error.column) from error
    except (UnicodeEncodeError, RecursionError) as error:
        raise NotReadableError("a text in it is not Unicode, or it is nested too deeply") from error
    with uncollected():
        try:
            data, root = _Builder().build(text)
        except NotReadableError as error:  # JSON's pairs of surrogates are no YAML; places are then unknown
            if "escape" not in error.reason:
                raise
            root = None
    return Located(text, data, root)


@contextmanager
def uncollected() -> Iterator[None]:
    """Makes many values without the collector looking through them each time: it takes most of the time otherwise."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Open(NamedTuple):
    """A collection that is being read; `first` is the number of values before it."""

    value: dict[str, Any] | list[Any]
    mark: _Mark
    anchor: str | None
    first: int


class _Builder:
    """Builds data and marks from YAML's events, with a stack of its own."""

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._keys: list[str | None] = []
        self._heights: list[int] = []
        self._anchors: dict[str, tuple[Any, _Mark, int, int]] = {}
        self._count = 0
        self._result: tuple[Any, _Mark | None] = (None, None)

    def build(self, text: str) -> tuple[Any, _Mark | None]:
        documents = 0
        try:
            for event in yaml.parse(text, Loader=_LOADER):
                if isinstance(event, yaml.ScalarEvent):
                    self._scalar(event)
                elif isinstance(event, yaml.CollectionStartEvent):
                    self._begin(event)
                elif isinstance(event, yaml.CollectionEndEvent):
                    self._end(event)
                elif isinstance(event, yaml.AliasEvent):
                    self._alias(event)
                elif isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        raise _refused(event, "a second document begins here; a file has one")
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            raise _explained(error) from error
        return self._result

    def _scalar(self, event: Any) -> None:  # noqa: ANN401 - PyYAML's events are not typed
        _check_tag(event)
        plain = event.style is None or event.style == ""
        value = _typed(event.value) if plain and event.implicit[0] else event.value
        if self._wants_key():
            self._key(event.value, event)
            return
        self._add(value, _mark(event), event, event.anchor)

    def _begin(self, event: Any) -> None:  # noqa: ANN401
        _check_tag(event)
        if self._wants_key():
            raise _refused(event, "a key must be text")
        if len(self._open) >= MAX_DEPTH:
            raise _refused(event, f"it is nested more than {MAX_DEPTH} deep")
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        mark = _mark(event)
        mark.parts, mark.keys = {}, {}
        self._open.append(_Open(value, mark, event.anchor, self._count))
        self._keys.append(None)
        self._heights.append(0)

    def _end(self, event: Any) -> None:  # noqa: ANN401
        opened = self._open.pop()
        self._keys.pop()
        opened.mark.end = event.end_mark.index
        height = self._heights.pop() + 1
        self._add(opened.value, opened.mark, event, opened.anchor, opened.first, height)

    def _alias(self, event: Any) -> None:  # noqa: ANN401
        if self._wants_key():
            raise _refused(event, "a key must be text")
        if event.anchor not in self._anchors:
            raise _refused(event, f"*{event.anchor} refers to itself, or to nothing above")
        value, mark, weight, height = self._anchors[event.anchor]
        if len(self._open) + height > MAX_DEPTH:
            raise _refused(event, f"it is nested more than {MAX_DEPTH} deep")
        self._count += weight
        self._add(value, mark, event, None, height=height)

    def _wants_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._keys[-1] is None

    def _key(self, key: str, event: Any) -> None:  # noqa: ANN401
        opened = self._open[-1]
        if key in opened.mark.keys:
            first = opened.mark.keys[key].line
            raise _refused(event, f"{key} is there twice, in line {first} too")
        opened.mark.keys[key] = Place(event.start_mark.line + 1, event.start_mark.column + 1)
        self._keys[-1] = key

    def _add(
        self, value: Any, mark: _Mark, event: Any, anchor: str | None, first: int | None = None, height: int = 0  # noqa: ANN401
    ) -> None:  # fmt: skip
        self._count += 1
        if self._count > MAX_VALUES:
            raise _refused(event, f"it has more than {MAX_VALUES:,} values, those behind aliases counted each time")
        if anchor:
            weight = 1 if first is None else self._count - first
            self._anchors[anchor] = (value, mark, weight, height)
        if not self._open:
            self._result = (value, mark)
            return
        self._heights[-1] = max(self._heights[-1], height)
        holder = self._open[-1]
        part = self._keys[-1] if isinstance(holder.value, dict) else len(holder.value)
        if isinstance(holder.value, dict):
            holder.value[str(part)] = value
            self._keys[-1] = None
        else:
            holder.value.append(value)
        if part is not None:
            holder.mark.parts[part] = mark


def _mark(event: Any) -> _Mark:  # noqa: ANN401
    start = event.start_mark
    return _Mark(start.line, start.column, start.index, event.end_mark.index)


def _typed(text: str) -> object:
    """The value of a plain scalar in YAML 1.2's core schema, if JSON has such values; all else is text."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "-0123456789":
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return Written(text)
    return text


def reads_as_text(text: str) -> bool:
    """True if a plain scalar of these characters would be that text, and no other value."""
    return bool(text) and isinstance(_typed(text), str)


def _check_tag(event: Any) -> None:  # noqa: ANN401
    if event.tag not in {None, "!", "tag:yaml.org,2002:str"}:
        raise _refused(event, f"the tag {event.tag} is not allowed")


def _refused(event: Any, reason: str) -> NotReadableError:  # noqa: ANN401
    return NotReadableError(reason, event.start_mark.line + 1, event.start_mark.column + 1)


def _explained(error: Exception) -> NotReadableError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
    told = f"it is not YAML: {reason}"
    return NotReadableError(told, mark.line + 1, mark.column + 1) if mark else NotReadableError(told)
