"""The critical path of a run: the steps, one after another, that decided how long it took. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from lib.steps import BOXES, StepKind


class Timed(NamedTuple):
    """A step of a run, with the seconds that it took: of a box those are of its members."""

    id: str
    kind: str = StepKind.BUILDER
    needs: tuple[str, ...] = ()
    parent: str = ""
    members: tuple[str, ...] = ()
    seconds: float = 0.0


class CriticalPath(NamedTuple):
    """The ids of its steps, in order, and the sum of their seconds."""

    steps: tuple[str, ...] = ()
    seconds: float = 0.0


#: The moment when a step begins (False) or is over (True).
_Moment = tuple[str, bool]


def critical_path(steps: Iterable[Timed]) -> CriticalPath:
    """The longest way through a run by what its steps need and the seconds that they took.

    A step in a box begins after the box, and the box is over after its members; turns of a loop follow one another. No
    path is found in records that need each other in a circle.
    """
    known = {step.id: step for step in steps}
    before = {moment: after for step in known.values() for moment, after in _moments(step, known)}
    try:
        order = [*TopologicalSorter(before).static_order()]
    except CycleError:
        return CriticalPath()
    ends: dict[_Moment, float] = {}
    via: dict[_Moment, _Moment] = {}
    for moment in order:
        last = max(before[moment], key=ends.__getitem__, default=None)
        start = ends[last] if last else 0.0
        if last:
            via[moment] = last
        ends[moment] = start + (_own_s(known[moment[0]]) if moment[1] else 0.0)
    at = max(ends, key=ends.__getitem__, default=None)
    seconds = ends[at] if at else 0.0
    path: list[str] = []
    while at:
        if at[1] and _own_s(known[at[0]]):
            path.append(at[0])
        at = via.get(at)
    return CriticalPath(tuple(reversed(path)), seconds)


def _moments(step: Timed, known: Mapping[str, Timed]) -> Iterable[tuple[_Moment, list[_Moment]]]:
    """Both moments of a step, each with those that come before it."""
    after = [(need, True) for need in step.needs if need in known]
    if step.parent in known:
        box = known[step.parent]
        after.append((box.id, False))
        at = box.members.index(step.id) if box.kind == StepKind.LOOP and step.id in box.members else 0
        after += [(turn, True) for turn in box.members[:at][-1:] if turn in known]
    yield (step.id, False), after
    yield (step.id, True), [(step.id, False), *((member, True) for member in step.members if member in known)]


def _own_s(step: Timed) -> float:
    return 0.0 if step.kind in BOXES else max(0.0, step.seconds)
