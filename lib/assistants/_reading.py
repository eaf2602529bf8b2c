"""Reading lines of JSON that a program printed: whatever a field holds, nothing is raised."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from lib.contracts import AssistantEvent
from lib.model import Usage

Parser = Callable[[str], Sequence[AssistantEvent]]
Reader = Callable[[Mapping[str, Any]], Iterable[AssistantEvent]]
#: A number beyond this is no count of tokens, and no price of a turn.
MAX_COUNT = 10**12
MAX_TEXT = 500


def by_type(readers: Mapping[str, Reader]) -> Parser:
    """The parser of a stream of JSON objects, one a line, each told apart by its `type`; others give no events."""

    def parse(line: str) -> Sequence[AssistantEvent]:
        try:
            data = json.loads(line)
            return tuple(readers[data["type"]](data))
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
            return ()  # torn by a kill, a warning of the runtime, or of a shape that a later version gives it

    return parse


def parse_object(line: str) -> Mapping[str, Any]:
    """The JSON object of a line, or an empty one."""
    try:
        return mapping(json.loads(line))
    except (ValueError, RecursionError):
        return {}


def at(data: object, path: str) -> object:
    """The value at a dotted path, as `usage.input_tokens`, or None."""
    for name in path.split("."):
        data = mapping(data).get(name)
    return data


def mapping(value: object) -> Mapping[str, Any]:
    """The object that is there, or an empty one."""
    return value if isinstance(value, dict) else {}


def count(value: object) -> int:
    """The number of tokens that is there, or 0."""
    return value if type(value) is int and 0 <= value <= MAX_COUNT else 0


def money(value: object) -> float:
    """The dollars that are there, or 0."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= MAX_COUNT:
        return 0.0
    return round(float(value), 6) if math.isfinite(value) else 0.0


def usage(told: object, inputs: Sequence[str], outputs: Sequence[str], cost: str = "") -> Usage:
    """The usage in an object whose fields of these names add up; what is no number counts as 0."""
    fields = mapping(told)
    return Usage(
        input_tokens=sum(count(fields.get(name)) for name in inputs),
        output_tokens=sum(count(fields.get(name)) for name in outputs),
        cost_usd=money(fields.get(cost)),
    )


def words(value: object) -> str:
    """Text that is shown, cut to what fits."""
    return (value if isinstance(value, str) else json.dumps(value, default=str))[:MAX_TEXT]


def about(tool: object, arguments: object) -> str:
    """`Tool: first words of its arguments`."""
    first = next((value for value in mapping(arguments).values() if isinstance(value, str)), "")
    return f"{words(tool)}: {first}"[:MAX_TEXT]
