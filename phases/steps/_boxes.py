"""Boxes: steps that hold others, and are over when these are. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from lib.contracts import Change, PhaseView
from lib.errors import UsageError
from lib.model import Step, StepChange
from lib.steps import StepKind, StepStatus
from lib.workflow.evaluating import EvaluationError
from lib.workflow.options import Join, OnFailure
from phases.steps import Moved, Moves
from phases.steps._failing import fails, handed_back
from phases.steps._nodes import node_of
from phases.steps._sending_back import reset

_SHOWN: Final = 5


class Box:
    """A box whose members and whose output are found by the functions that it is made of."""

    takes_slot = False

    def __init__(
        self, members: Callable[[PhaseView, Step], list[Step]], output: Callable[[PhaseView, Step], Any]
    ) -> None:  # fmt: skip
        self._members = members
        self._output = output

    def move(self, step: Step, moves: Moves) -> Moved | None:
        view = moves.view
        try:
            if step.status in {StepStatus.PENDING, StepStatus.RETRYING}:
                return opened(view, step, self._members(view, step))
            if step.status is StepStatus.FAILED and (again := handed_back(view, step)):
                return Moved(again)
            if step.status is StepStatus.RUNNING and not view.ledger.count_open(step.id):
                return _closed(view, step, self._output)
        except (EvaluationError, UsageError) as error:
            return Moved(fails(view, step, error.message))
        return None


def opened(view: PhaseView, step: Step, members: list[Step]) -> Moved:
    """The box at work. Of its members those that were lost run again; those that it has no more are left out."""
    names = tuple(each.id for each in members)
    fields: StepChange = {"status": StepStatus.RUNNING, "members": names, "attempt": step.attempt + 1, "error": None,
                          "note": "", "started_at": view.now.wall}  # fmt: skip
    left: StepChange = {"status": StepStatus.SKIPPED, "ruled_out": True, "note": "left over from an earlier round"}
    others = renewed(view, members)
    others += [Change(name, left) for name in step.members
               if name not in names and view.steps[name].status is StepStatus.PENDING]  # fmt: skip
    return Moved(fields, added=tuple(each for each in members if each.id not in view.steps), others=tuple(others))


def renewed(view: PhaseView, members: Iterable[Step]) -> list[Change]:
    """The changes of members that are there from an earlier round."""
    return [Change(each.id, changes) for each in members if (changes := _renewed(view, each))]


def failed_members(view: PhaseView, box: Step) -> list[Step]:
    """The members by whose failure the box fails."""
    return [each for each in members_of(view, box) if each.tolerated and not _says_so(view, each, box)]


def _renewed(view: PhaseView, member: Step) -> StepChange:
    """The changes of a member that is there from an earlier round: another item, and of a lost one a new beginning."""
    known = view.steps.get(member.id)
    if known is None:
        return {}
    item: StepChange = {} if known.item == member.item else {"item": member.item}
    return item | (reset(known) if known.is_lost else {})


def _closed(view: PhaseView, step: Step, output: Callable[[PhaseView, Step], Any]) -> Moved:
    """The end of the box: it fails with its members, but for those that say themselves that others go on."""
    if failed := failed_members(view, step):
        names = ", ".join(each.id for each in failed[:_SHOWN])
        return Moved(fails(view, step, f"{len(failed)} of {len(step.members)} failed: {names}"))
    done: StepChange = {"status": StepStatus.DONE, "output": output(view, step), "ended_at": view.now.wall}
    return Moved(done)


def members_of(view: PhaseView, box: Step) -> list[Step]:
    return [view.steps[name] for name in box.members]


def _says_so(view: PhaseView, member: Step, box: Step) -> bool:
    node = node_of(view, member)
    joins_all = node.step.foreach is not None and node.step.foreach.join is Join.ALL_DONE
    is_continued = node.step.on_failure is OnFailure.CONTINUE
    return joins_all if box.kind is StepKind.FAN else is_continued and box.kind is not StepKind.LOOP
