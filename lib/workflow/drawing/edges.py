"""The words and arrows that all pictures of a plan have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Final

from lib.display import counted, escaped
from lib.workflow.plan import Node, Plan
from lib.workflow.shape import Shape

#: Arrows between two boxes.
_MAX_BUNDLE: Final = 400
TIMES: Final = "\N{MULTIPLICATION SIGN}"


def summary(plan: Plan, form: Shape) -> str:
    """The numbers of a graph in one line."""
    steps = counted(len(plan.leaves), "step")
    return f"{steps}, {counted(len(form.levels), 'level')}, at most {form.width} at once"


def notes(node: Node) -> list[str]:
    """Short words on what makes a step more than one thing done once."""
    found = []
    if node.instances:
        found.append(f"{TIMES}{len(node.instances)}")
    elif node.fans_out:
        found.append(f"{TIMES} items")
    if node.step.loop:
        found.append(f"loop ≤{node.step.loop.max_iterations}")
    if node.step.compete:
        found.append(f"compete {TIMES}{len(node.step.compete.assistants)}")
    if node.when is not None:
        found.append("if")
    if node.step.optional:
        found.append("optional")
    if node.final:
        found.append("finally")
    return found


def label(node: Node) -> str:
    """The id within its box, and the notes."""
    own = node.id.removeprefix(f"{node.parent}.") if node.parent else node.id
    return escaped(" ".join([own, *notes(node)]))


def arrows(plan: Plan) -> Iterator[tuple[str, str]]:
    """Each need as (from, to): between steps, from the last steps of a box and to its first ones."""
    for node in plan.nodes.values():
        begins = _begins(plan, node.id)
        for need in node.needs:
            yield from _pairs(_ends(plan, need), begins)


def _pairs(ends: list[str], begins: list[str]) -> Iterable[tuple[str, str]]:
    """Each with each; where those are too many to be seen, so many that none is without an arrow."""
    if len(ends) * len(begins) <= _MAX_BUNDLE:
        return product(ends, begins)
    longer = max(len(ends), len(begins))
    return ((ends[at % len(ends)], begins[at % len(begins)]) for at in range(longer))


def _begins(plan: Plan, name: str) -> list[str]:
    node = plan.nodes[name]
    if not node.is_box:
        return [name]
    first = [child for child in node.children if not plan.nodes[child].needs]
    return [leaf for child in first for leaf in _begins(plan, child)]


def _ends(plan: Plan, name: str) -> list[str]:
    node = plan.nodes[name]
    if not node.is_box:
        return [name]
    needed = {need for child in node.children for need in plan.nodes[child].needs}
    last = [child for child in node.children if child not in needed]
    return [leaf for child in last for leaf in _ends(plan, child)]
