"""Steps that are left out: by their condition or their needs, or as the run ends before them. Pure."""

from __future__ import annotations

from lib.contracts import Change, PhaseView
from lib.model import Step, StepChange
from lib.steps import StepKind, StepStatus
from lib.workflow.options import EndStatus
from phases.steps import Moved, Moves
from phases.steps._failing import is_late
from phases.steps._nodes import node_of, plan_in
from phases.steps._sending_back import inside


def left_out(view: PhaseView, step: Step, why: str) -> Moved:
    """The step is skipped, with what an earlier round has left in it."""
    fields: StepChange = {"status": StepStatus.SKIPPED, "ruled_out": True, "note": why, "ended_at": view.now.wall}
    inner = (each for each in inside(view, step) if each.status is StepStatus.PENDING)
    return Moved(fields, others=tuple(Change(each.id, fields) for each in inner))


def end_of(moves: Moves) -> dict[str, str] | None:
    """The status and the reason by which the run ended before its steps were over: by one of them, or by its time."""
    if is_late(moves.view):
        timeout_s = plan_in(moves.view).workflow.timeout_s
        return {"status": EndStatus.FAILED, "reason": f"its steps took longer than {timeout_s:g} s"}
    ends = (moves.step(step.id) for step in moves.view.ledger.of_kind(StepKind.END))
    return next((step.output for step in ends if step.status is StepStatus.DONE), None)


def is_cut_off(step: Step, moves: Moves) -> bool:
    """True if the run ends before the step, which is none of `finally`."""
    view = moves.view
    return end_of(moves) is not None and not node_of(view, step).final
