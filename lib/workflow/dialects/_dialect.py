"""The contract of a dialect, and the parts that dialects have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from lib.workflow.faults import Remark
from lib.workflow.located import Document, Path, Place

#: Programs that steps name in other languages, by the name of the assistant here.
ASSISTANTS: Final[Mapping[str, str]] = {
    "claude": "claude", "claude-code": "claude", "claude_code": "claude", "anthropic": "claude", "codex": "codex",
    "openai": "codex", "gemini": "gemini", "google": "gemini", "opencode": "opencode", "aider": "aider",
    "copilot": "copilot", "qwen": "qwen", "grok": "grok", "ci": "ci", "auto": "auto",
}  # fmt: skip
_NOT_IN_ID: Final = re.compile(r"[^A-Za-z0-9_-]+")


class Dialect(Protocol):
    """A way of writing workflows."""

    name: str
    title: str

    def fits(self, data: Mapping[str, Any], file: str) -> bool:
        """True if a document of that shape, in a file of that name, is of this dialect."""
        ...

    def convert(self, document: Document, file: str, name: str) -> Converted:
        """The workflow of that name in this language. What it can't say is remarked; nothing is raised."""
        ...


@dataclass(slots=True)
class Converted:
    """A document in this language that was made of one in a dialect; its places are those of the original.

    `origins` has the original path of each part that was made.
    """

    original: Document
    data: dict[str, Any]
    origins: dict[tuple[int | str, ...], tuple[int | str, ...]]
    remarks: tuple[Remark, ...]

    def place(self, path: Path) -> Place:
        return self.original.place(self._origin(path))

    def key_place(self, path: Path) -> Place:
        return self.original.key_place(self._origin(path))

    def place_in(self, path: Path, offset: int) -> Place:  # noqa: ARG002 - the original text is another
        return self.place(path)

    def _origin(self, path: Path) -> tuple[int | str, ...]:
        whole = tuple(path)
        for length in range(len(whole), -1, -1):
            if whole[:length] in self.origins:
                return self.origins[whole[:length]]
        return ()


@dataclass(slots=True)
class Fields:
    """The keys of a mapping in the original, each of which is taken once; what is left over is remarked."""

    conversion: Conversion
    path: tuple[int | str, ...]
    values: Mapping[str, Any]
    _taken: set[str] = field(default_factory=set)

    def take(self, *names: str) -> Any:  # noqa: ANN401 - whatever was written
        """The value of the first of these keys that is there, or None."""
        for name in names:
            if name in self.values and name not in self._taken:
                self._taken.add(name)
                return self.values[name]
        return None

    def text(self, *names: str) -> str:
        """As `take`, for a text; remarks and leaves out what is none."""
        name = next((name for name in names if name in self.values), "")
        value = self.take(*names)
        if value is None or isinstance(value, str):
            return value or ""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(getattr(value, "text", value))
        self.remark(name, f"a value of {name} that is no text", "write it as text")
        return ""

    def number(self, *names: str, factor: float = 1) -> int | float | None:
        """As `take`, for a number from 0 up, times `factor`; remarks and leaves out what is none."""
        name = next((name for name in names if name in self.values), "")
        value = self.take(*names)
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            made = value * factor
            return int(made) if made == int(made) else float(made)
        if value is not None:
            self.remark(name, f"a value of {name} that is no number", "write a number")
        return None

    def flag(self, *names: str) -> bool | None:
        """As `take`, for true or false."""
        name = next((name for name in names if name in self.values), "")
        value = self.take(*names)
        if value is not None and not isinstance(value, bool):
            self.remark(name, f"a value of {name} that is neither true nor false", "write true or false")
            return None
        return value

    def texts(self, *names: str) -> list[str]:
        """As `take`, for a list of texts, or one text."""
        name = next((name for name in names if name in self.values), "")
        value = self.take(*names)
        several = [value] if isinstance(value, str | int) and not isinstance(value, bool) else value
        if several is not None and not isinstance(several, list):
            self.remark(name, f"a value of {name} that is no list", "write a list of names")
        return [str(each) for each in several or [] if isinstance(each, str | int)] if isinstance(several, list) else []

    def inner(self, *names: str) -> Fields | None:
        """As `take`, for a mapping; its own keys are then taken from it."""
        name = next((name for name in names if name in self.values), "")
        value = self.take(*names)
        if isinstance(value, dict):
            return self.conversion.fields(value, (*self.path, name))
        if value is not None:
            self.remark(name, f"a value of {name} without `name: value` lines", "write its parts")
        return None

    def remark(self, name: str, what: str, proposal: str) -> None:
        self.conversion.remark((*self.path, name), what, proposal)

    def leave(self, proposals: Mapping[str, str]) -> None:
        """Remarks what was not taken, each with its proposal."""
        for name in self.values:
            if name not in self._taken:
                self.remark(name, name, proposals.get(name, "leave it out, or say it in the prompt"))


