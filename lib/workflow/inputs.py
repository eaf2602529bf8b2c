"""The inputs of a workflow: as they are declared, and as values for a run are given. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from lib.errors import UsageError
from lib.workflow.faults import hint, shown
from lib.workflow.located import Path
from lib.workflow.options import Input, InputType

_IS: Final[Mapping[InputType, Callable[[Any], bool]]] = {
    InputType.STRING: lambda value: isinstance(value, str),
    InputType.INTEGER: lambda value: isinstance(value, int) and not isinstance(value, bool),
    InputType.NUMBER: lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    InputType.BOOLEAN: lambda value: isinstance(value, bool),
    InputType.LIST: lambda value: isinstance(value, list | tuple),
    InputType.OBJECT: lambda value: isinstance(value, Mapping),
}
_BOOLEANS: Final = {"true": True, "yes": True, "false": False, "no": False}


def input_problems(inputs: Mapping[str, Input]) -> Iterator[tuple[Path, str]]:
    """Problems of declarations, each with its path below `inputs`."""
    for name, declared in inputs.items():
        if declared.default is not None and declared.required:
            yield (name, "required"), f"{name} is required and has a default; keep one"
        if declared.pattern is not None:
            if declared.type is not InputType.STRING:
                yield (name, "pattern"), f"a pattern is for text, and {name} is {declared.type}"
            elif problem := _pattern_problem(declared.pattern):
                yield (name, "pattern"), problem
        for at, value in enumerate(declared.enum or ()):
            if not _IS[declared.type](value):
                yield (name, "enum", at), f"{shown(value)} is no {declared.type}"
        if declared.default is not None and (problem := value_problem(declared, declared.default, by_pattern=False)):
            yield (name, "default"), f"the default of {name} {problem}"


def value_problem(declared: Input, value: Any, *, by_pattern: bool = True) -> str:  # noqa: ANN401 - any JSON value
    """The end of a sentence on what is wrong with a value; empty if it fits.

    A pattern may take any time to match, so it is left out where a file is only checked.
    """
    if not _IS[declared.type](value):
        return f"must be {declared.type}, not {shown(value)}"
    if declared.enum is not None and value not in declared.enum:
        names = [str(each) for each in declared.enum]
        return f"must be one of {', '.join(names)}, not {shown(value)}"
    pattern = declared.pattern
    if (
        not by_pattern
        or pattern is None
        or not isinstance(value, str)
        or _pattern_problem(pattern)
        or re.fullmatch(pattern, value)
    ):
        return ""
    return f"must match {pattern}, and {shown(value)} does not"


def given_inputs(declared: Mapping[str, Input], given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The inputs of a run of the workflow `name`: those `given`, as text or as data, and defaults for the others.

    Raises `UsageError` (`input_invalid`) with all that is wrong.
    """
    problems = [f"{name} has no input {key}{hint(key, declared)}" for key in given if key not in declared]
    found: dict[str, Any] = {}
    for key, wanted in declared.items():
        if key in given:
            value = from_text(wanted.type, given[key]) if isinstance(given[key], str) else given[key]
            if problem := value_problem(wanted, value):
                problems.append(f"{key} {problem if not wanted.secret else f'must be {wanted.type}'}")
            found[key] = value
        elif wanted.required and wanted.default is None:
            problems.append(f"{key} is missing" + (f": {wanted.description}" if wanted.description else ""))
        elif wanted.default is not None:
            found[key] = wanted.default
    if problems:
        raise UsageError("\n".join(problems), remedy=f"relay workflows show {name}", code="input_invalid")
    return found


def from_text(kind: InputType, text: str) -> Any:  # noqa: ANN401 - any JSON value
    """The value that a text means for an input of that type; the text itself where it means none."""
    match kind:
        case InputType.STRING:
            return text
        case InputType.BOOLEAN:
            return _BOOLEANS.get(text.strip().lower(), text)
        case InputType.LIST if not text.lstrip().startswith("["):
            return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _pattern_problem(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"the pattern is no regular expression: {error}"
    return ""
