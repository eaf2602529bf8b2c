"""state.json as a file: read without hanging, parsed strictly, rendered within its bound.

What is needed to read it and no more is imported at once; pydantic comes with `parse` and `render`.
Edits are judged by `lib.statefile.edits`.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lib.errors import RelayError
from lib.files.safe_read import NotPlainError, open_folder, read_plain
from lib.names import quote, shown, to_readable_json
from lib.question import Answer
from lib.statefile.strict_json import JsonError, decode, locate
from lib.steps import BuilderStatus

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

    from lib.model import BuilderLine, Problem, State, StepLine

_Line = TypeVar("_Line", "BuilderLine", "StepLine")

MAX_READ_BYTES: Final = 1_000_000
MAX_STATE_BYTES: Final = 100_000
MAX_BUILDERS: Final = 100
#: As `State.feedback` has it.
MAX_FEEDBACK_CHARS: Final = 20_000
#: Bytes of JSON that a text may take. Together they leave room for a few dozen builders, whatever people write.
MAX_REQUIREMENT, MAX_FEEDBACK, MAX_MESSAGE, MAX_REPORT, MAX_NOTE = 24_000, 48_000, 4_000, 6_000, 500
#: The same of an answer, and how many there are; no half of a command is shown.
MAX_ANSWER, MAX_ANSWERS = 600, 5
MAX_SHOWN: Final = 80
#: What a line of a list takes beside its text.
_LINE_BYTES: Final = 8
NAME: Final = ".project/state.json"
DISCARD: Final = Answer("relay resume --discard-edit", "sets the file aside, restores the last")


@dataclass(frozen=True, slots=True)
class Raw:
    """The bytes of the file."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no file."""


@dataclass(frozen=True, slots=True)
class Refused:
    """There is something that is not read."""

    problem: Problem


class StateProblem(RelayError):  # noqa: N818 - what is wrong with the file, rather than a failure
    """The file can't be used as it is; `line` is 0 where that is about the file as a whole."""

    def __init__(self, message: str, *, ways: Sequence[Answer], code: str, line: int = 0) -> None:
        super().__init__(message, remedy=", or: ".join(way.command for way in ways), code=code)
        self._ways = ways
        self.line = line

    @property
    def problem(self) -> Problem:
        from lib.model import Problem

        first, *others = self._ways
        return Problem.of(self.code, self.message, first, others=others)


# --- reading ---------------------------------------------------------------------------------------------------------


def read_raw(path: Path) -> Raw | Missing | Refused:
    """Reads the file at `path`. Never hangs, follows no link, and reads no more than 1 MB."""
    try:
        folder = open_folder(path.parent)
    except FileNotFoundError:
        return Missing()
    except NotPlainError as error:
        place = quote(str(path.parent))
        remedy = f"rm {place}" if path.parent.is_symlink() else f"mv {place} {place}.aside"
        return _refused(f"{path.parent} is {error.what}, not Relay's own folder", remedy)
    except OSError as error:
        return _unreadable(path.parent, error)
    try:
        data = read_plain(path.name, limit=MAX_READ_BYTES, folder=folder)
    except NotPlainError as error:
        return _refused(f"{path} is {error.what}, not a file that Relay reads", "relay resume --discard-edit")
    except OSError as error:
        return _unreadable(path, error)
    finally:
        os.close(folder)
    return Missing() if data is None else Raw(data)


def _unreadable(path: Path, error: OSError) -> Refused:
    place = quote(str(path))
    remedy = f"chmod u+rwX {place}" if isinstance(error, PermissionError) else f"ls -ld {place}"
    return _refused(f"{path} can't be read: {error.strerror}", remedy)


def _refused(message: str, remedy: str) -> Refused:
    from lib.model import Problem

    return Refused(Problem(code="state_refused", message=message, remedy=remedy))


def set_aside(path: Path, source: Path | None = None) -> Path:
    """Moves what is at `path`, or at `source`, to the first free `NAME.rejected-N` beside it; the new path.

    The lock that writers of `path` take must be held. Raises `OSError`.
    """
    free = (path.with_name(f"{path.name}.rejected-{number}") for number in count(1))
    target = next(candidate for candidate in free if not os.path.lexists(candidate))
    return (source or path).rename(target)


