"""Files with the cases of workflows: found beside them, read, and checked against them, all that is wrong at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from lib.project.paths import CASES
from lib.workflow.cases import TIMEOUT, Case, Cases, Decided, Expect, Failure, Gives
from lib.workflow.definition import Kind
from lib.workflow.faults import Fault, WorkflowError, hint
from lib.workflow.loading import SUFFIXES, document_in, text_of
from lib.workflow.located import Document
from lib.workflow.located import Path as Keys
from lib.workflow.misshapen import path_of, place_of, sentence
from lib.workflow.plan import Node, Plan

#: The keys of instances and turns in an id.
_KEYS: Final = re.compile(r":[A-Za-z0-9_-]+")
_WORK: Final = frozenset({Kind.PROMPT, Kind.RUN})
#: Parts of `expect` that are about steps.
_EXPECTED: Final = ("steps", "attempts", "prompts")
#: Models by the key whose value, or the values in whose value, are of them.
_MODELS: Final[Mapping[str, type[BaseModel]]] = {
    "cases": Case, "expect": Expect, "steps": Gives, "checks": Gives, "gates": Decided,
}  # fmt: skip


def cases_of(workflow: Path) -> Path | None:
    """The file with the cases of the workflow in that file, if there is one beside it."""
    stem = workflow.name
    for suffix in SUFFIXES:
        stem = stem.removesuffix(suffix)
    beside = (workflow.with_name(f"{stem}{CASES}{suffix.removeprefix('.')}") for suffix in SUFFIXES)
    return next((file for file in beside if file.exists()), None)


def workflow_of(cases: Path) -> Path | None:
    """The file with the workflow that a file has cases of, if there is one beside it."""
    stem, _, _ = cases.name.rpartition(CASES)
    beside = (cases.with_name(f"{stem}{suffix}") for suffix in SUFFIXES)
    return next((file for file in beside if file.exists()), None)


def read_cases(file: Path, plan: Plan) -> tuple[Case, ...]:
    """The cases in a file, for the workflow of that plan. Raises `WorkflowError` with all that is wrong."""
    document = document_in(text_of(file), file)
    if not isinstance(document.data, Mapping):
        raise WorkflowError([Fault(file.name, 1, 1, "cases have `name: value` lines")], file)
    faults = list(_Names(document, plan, file.name).faults())
    try:
        cases = Cases.model_validate(document.data)
    except ValidationError as error:
        details = [(path_of(detail, document.data), detail) for detail in error.errors(include_url=False)]
        deeper = {path[:length] for path, _ in details for length in range(len(path))}
        for path, detail in details:
            if path not in deeper:
                place = place_of(document, path, detail["type"])
                faults.append(Fault(file.name, place.line, place.column, sentence(detail, path, _known, "the file")))
        raise WorkflowError(faults, file) from error
    if faults:
        raise WorkflowError(faults, file)
    return cases.whole()


def node_id(step: str) -> str:
    """The id that the file has for a step, an instance or a turn."""
    return _KEYS.sub("", step)


def _known(path: Sequence[int | str]) -> list[str]:
    """The keys that may be where the path's last one was written."""
    model: type[BaseModel] = Cases
    for part in path[:-1]:
        if isinstance(part, str) and part in _MODELS and model in {Cases, Case}:
            model = _MODELS[part]
    return list(model.model_fields)


