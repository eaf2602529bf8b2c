"""The order of steps: what each needs, cycles, and who comes before whom. Pure."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from lib.workflow.definition import Kind
from lib.workflow.expanding import Draft, Drafts
from lib.workflow.faults import hint
from lib.workflow.plan import TOP

#: Cycles of one box that are shown at once.
_MAX_CYCLES: Final = 20


class Order:
    """The needs of all drafts by full ids, and the questions that they answer. Faults go to the drafts'."""

    def __init__(self, drafts: Drafts, lost: frozenset[str]) -> None:
        """`lost` are ids of steps that could not be read: needing one is no further fault."""
        self._drafts = drafts
        self._lost = lost
        self.needs: dict[str, tuple[str, ...]] = {}
        for draft in drafts.by_id.values():
            self.needs[draft.id] = tuple(self._needs_of(draft))
        self.sequence: dict[str, list[str]] = {box: self._ordered(box) for box in drafts.locals}
        self._places = {name: place for members in self.sequence.values() for place, name in enumerate(members)}
        self._before: dict[str, dict[str, int]] = {}

    def is_before(self, first: str, second: str) -> bool:
        """True if one step has ended, in whatever way, when the other begins: it is upstream of it."""
        mine, its = self._boxes(first), self._boxes(second)
        for box in mine.keys() & its.keys():
            here, there = mine[box], its[box]
            if here != there:
                final = self._drafts.by_id[there].final and not self._drafts.by_id[here].final
                return final or self._precedes(box, here, there)
        return False

    def _boxes(self, name: str) -> dict[str, str]:
        """For each box around a step, the member of it that the step is, or is in."""
        found = {}
        while name != TOP:
            parent = self._drafts.by_id[name].parent
            found[parent] = name
            name = parent
        return found

    def _precedes(self, box: str, first: str, second: str) -> bool:
        if first in self.needs[second]:
            return True
        masks = self._before.get(box)
        if masks is None:
            masks = self._before[box] = self._masks(box)
        return bool(masks[second] >> self._places[first] & 1)

    def _masks(self, box: str) -> dict[str, int]:
        """For each member of a box, the members before it as bits by their places in its sequence."""
        masks: dict[str, int] = {}
        for name in self.sequence[box]:
            mask = 0
            for need in self._members(box, name):
                mask |= masks.get(need, 0) | 1 << self._places[need]
            masks[name] = mask
        return masks

    def _members(self, box: str, name: str) -> Iterable[str]:
        """The members of the box that a member needs: for a step within an include, that include."""
        for need in self.needs[name]:
            while self._drafts.by_id[need].parent != box:
                need = self._drafts.by_id[need].parent  # noqa: PLW2901 - going up
            yield need

    def _needs_of(self, draft: Draft) -> Iterable[str]:
        names, seen = self._drafts.locals[draft.parent], set[str]()
        for at, need in enumerate(draft.step.needs):
            found = self._found(names, need)
            if found is None:
                if need not in self._lost:
                    self._fault(draft, at, self._unknown(draft, need, names))
            elif found == draft.id:
                self._fault(draft, at, f"{draft.local} needs itself")
            elif self._drafts.by_id[found].final and not draft.final:
                self._fault(draft, at, f"{need} is in `finally`, and runs after all steps")
            elif found not in seen:
                seen.add(found)
                yield found

    def _found(self, names: Mapping[str, str], need: str) -> str | None:
        first, *rest = need.split(".")
        found = names.get(first)
        for part in rest:
            if found is None or self._drafts.by_id[found].step.kind is not Kind.INCLUDE:
                return None
            found = self._drafts.locals[found].get(part)
        return found

    def _unknown(self, draft: Draft, need: str, names: Mapping[str, str]) -> str:
        for box in self._drafts.chain(draft.parent):
            if need in self._drafts.locals[box] and box != draft.parent:
                inside = self._drafts.by_id[draft.parent].local
                return f"{need} is outside the group {inside}; let the group need it"
        for box, inner in self._drafts.locals.items():
            if box != TOP and need in inner and self._drafts.by_id[box].step.kind is Kind.GROUP:
                return f"{need} is inside the group {self._drafts.by_id[box].local}; need the group"
        return f"there is no step {need}{hint(need, [name for name in names if name != draft.local])}"

    def _fault(self, draft: Draft, at: int, message: str) -> None:
        self._drafts.faults.append(draft.source.fault((*draft.path, "needs", at), message))

    def _ordered(self, box: str) -> list[str]:
        members = list(self._drafts.locals[box].values())
        graph = {name: list(self._members(box, name)) for name in members}
        for _ in range(_MAX_CYCLES):
            try:
                return list(graphlib.TopologicalSorter(graph).static_order())
            except graphlib.CycleError as error:
                cycle = [str(name) for name in reversed(error.args[1])]
                self._tell_cycle(cycle)
                graph[cycle[0]].remove(cycle[1])
        return members

    def _tell_cycle(self, cycle: Sequence[str]) -> None:
        names = [self._drafts.by_id[name].local for name in cycle]
        draft = self._drafts.by_id[cycle[0]]
        message = f"steps form a cycle: {' → '.join(names)}; remove one of these needs"
        at = next((at for at, need in enumerate(draft.step.needs) if need.split(".")[0] in names), 0)
        self._fault(draft, at, message)
