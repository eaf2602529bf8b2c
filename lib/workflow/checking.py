"""A document made into a `Workflow`, with every fault of its shape, each at its place and in plain words."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lib.config.origins import nearest
from lib.workflow import options
from lib.workflow.definition import ALIASES, Kind, Step, Workflow
from lib.workflow.faults import LEFT_OUT, MAX_FAULTS, Fault, hint, shown
from lib.workflow.located import Document, Place, uncollected

#: Each round leaves out what the one before refused, to see the rest; a fault may hide another that often.
_ROUNDS: Final = 8
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
#: Keys of lists of steps.
_STEPS: Final = frozenset({"steps", "finally", "group"})
#: Values in place of wrong ones that make a step one of its kind.
_STAND_INS: Final[Mapping[str, Any]] = {
    "prompt": "x", "run": "true", "gate": {"message": "x"}, "end": {}, "group": [{"id": LEFT_OUT, "run": "true"}],
}  # fmt: skip
#: Keys without which what has them can't be read.
_NEEDED: Final = frozenset({"name", "steps", "id"})
#: Models by the key whose value, or the values in whose value, are of them.
_MODELS: Final[Mapping[str, type[BaseModel]]] = {
    "steps": Step, "finally": Step, "group": Step, "retry": options.Retry, "foreach": options.Foreach,
    "loop": options.Loop, "compete": options.Compete, "judge": options.Judge, "gate": options.Gate,
    "on_reject": options.OnReject, "end": options.End, "limits": options.Limits, "budget": options.Budget,
    "concurrency": options.Concurrency, "session": options.Continue, "from": options.SecretFrom,
    "secrets": options.Secret, "inputs": options.Input, "vars": options.Input,
}  # fmt: skip


class Checked(NamedTuple):
    """The readable part of a workflow, with all faults of its shape. `lost` are ids of steps that were left out."""

    workflow: Workflow | None
    faults: tuple[Fault, ...]
    lost: frozenset[str]


def check(document: Document, file: str) -> Checked:
    """The workflow in a document, without the parts that can't be read."""
    data, faults = document.data, dict[tuple[int | str, ...], Fault]()
    if not isinstance(data, Mapping):
        return Checked(None, (Fault(file, 1, 1, "a workflow has `name: value` lines"),), frozenset())
    for round_ in range(_ROUNDS):
        try:
            with uncollected():
                workflow = Workflow.model_validate(data)
            return Checked(workflow, tuple(faults.values()), _ids(document.data) - _ids(data))
        except ValidationError as error:
            details = error.errors(include_url=False)
        if round_ == 0:
            data = deepcopy(data)
        paths = [_path(detail, data) for detail in details]
        deeper = {path[:length] for path in paths for length in range(len(path))}
        for path, detail in zip(paths, details, strict=True):
            if path not in deeper and len(faults) < MAX_FAULTS and not _is_told(path, faults):
                place = _place(document, path, detail["type"])
                faults[path] = Fault(file, place.line, place.column, _sentence(detail, path))
        for path in paths:
            if path not in deeper:
                _leave_out(data, path)
    return Checked(None, tuple(faults.values()), _ids(document.data))


def _is_told(path: tuple[int | str, ...], faults: Collection[tuple[int | str, ...]]) -> bool:
    """True if a fault of something around it, or a misspelt kind of the step, says it already."""
    if any(path[:length] in faults for length in range(len(path) + 1)):
        return True
    beside = (other for other in faults if len(path) > 2 and path[-1:] == ("id",) and other[:-1] == path[:-1])  # noqa: PLR2004
    return any(nearest(str(other[-1]), tuple(Kind)) for other in beside)


def _path(detail: ErrorDetails, data: Any) -> tuple[int | str, ...]:  # noqa: ANN401 - whatever was written
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


def _leave_out(data: Any, path: Sequence[int | str]) -> None:  # noqa: ANN401
    """Removes a wrong value from the data, moving no other: a step makes room for one that does nothing."""
    holders: list[Any] = [data]
    for part in path:
        try:
            holders.append(holders[-1][part])
        except (KeyError, IndexError, TypeError):
            break
    while len(holders) > 1:
        holders.pop()
        part = path[len(holders) - 1]
        if isinstance(holders[-1], list):
            if len(holders) > 1 and path[len(holders) - 2] in _STEPS:
                holders[-1][int(part)] = {"id": f"{LEFT_OUT}{len(holders)}-{part}", "run": "true"}
                return
        elif part in _STAND_INS and path[:-2] and path[len(holders) - 3] in _STEPS:
            holders[-1][part] = _STAND_INS[str(part)]
            return
        elif isinstance(part, str) and part not in _NEEDED:
            del holders[-1][part]
            return
    if path[:1] == ("name",):
        data["name"] = "unnamed"


def _place(document: Document, path: Sequence[int | str], kind: str) -> Place:
    at_key = kind in {"extra_forbidden", "unfit", "missing"}
    return document.key_place(path) if at_key else document.place(path)


def _sentence(detail: ErrorDetails, path: Sequence[int | str]) -> str:
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    name = _name(path)
    whole = _name(path[:-1]) or "the workflow"
    if kind == "extra_forbidden":
        return f"unknown key {path[-1]}{hint(str(path[-1]), _known(path))}"
    if kind == "missing":
        return f"{whole} has no {path[-1]}"
    if kind == "unfit":
        return f"{whole} {context['problem']}"
    if kind == "value_error":
        return f"{name or 'the workflow'} {detail['msg'].removeprefix('Value error, ')}"
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
        what = "step" if words[-1:] and words[-1] in _STEPS else f"item of {words[-1]}" if words else "item"
        return f"{what} {path[-1] + 1}"
    return words[-1]


def _known(path: Sequence[int | str]) -> list[str]:
    """The keys that may be where the path's last one was written."""
    model: type[BaseModel] = Workflow
    for part in path[:-1]:
        if isinstance(part, str):
            if part == "inputs" and model is Step:
                return []
            model = _field_model(model, part)
    names = [info.alias or name for name, info in model.model_fields.items()]
    return [*names, *(other for name in names for other in ALIASES.get(name, ()))]


def _field_model(model: type[BaseModel], key: str) -> type[BaseModel]:
    if key == "defaults":
        from lib.workflow.definition import Settings

        return Settings
    return _MODELS.get(key, model)


def _ids(data: Any) -> frozenset[str]:  # noqa: ANN401
    """The ids of all steps that a document writes, those in groups included."""
    found: set[str] = set()
    waiting: list[Any] = [data.get("steps"), data.get("finally")] if isinstance(data, Mapping) else []
    while waiting:
        for step in listed if isinstance(listed := waiting.pop(), list) else ():
            if isinstance(step, Mapping):
                found.add(str(step.get("id")))
                waiting.append(step.get("group"))
    return frozenset(found)
