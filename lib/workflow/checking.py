"""A document made into a `Workflow`, with every fault of its shape, each at its place and in plain words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError

from lib.config.origins import nearest
from lib.workflow import options
from lib.workflow.definition import ALIASES, Kind, Step, Workflow
from lib.workflow.faults import LEFT_OUT, MAX_FAULTS, Fault
from lib.workflow.located import Document, uncollected
from lib.workflow.misshapen import path_of, place_of, sentence

#: Each round leaves out what the one before refused, to see the rest; a fault may hide another that often.
_ROUNDS: Final = 8
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
        paths = [path_of(detail, data) for detail in details]
        deeper = {path[:length] for path in paths for length in range(len(path))}
        for path, detail in zip(paths, details, strict=True):
            if path not in deeper and len(faults) < MAX_FAULTS and not _is_told(path, faults):
                place = place_of(document, path, detail["type"])
                faults[path] = Fault(file, place.line, place.column, sentence(detail, path, _known, "the workflow"))
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
