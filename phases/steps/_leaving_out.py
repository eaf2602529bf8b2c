"""Steps that are left out: by their condition or their needs, or as the run ends before them. Pure."""

from __future__ import annotations

from lib.contracts import Change, PhaseView
from lib.model import Step, StepChange
from lib.steps import StepKind, StepStatus
from phases.steps import Moved, Moves
from phases.steps._nodes import around, node_of
from phases.steps._sending_back import inside


def left_out(view: PhaseView, step: Step, why: str) -> Moved:
    """The step is skipped, with what an earlier round has left in it."""
    fields: StepChange = {"status": StepStatus.SKIPPED, "ruled_out": True, "note": why, "ended_at": view.now.wall}
    inner = (each for each in inside(view, step) if each.status is StepStatus.PENDING)
    return Moved(fields, others=tuple(Change(each.id, fields) for each in inner))


def end_of(moves: Moves) -> dict[str, str] | None:
    """The output of the step that ended the run, if one has."""
    ends = (moves.step(step.id) for step in moves.view.ledger.of_kind(StepKind.END))
    return next((step.output for step in ends if step.status is StepStatus.DONE), None)


def is_cut_off(step: Step, moves: Moves) -> bool:
    """True if the run ends before the step, which is none of `finally`."""
    view = moves.view
    return end_of(moves) is not None and not any(node_of(view, each).final for each in around(view.steps, step))
