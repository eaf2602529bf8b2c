"""The shape of a plan: levels, width, and the critical path. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lib.workflow.plan import TOP, Node, Plan

_NO_WEIGHTS: Final[Mapping[str, float]] = {}


@dataclass(frozen=True, slots=True)
class Shape:
    """The levels of a plan, each a list of ids whose steps can run at once; and the longest way through it.

    `length` is the sum of the weights on the critical path: seconds, if weights are; steps, if there are none.
    """

    levels: tuple[tuple[str, ...], ...]
    critical: tuple[str, ...]
    length: float

    @property
    def width(self) -> int:
        return max(map(len, self.levels), default=0)


def shape(plan: Plan, weights: Mapping[str, float] = _NO_WEIGHTS) -> Shape:
    """The shape of a plan. `weights` are past durations by id, in seconds; a step without one counts as 1."""
    depths, _, _ = _Ends(plan, _NO_WEIGHTS).walked()
    levels: list[list[str]] = []
    for name, depth in depths.items():
        while len(levels) < depth:
            levels.append([])
        levels[int(depth) - 1].append(name)
    ends, before, last = _Ends(plan, weights).walked()
    path: list[str] = []
    while last:
        path.append(last)
        last = before[last]
    return Shape(tuple(map(tuple, levels)), tuple(reversed(path)), max(ends.values(), default=0.0))


class _Ends:
    """Walks a plan in its order, and notes for each step when it ends if all that can, runs at once."""

    def __init__(self, plan: Plan, weights: Mapping[str, float]) -> None:
        self._plan = plan
        self._weights = weights
        self._ends: dict[str, float] = {}
        self._before: dict[str, str] = {}
        #: For each node, a box too, its end and the leaf that ends last in it.
        self._done: dict[str, tuple[float, str]] = {}

    def walked(self) -> tuple[dict[str, float], dict[str, str], str]:
        """The end of each leaf, the leaf that it waited for longest, and the leaf that ends last of all."""
        top = list(self._plan.within(TOP))
        last = self._box([node for node in top if not node.final], (0.0, ""))
        last = self._box([node for node in top if node.final], last)
        return self._ends, self._before, last[1]

    def _box(self, nodes: list[Node], begin: tuple[float, str]) -> tuple[float, str]:
        """The end of the last of nodes that may begin then, in an order in which each comes after what it needs."""
        last = begin
        for node in nodes:
            last = max(last, self._node(node, begin))
        return last

    def _node(self, node: Node, begin: tuple[float, str]) -> tuple[float, str]:
        start = max([begin, *(self._done[need] for need in node.needs)])
        if node.is_box:
            self._done[node.id] = self._box([self._plan.nodes[child] for child in node.children], start)
        else:
            end = start[0] + self._weights.get(node.id, 1.0)
            self._ends[node.id], self._before[node.id] = end, start[1]
            self._done[node.id] = (end, node.id)
        return self._done[node.id]
