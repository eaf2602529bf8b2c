"""JSON Schemas that a workflow holds: problems by which no reply could fit them, and replies that don't fit. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lib.display import clip
from lib.workflow.faults import hint, shown
from lib.workflow.located import Path

_TYPES: Final = ("string", "integer", "number", "boolean", "array", "object", "null")
_MAX_DEPTH: Final = 40
_MAX_MISFITS: Final = 5
_MAX_WORDS: Final = 200
#: Keywords whose value is a schema, or a mapping or list of schemas.
_INNER: Final = ("items", "additionalProperties", "not", "contains", "if", "then", "else")
_NAMED: Final = ("properties", "patternProperties", "$defs", "definitions")
_LISTED: Final = ("anyOf", "oneOf", "allOf", "prefixItems")


def schema_problems(schema: Any, path: Path = (), depth: int = 0) -> Iterator[tuple[Path, str]]:  # noqa: ANN401
    """Each problem with the path of the value that has it."""
    if isinstance(schema, bool) or depth > _MAX_DEPTH:
        return
    if not isinstance(schema, Mapping):
        yield path, f"a schema has `name: value` lines, not {shown(schema)}"
        return
    types = schema.get("type", ())
    for name in [types] if isinstance(types, str) else types if isinstance(types, list | tuple) else [types]:
        if name not in _TYPES:
            yield (*path, "type"), f"there is no type {shown(name)}{hint(str(name), _TYPES)}"
    yield from _required(schema, path)
    for key in _INNER:
        if key in schema:
            yield from schema_problems(schema[key], (*path, key), depth + 1)
    for key in _NAMED:
        inner = schema.get(key, {})
        if not isinstance(inner, Mapping):
            yield (*path, key), f"{key} has `name: schema` lines, not {shown(inner)}"
            continue
        for name, part in inner.items():
            yield from schema_problems(part, (*path, key, name), depth + 1)
    for key in _LISTED:
        parts = schema.get(key, [])
        for at, part in enumerate(parts if isinstance(parts, list | tuple) else []):
            yield from schema_problems(part, (*path, key, at), depth + 1)


def _required(schema: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, str]]:
    required, properties = schema.get("required", []), schema.get("properties")
    if not isinstance(required, list | tuple):
        yield (*path, "required"), f"required is a list of names, not {shown(required)}"
        return
    for at, name in enumerate(required):
        if not isinstance(name, str):
            yield (*path, "required", at), f"required is a list of names, not {shown(name)}"
        elif isinstance(properties, Mapping) and name not in properties and not _is_open(schema):
            yield (*path, "required", at), f"required names {name}, which is no property{hint(name, properties)}"


def _is_open(schema: Mapping[str, Any]) -> bool:
    return schema.get("additionalProperties", False) is not False or "patternProperties" in schema


def misfits(schema: Mapping[str, Any], value: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    """The first reasons why a value does not fit a schema, each with the place in the value; nothing is fetched."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    validator = Draft202012Validator(dict(schema), registry=Registry())
    try:
        errors = sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.path)))
    except Unresolvable as error:
        return [f"the schema refers to {error.ref}, which is not in it"]
    best = [best_match([error]) or error for error in errors[:_MAX_MISFITS]]
    places = (error.json_path.removeprefix("$.") if error.path else "it" for error in best)
    return [f"{place}: {clip(error.message, _MAX_WORDS)}" for place, error in zip(places, best, strict=True)]
