"""The JSON object that an assistant ends its message with, fenced or bare, among all that it says. Pure."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

from lib.names import shown_data

#: How much of the end of a message is searched: bounds the time that a hostile one can cost.
MAX_SEARCHED: Final = 400_000

#: Begins the last line of an assistant that can't go on.
STUCK: Final = "STUCK:"
#: How many questions are passed on, and how much of each.
MAX_QUESTIONS: Final = 10
MAX_QUESTION: Final = 500

_OBJECT: Final = re.compile(r'\{\s*"')
_VALUE: Final = re.compile(r'\{\s*["}]|\[')


def last_object(text: str, *keys: str) -> tuple[dict[str, Any] | None, json.JSONDecodeError | None]:
    """The last object that has one of `keys`, not counting those inside of another one that has more members.

    Without any, the error of the one that could be read furthest, if there was one. A text that begins with a brace is
    a file, and is searched however long it is. Raises `ValueError` for a number of too many digits.
    """
    decoder = json.JSONDecoder()
    searched = text if text.lstrip()[:1] == "{" else text[-MAX_SEARCHED:]
    found: dict[str, Any] | None = None
    failure: json.JSONDecodeError | None = None
    start = 0
    while match := _OBJECT.search(searched, start):
        try:
            value, start = decoder.raw_decode(searched, match.start())
        except json.JSONDecodeError as error:
            failure = error if failure is None or error.pos > failure.pos else failure
            start = match.end()
        except RecursionError:
            start = match.end()
        else:
            value = _unwrapped(value, keys)
            found = value if any(key in value for key in keys) else found
    return found, None if found is not None else failure


def final_value(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON object or list that a message ends with, fenced or bare; without one, the message itself."""
    said = text.strip()
    searched = said.removesuffix("```").rstrip()[-MAX_SEARCHED:]
    if not searched.endswith(("}", "]")):
        return said
    start = 0
    while match := _VALUE.search(searched, start):
        try:
            value, start = _DECODER.raw_decode(searched, match.start())
        except (ValueError, RecursionError):
            start = match.end()
        else:
            if start == len(searched):
                return shown_data(value)
    return said


def json_value(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a JSON text, which can be stored. Raises `ValueError`, `RecursionError`."""
    return shown_data(_DECODER.decode(text.strip()))


def _number(text: str) -> float:
    """A number as JSON has it (RFC 8259, section 6). Raises `ValueError` for others."""
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is no number that JSON has")
    return value


_DECODER: Final = json.JSONDecoder(parse_constant=_number, parse_float=_number)


def questions_of(text: str) -> tuple[str, ...]:
    """The questions of an assistant; none if it does not ask.

    It asks with `{"questions": ["…"]}` and nothing else at the end of its message, or with a last line `STUCK: …`.
    """
    said = text.strip().removesuffix("```").rstrip()
    if said.endswith("}"):
        try:
            found, _ = last_object(said, "questions")
        except ValueError:
            return ()
        listed = found["questions"] if found and set(found) == {"questions"} else None
        asked = [listed] if isinstance(listed, str) else listed if isinstance(listed, list) else []
        return tuple(" ".join(str(each).split())[:MAX_QUESTION] for each in asked[:MAX_QUESTIONS] if each)
    last = said.splitlines()[-1].strip(" *`") if said else ""
    return (last.removeprefix(STUCK).strip()[:MAX_QUESTION] or "it is stuck",) if last.startswith(STUCK) else ()


def _unwrapped(value: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Without what some models put around their answer: `{"design": {…}}`."""
    while len(value) == 1 and not any(key in value for key in keys):
        (inner,) = value.values()
        if not isinstance(inner, dict):
            break
        value = inner
    return value
