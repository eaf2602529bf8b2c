"""Faults of a document's shape, as pydantic finds them, in plain words and at the places where they were written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic_core import ErrorDetails

from lib.workflow import options
from lib.workflow.definition import ALIASES
from lib.workflow.faults import hint, shown
from lib.workflow.located import Document, Place

#: The keys that may be where the path's last one was written.
Known = Callable[[Sequence[int | str]], Sequence[str]]

_MUST_BE: Final = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "tuple_type": "a list",
    "list_type": "a list",
    "mapping_type": "`name: value` lines",
    "dict_type": "`name: value` lines",
    "model_type": "`name: value` lines",
    "model_attributes_type": "`name: value` lines",
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "enum": "one of {expected}",
    "literal_error": "one of {expected}",
}
#: Values that may be written in more than one way, by their key.
_EITHER: Final = {
    "session": "fresh, or {continue: STEP}",
    "from": "env, or one of {env: NAME}, {file: PATH} and {command: LINE}",
    "run": "a command: one text for the shell, or a list of arguments",
    "verify": "a command: one text for the shell, or a list of arguments",
    "until_run": "a command: one text for the shell, or a list of arguments",
    "in": "a list, or one {{ … }} that gives one",
    "review": "true, false, or a list of assistants",
}
_PATTERNS: Final = {
    options.NAME_PATTERN: "small letters, digits, - and _, at most 63, beginning with a letter or digit",
    options.IDENTIFIER_PATTERN: "a name of letters, digits, - and _, beginning with a letter",
}
#: The items of lists, as a person calls them.
_ITEMS: Final = {"steps": "step", "finally": "step", "group": "step", "cases": "case"}


def path_of(detail: ErrorDetails, data: Any) -> tuple[int | str, ...]:  # noqa: ANN401 - whatever was written
    """The place of an error in the data, by the keys that were written; a missing key is its last part."""
    loc = [*detail["loc"], *([detail["ctx"]["key"]] if detail["type"] == "unfit" else [])]
    path: list[int | str] = []
    for part in loc:
        if isinstance(data, Mapping):
            name = next((each for each in (part, *ALIASES.get(str(part), ())) if each in data), None)
            if name is not None:
                path.append(name)
                data = data[name]
            elif part == loc[-1] and detail["type"] in {"missing", "unfit"}:
                path.append(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            path.append(part)
            data = data[part]
    return tuple(path)


def place_of(document: Document, path: Sequence[int | str], kind: str) -> Place:
    at_key = kind in {"extra_forbidden", "unfit", "missing"}
    return document.key_place(path) if at_key else document.place(path)


def sentence(detail: ErrorDetails, path: Sequence[int | str], known: Known, document: str) -> str:
    """The fault in a sentence; `document` is what the whole is, as `the workflow`."""
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    name = _name(path)
    whole = _name(path[:-1]) or document
    if kind == "extra_forbidden":
        return f"unknown key {path[-1]}{hint(str(path[-1]), known(path))}"
    if kind == "missing":
        return f"{whole} has no {path[-1]}"
    if kind == "unfit":
        return f"{whole} {context['problem']}"
    if kind == "value_error":
        return f"{name or document} {detail['msg'].removeprefix('Value error, ')}"
    if kind == "string_pattern_mismatch":
        rule = _PATTERNS.get(context["pattern"], "letters, digits, - and _, beginning with a letter or digit")
        return f"{name} must be {rule}, not {shown(value)}"
    if kind in {"too_short", "too_long"}:
        return f"{name} must have {_must_be(kind, context)}"
    if kind == "string_type" and isinstance(value, int | float) and not isinstance(value, bool):
        return f'{name} must be text: write it in quotes, "{shown(value)}"'
    if path and (either := _EITHER.get(str(path[-1]))):
        return f"{name} must be {either}, not {shown(value)}"
    near = _near(kind, context, value)
    return f"{name} must be {_must_be(kind, context) or detail['msg']}, not {shown(value)}{near}"


def _near(kind: str, context: Mapping[str, Any], value: object) -> str:
    if kind not in {"enum", "literal_error"} or not isinstance(value, str):
        return ""
    told = hint(value, re.findall(r"'([^']*)'", str(context.get("expected", ""))))
    return told if told.startswith("; did") else ""


def _must_be(kind: str, context: Mapping[str, Any]) -> str:
    expected = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
    return _MUST_BE.get(kind, "").format(**{**context, "expected": expected})


def _name(path: Sequence[int | str]) -> str:
    """The value at a path as a person names it: the key, or the number of an item."""
    words = [str(part) for part in path if isinstance(part, str)]
    if not path:
        return ""
    if isinstance(path[-1], int):
        what = _ITEMS.get(words[-1], f"item of {words[-1]}") if words else "item"
        return f"{what} {path[-1] + 1}"
    return words[-1]
