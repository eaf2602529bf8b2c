"""`fan`: an instance of a step for each item, known by its key; its output is theirs, in order of the items. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from lib.contracts import PhaseView
from lib.model import Step
from lib.steps import StepStatus
from lib.workflow.evaluating import EvaluationError
from lib.workflow.graph import MAX_INSTANCES, own_key
from lib.workflow.plan import Node, filled
from phases.steps._boxes import Box, members_of
from phases.steps._names import names_for
from phases.steps._nodes import instances, node_of


def _members(view: PhaseView, fan: Step) -> list[Step]:
    """The instances, for the items as they are now. Raises `EvaluationError`."""
    node = node_of(view, fan)
    names = names_for(view, fan)
    found: dict[str, Any] = {}
    for item in _items(node, names):
        key = _key(node, names, item)
        if key in found:
            raise EvaluationError(f"two items have the key {key!r}; give them a `key`", 0)
        found[key] = item
    made = instances(view, fan, found.items())
    if len({each.id for each in made}) < len(made):
        raise EvaluationError("two items have keys that are too alike; give them a `key` of letters and digits", 0)
    return made


def _items(node: Node, names: dict[str, Any]) -> Iterator[Any]:
    if node.items is not None:
        items = node.items.value(names)
    elif node.axes:
        axes = {name: filled(values, names) for name, values in node.axes.items()}
        lists = [_listed(values, name) for name, values in axes.items()]
        items = [dict(zip(axes, each, strict=True)) for each in itertools.product(*lists)]
    else:
        items = [instance.item for instance in node.instances]
    if len(_listed(items, "in")) > MAX_INSTANCES:
        raise EvaluationError(f"there are {len(items):,} items; the limit is {MAX_INSTANCES:,}", 0)
    return iter(items)


def _listed(value: Any, name: str) -> list[Any]:  # noqa: ANN401 - any JSON value
    if not isinstance(value, list | tuple):
        raise EvaluationError(f"{name} of a fan-out must be a list", 0)
    return list(value)


def _key(node: Node, names: dict[str, Any], item: Any) -> str:  # noqa: ANN401 - any JSON value
    foreach = node.step.foreach
    if foreach is None or "foreach.key" not in node.templates:
        return own_key(item)
    return node.templates["foreach.key"].rendered(names | {"item": item, foreach.name: item})


def _output(view: PhaseView, fan: Step) -> list[Any]:
    return [_given(step) for step in members_of(view, fan)]


def _given(step: Step) -> Any:  # noqa: ANN401 - any JSON value
    """The output of an instance; its failure as data."""
    if step.status is StepStatus.DONE:
        return step.output
    return {"status": step.status.value, "error": step.error.message if step.error else step.note}


mover = Box(_members, _output)