class _Names:
    """The names in a document that the workflow must know, looked for in what was written, whatever its shape."""

    def __init__(self, document: Document, plan: Plan, file: str) -> None:
        self._document = document
        self._plan = plan
        self._file = file

    def faults(self) -> Iterator[Fault]:
        data = self._document.data
        yield from self._world(data, ())
        cases = data.get("cases")
        for at, case in enumerate(cases if isinstance(cases, list) else ()):
            if isinstance(case, Mapping):
                yield from self._again(case.get("name"), cases[:at], ("cases", at, "name"))
                yield from self._world(case, ("cases", at))
                yield from self._expected(_part(case, "expect"), ("cases", at, "expect"))

    def _world(self, data: Mapping[str, Any], path: Keys) -> Iterator[Fault]:
        inputs = self._plan.workflow.inputs
        for name in _part(data, "inputs"):
            if name not in inputs:
                yield self._fault((*path, "inputs", name), f"there is no input {name}{hint(name, inputs)}")
        for part, look in (("steps", self._gives), ("checks", self._check), ("gates", self._decides)):
            for name, value in _part(data, part).items():
                here = (*path, part, name)
                yield from self._node(name, here)
                if (node := self._plan.nodes.get(node_id(name))) is not None:
                    yield from (self._fault(where, told) for where, told in look(node, value, here))

    def _again(self, name: object, before: list[Any], path: Keys) -> Iterator[Fault]:
        if any(isinstance(case, Mapping) and case.get("name") == name for case in before if name):
            yield self._fault(path, f"another case is called {name}")

    def _gives(self, node: Node, value: Any, path: Keys) -> Iterator[tuple[Keys, str]]:  # noqa: ANN401
        if node.kind is Kind.GATE:
            yield path, f"{node.id} is a gate: its answers go under gates"
        elif node.kind not in _WORK:
            inner = f", as {node.children[0]}" if node.children else ""
            yield path, f"{node.id} does nothing itself{': name a step in it' if inner else ''}{inner}"
        for where, gives in _items(value, path):
            fails = gives.get("fails") if isinstance(gives, Mapping) else None
            if fails == Failure.VERIFY and "verify" not in node.commands:
                yield (*where, "fails"), f"{node.id} has no verify that could fail"

    def _check(self, node: Node, _value: object, path: Keys) -> Iterator[tuple[Keys, str]]:
        if "loop.until_run" not in node.commands:
            yield path, f"{node.id} has no loop with until_run"

    def _decides(self, node: Node, value: Any, path: Keys) -> Iterator[tuple[Keys, str]]:  # noqa: ANN401
        gate = node.step.gate
        if gate is None:
            yield path, f"{node.id} is no gate: what it gives goes under steps"
            return
        for where, each in _items(value, path):
            wanted = each.get("decision") if isinstance(each, Mapping) else each
            if wanted == TIMEOUT and TIMEOUT not in gate.decisions and gate.timeout_s is None:
                yield where, f"{node.id} has no timeout_s: it waits for ever"
            elif isinstance(wanted, str) and wanted not in {*gate.decisions, TIMEOUT}:
                yield where, f"{node.id} does not take {wanted}{hint(wanted, gate.decisions)}"

    def _expected(self, expect: Mapping[str, Any], path: Keys) -> Iterator[Fault]:
        for part in _EXPECTED:
            for name in _part(expect, part):
                yield from self._node(name, (*path, part, name))
        order = expect.get("order")
        for at, name in enumerate(order if isinstance(order, list) else ()):
            if isinstance(name, str):
                yield from self._node(name, (*path, "order", at))
        outputs = self._plan.outputs
        for name in _part(expect, "outputs"):
            if name not in outputs:
                yield self._fault((*path, "outputs", name), f"there is no output {name}{hint(name, outputs)}")

    def _node(self, name: str, path: Keys) -> Iterator[Fault]:
        if node_id(name) not in self._plan.nodes:
            yield self._fault(path, f"there is no step {name}{hint(node_id(name), self._plan.nodes)}")

    def _fault(self, path: Keys, message: str) -> Fault:
        place = self._document.key_place(path)
        return Fault(self._file, place.line, place.column, message)


def _part(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = data.get(name)
    return found if isinstance(found, Mapping) else {}


def _items(value: Any, path: Keys) -> list[tuple[tuple[int | str, ...], Any]]:  # noqa: ANN401 - whatever was written
    """A value, or each of a list of them, with its path."""
    if isinstance(value, list):
        return [((*path, at), each) for at, each in enumerate(value)]
    return [(tuple(path), value)]
