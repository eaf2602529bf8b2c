"""Values that fit a JSON Schema, for steps whose output a case does not name. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lib.workflow.schemas import misfits

_MAX_DEPTH: Final = 10
_PLAIN: Final[Mapping[str, Any]] = {"integer": 0, "number": 0, "boolean": True, "null": None}


def sample(schema: Mapping[str, Any], word: str) -> Any:  # noqa: ANN401 - any JSON value
    """A value that fits the schema: all that it names, texts that are `word`, lists as short as they may be.

    Raises `LookupError` where none is found so simply.
    """
    made = _made(schema, word, 0)
    if wrong := misfits(schema, made):
        raise LookupError(wrong[0])
    return made


def _made(schema: Any, word: str, depth: int) -> Any:  # noqa: ANN401
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return word
    if "const" in schema:
        return schema["const"]
    for listed in ("enum", "examples"):
        if schema.get(listed):
            return schema[listed][0]
    if "default" in schema:
        return schema["default"]
    for choice in ("anyOf", "oneOf"):
        if schema.get(choice):
            return _made(schema[choice][0], word, depth + 1)
    kinds = schema.get("type") or ("object" if "properties" in schema else "array" if "items" in schema else "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "object":
        return {name: _made(part, word, depth + 1) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [_made(schema.get("items"), word, depth + 1) for _ in range(schema.get("minItems", 0))]
    if kind == "string":
        return word.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]
    least = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    return max(_PLAIN[kind], least) if kind in {"integer", "number"} else _PLAIN[kind]