@dataclass(slots=True)
class Conversion:
    """The conversion of one document: what was made so far, of which parts, and the remarks."""

    document: Document
    file: str
    name: str
    origins: dict[tuple[int | str, ...], tuple[int | str, ...]] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)

    def fields(self, value: Any, path: Path) -> Fields:  # noqa: ANN401 - whatever was written
        return Fields(self, tuple(path), value if isinstance(value, dict) else {})

    def remark(self, path: Path, what: str, proposal: str) -> None:
        place = self.document.key_place(path)
        self.remarks.append(Remark(self.file, place.line, place.column, what, proposal))

    def done(self, data: Mapping[str, Any]) -> Converted:
        """The result; empty values are left out of it."""
        made = {"name": self.name, **{key: value for key, value in data.items() if not _is_empty(value)}}
        return Converted(self.document, made, self.origins, tuple(sorted(set(self.remarks))))

    def steps(self, made: Iterable[tuple[Mapping[str, Any], Path]]) -> list[dict[str, Any]]:
        """Steps without their empty values, each with the place it comes from."""
        found: list[dict[str, Any]] = []
        for step, path in made:
            self.origins["steps", len(found)] = tuple(path)
            found.append({key: value for key, value in step.items() if not _is_empty(value) or key in _KEPT})
        return found


#: Keys whose value may be empty.
_KEPT: Final = frozenset({"end"})


def _is_empty(value: object) -> bool:
    return value is None or value in ("", [], {}, ())


class Ids:
    """Ids of steps, made of names in any characters."""

    def __init__(self) -> None:
        self._made: dict[str, str] = {}

    def add(self, name: object, at: int) -> str:
        """A new id for a name; a number becomes `step-N`."""
        text = str(name).strip() if name is not None else ""
        text = f"step-{text}" if text.isdecimal() else text
        plain = made = _NOT_IN_ID.sub("-", text).strip("-_")[:60] or f"step-{at + 1}"
        number = 2
        while made in self._made.values():
            made, number = f"{plain}-{number}", number + 1
        self._made.setdefault(str(name), made)
        return made

    @property
    def names(self) -> frozenset[str]:
        """The names as they were written."""
        return frozenset(self._made)

    def get(self, name: object) -> str:
        """The id of a name; the name itself where there is none, so that it shows as unknown."""
        return self._made.get(str(name), str(name))


def replaced(text: str, pattern: re.Pattern[str], by: Callable[[re.Match[str]], str | None]) -> str:
    """The text with each match replaced, and left as it is where `by` gives None."""

    def one(match: re.Match[str]) -> str:
        made = by(match)
        return match[0] if made is None else made

    return pattern.sub(one, text)


def assistant(name: str) -> str:
    """The assistant of that name here; empty if there is none."""
    return ASSISTANTS.get(name.strip().lower(), "")
