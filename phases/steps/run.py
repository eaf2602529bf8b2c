"""`run`: a command, in the worktree that a workflow's steps share, or in none. Pure."""

from __future__ import annotations

from lib.jobs import JobResult
from lib.model import Step
from lib.steps import StepStatus
from lib.workflow.schemas import misfits
from phases.steps import Moved, Moves
from phases.steps._failing import ended_badly
from phases.steps._nodes import node_of
from phases.steps._work import after_work, begin, command, go_on


class Runs:
    """Run, collected, verified."""

    takes_slot = True

    def move(self, step: Step, moves: Moves) -> Moved | None:
        if step.status is StepStatus.PENDING:
            return begin(step, moves, _work)
        return go_on(step, moves, _work, _worked)


def _work(step: Step, moves: Moves) -> Moved:
    return Moved({}, command(moves.view, step, "run", "run", gives=True))


def _worked(step: Step, moves: Moves, result: JobResult) -> Moved:
    schema = node_of(moves.view, step).step.output_schema
    wrong = misfits(schema, result.output) if schema is not None else []
    if wrong:
        message = f"its output does not fit output_schema: {'; '.join(wrong)}"
        job = moves.view.jobs[step.job or ""]
        return Moved(ended_badly(moves.view, step, job, JobResult(ok=False, code="schema", message=message)))
    return after_work(moves.view, step, result.output)


mover = Runs()
