"""`end`: the run ends here: steps that have not begun are left out, and those at work are waited for. Pure."""

from __future__ import annotations

from lib.errors import UsageError
from lib.model import Step
from lib.steps import StepStatus
from lib.workflow.evaluating import EvaluationError
from phases.steps import Moved, Moves
from phases.steps._failing import fails, handed_back
from phases.steps._names import names_for
from phases.steps._nodes import node_of


class Ends:
    takes_slot = False

    def move(self, step: Step, moves: Moves) -> Moved | None:
        if step.status is StepStatus.FAILED and (again := handed_back(moves.view, step)):
            return Moved(again)
        if step.status not in {StepStatus.PENDING, StepStatus.RETRYING}:
            return None
        view, node = moves.view, node_of(moves.view, step)
        try:
            reason = node.templates["end.reason"].rendered(names_for(view, step))
        except (EvaluationError, UsageError) as error:
            return Moved(fails(view, step, error.message))
        status = node.step.end.status.value if node.step.end else ""
        return Moved({"status": StepStatus.DONE, "output": {"status": status, "reason": reason}, "note": reason,
                      "started_at": view.now.wall, "ended_at": view.now.wall})  # fmt: skip


mover = Ends()
