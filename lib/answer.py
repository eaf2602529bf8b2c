"""The JSON object that an assistant ends its message with, fenced or bare, among all that it says. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, Final

#: How much of the end of a message is searched: bounds the time that a hostile one can cost.
MAX_SEARCHED: Final = 400_000

_OBJECT: Final = re.compile(r'\{\s*"')


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


def _unwrapped(value: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Without what some models put around their answer: `{"design": {…}}`."""
    while len(value) == 1 and not any(key in value for key in keys):
        (inner,) = value.values()
        if not isinstance(inner, dict):
            break
        value = inner
    return value