# --- parsing ---------------------------------------------------------------------------------------------------------


def parse(raw: bytes, name: str = NAME) -> State:
    """The state that these bytes hold; `name` is what messages call the file. Raises `StateProblem`, and no other."""
    from pydantic import ValidationError

    from lib.model import SCHEMA_VERSION, State

    try:
        text, value = decode(raw)
        if not isinstance(value, dict):
            raise problem_at(name, "it must be one object, { … }", "state_invalid", (1, 1))
        version = value.get("schema_version")
        if isinstance(version, int) and version > SCHEMA_VERSION:
            message = (
                f"it has schema_version {version}; this Relay knows {SCHEMA_VERSION}: it was written by a newer one"
            )
            raise problem_at(name, message, "state_newer", locate(text, ("schema_version",)))
        return State.model_validate_json(text, strict=True)
    except JsonError as error:
        raise problem_at(name, error.message, "state_not_json", (error.line, error.column)) from None
    except ValidationError as error:
        raise _explained(error, text, name) from None


def problem_at(name: str, message: str, code: str, where: tuple[int, int], way: Answer | None = None) -> StateProblem:
    """The error about file `name` at line and column `where`, (0, 0) for none. Without a `way` out: to edit it."""
    place = f"{name}, line {where[0]}, column {where[1]}" if where[0] else name
    ways = (way,) if way else (Answer(f"$EDITOR {name}", "opens it in your editor"), DISCARD)
    return StateProblem(f"{place}: {message}", ways=ways, code=code, line=where[0])


def _explained(error: ValidationError, text: str, name: str) -> StateProblem:
    """The first of pydantic's errors in words; a misspelt key comes before the field that is missing for it."""
    found = error.errors(include_url=False)
    first = min(found, key=lambda item: item["type"] != "extra_forbidden")
    if first["type"] == "json_invalid":
        return problem_at(name, *_unlike_python(first["ctx"]["error"]))
    path = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    message = f"{path} {_in_words(first)}" if first["type"] != "extra_forbidden" else _unknown(first["loc"])
    return problem_at(name, message + more, "state_invalid", locate(text, first["loc"]))


def _unlike_python(message: str) -> tuple[str, str, tuple[int, int]]:
    """The error where only pydantic's reader refuses, not Python's: half a surrogate pair, and hundreds of levels."""
    what = "half of a surrogate pair is no character" if "hex escape" in message else "it is nested too deeply"
    where = re.search(r"line (\d+) column (\d+)", message)
    return what, "state_not_json", (int(where[1]), int(where[2])) if where else (0, 0)


def _in_words(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "string_too_long":
        return f"is longer than {context['max_length']:,} characters"
    if kind == "enum":
        known = re.findall(r"'([^']*)'", context["expected"])
        return f"must be {' or '.join(known)}, not {_shown(error['input'])}{did_you_mean(str(error['input']), known)}"
    wanted = next((words for start, words in _WANTED.items() if kind.startswith(start)), error["msg"])
    return f"must be {wanted}, not {_shown(error['input'])}"


_WANTED: Final = {
    "bool": "true or false",
    "string_pattern": "lower-case words, such as design or retry api",
    "string": "a text in double quotes",
    "int": "a whole number",
    "float": "a number",
    "greater": "0 or more",
    "literal": "1",
    "datetime": "a time, such as 2026-01-02T10:00:00Z",
    "tuple": "a list, [ … ]",
    "dict": "an object, { … }",
    "model": "an object, { … }",
}


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _unknown(place: tuple[int | str, ...]) -> str:
    from lib.model import Base, BuilderLine, Problem, State, StepLine, Usage

    models: dict[object, type[BaseModel]] = {"base": Base, "builders": BuilderLine, "steps": StepLine,
                                             "error": Problem, "usage": Usage}  # fmt: skip
    model = State if len(place) == 1 else models.get(place[0], State)
    name = str(place[-1])
    return f"there is no field {_shown(name)}{did_you_mean(name, model.model_fields)}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


# --- rendering -------------------------------------------------------------------------------------------------------


def render(state: State) -> bytes:
    """The bytes of the file, at most `MAX_STATE_BYTES`: long texts are cut, finished steps left out when too many.

    `progress` counts those too. Rendering what `parse` made of it gives the same bytes.
    """
    error = state.error
    if error is not None:
        error = error.model_copy(update={"message": _cut(error.message, MAX_MESSAGE),
                                         "remedy": _cut(error.remedy, MAX_MESSAGE),
                                         "does": _cut(error.does, MAX_NOTE), "others": (),
                                         "report": _last(error.report, MAX_REPORT)})  # fmt: skip
    stated = state.model_copy(
        update={
            "requirement": _cut(state.requirement, MAX_REQUIREMENT),
            "message": _cut(state.message, MAX_MESSAGE),
            "answers": tuple(answer for answer in state.answers if _is_short(answer))[:MAX_ANSWERS],
            "feedback": shown_feedback(state.feedback),
            "error": error,
        }
    )
    limit = MAX_BUILDERS
    while True:
        data = to_readable_json(_with_lines(stated, limit)).encode() + b"\n"
        if len(data) <= MAX_STATE_BYTES or limit == 0:
            return data
        limit = limit * 3 // 4


def shown_feedback(feedback: str) -> str:
    """The feedback as the file can show it: whole, but for one that is longer than an edit may make it."""
    fit = _cut(feedback, MAX_FEEDBACK)
    if len(fit) <= MAX_FEEDBACK_CHARS:
        return fit
    # With room for both notes, so that what was cut is never cut again.
    return _cut(shown(feedback)[: MAX_FEEDBACK_CHARS - 200], MAX_FEEDBACK - 200) + _note(feedback)


def _with_lines(state: State, limit: int) -> State:
    progress = state.progress
    if sum(progress.values()) < len(state.builders):
        progress = Counter(line.status.value for line in state.builders)
    return state.model_copy(update={"builders": _foremost(state.builders, limit),
                                    "steps": _foremost(state.steps, limit), "progress": progress})  # fmt: skip


def _foremost(lines: Sequence[_Line], limit: int) -> tuple[_Line, ...]:
    """The lines that count most, in their order, with notes of a bounded length."""
    chosen = {line.id for line in sorted(lines, key=_importance)[:limit]}
    return tuple(line.model_copy(update={"note": _cut(line.note, MAX_NOTE)}) for line in lines if line.id in chosen)


def _importance(line: BuilderLine | StepLine) -> tuple[int, float]:
    """Sort key: what is at work or failed first, then what waits, then what finished, the latest before the others."""
    if line.status is BuilderStatus.PENDING:
        return 1, 0.0
    if line.status.is_built or line.status in {BuilderStatus.SKIPPED, BuilderStatus.CANCELLED}:
        return 2, -line.ended_at.timestamp() if line.ended_at else 0.0
    return 0, 0.0


def _is_short(answer: Answer) -> bool:
    return _size(shown(answer.command + answer.does)) <= MAX_ANSWER


def _last(lines: Iterable[str], limit: int) -> tuple[str, ...]:
    """The last of the lines, as many as take `limit` bytes of JSON."""
    fitting = [shown(line) for line in lines]
    taken = accumulate(_size(line) + _LINE_BYTES for line in reversed(fitting))
    return tuple(fitting[len(fitting) - sum(size <= limit for size in taken) :])


def _cut(text: str, limit: int) -> str:
    """The text, or so much of its beginning that it takes `limit` bytes of JSON, and a note."""
    note, text = _note(text), shown(text)
    if len(text) * 6 <= limit or _size(text) <= limit:  # a control character takes six bytes
        return text
    head = text[:limit]
    length = bisect_right(range(len(head)), limit - _size(note), key=lambda end: _size(head[:end])) - 1
    return head[:length] + note


def _note(text: str) -> str:
    return f"… (cut; {len(text):,} characters in all)"


def _size(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode())


# --- schema ----------------------------------------------------------------------------------------------------------


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the file; what only Relay writes is `readOnly`."""
    from lib.model import EDITABLE, State

    made = State.model_json_schema(by_alias=True)
    for name, field in made["properties"].items():
        if name not in EDITABLE:
            field["readOnly"] = True
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}
