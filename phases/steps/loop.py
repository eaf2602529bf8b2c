"""`loop`: a step, or a group, over and over, until something is so; its output is that of the last turn. Pure."""

from __future__ import annotations

from lib.contracts import PhaseView
from lib.errors import UsageError
from lib.model import Step, StepChange
from lib.scheduling.retries import LOST, UNCOUNTED
from lib.steps import Stage, StepStatus
from lib.workflow.evaluating import EvaluationError, condition
from lib.workflow.options import Loop
from phases.steps import Moved, Moves
from phases.steps._boxes import failed_members, opened, renewed
from phases.steps._failing import fails, handed_back
from phases.steps._leaving_out import is_cut_off, left_out
from phases.steps._names import names_after
from phases.steps._nodes import node_of, turn_of
from phases.steps._work import checking

#: Ends of a check that say nothing about what it checks: it is run again.
_NO_VERDICT = frozenset({*UNCOUNTED, LOST})


class Loops:
    """At work from the first turn to the last; between two, what ends it is asked."""

    takes_slot = False

    def move(self, step: Step, moves: Moves) -> Moved | None:
        view = moves.view
        try:
            return _move(view, step, moves)
        except (EvaluationError, UsageError) as error:
            return Moved(fails(view, step, error.message))


def _move(view: PhaseView, step: Step, moves: Moves) -> Moved | None:
    match step.status:
        case StepStatus.PENDING:
            return _opened(view, step, [turn_of(view, step, 1)], attempts=step.per_round)
        case StepStatus.RETRYING:
            return _opened(view, step, [view.steps[name] for name in step.members], attempts=step.attempts)
        case StepStatus.FAILED:
            again = handed_back(view, step)
            return Moved(again) if again else None
        case StepStatus.RUNNING if not view.ledger.count_open(step.id):
            return _after_turn(view, step, moves)
    return None


def _opened(view: PhaseView, step: Step, turns: list[Step], *, attempts: int) -> Moved:
    """The loop at work; what its record has as attempts are turns."""
    moved = opened(view, step, turns)
    counts: StepChange = {"attempt": len(turns), "attempts": attempts}
    return moved._replace(fields=moved.fields | counts)


def _after_turn(view: PhaseView, step: Step, moves: Moves) -> Moved | None:
    """The move between two turns."""
    last, loop = view.steps[step.members[-1]], _loop(view, step)
    if failed := failed_members(view, step):
        return Moved(fails(view, step, f"{failed[0].id} failed"))
    until = node_of(view, step).until
    if until is not None and condition(until, names_after(view, step)):
        return _ended(view, last)
    if loop.until_run is not None:
        check = view.jobs.get(step.job or "") if step.stage == Stage.VERIFYING else None
        if check is None or (check.result is not None and check.result.code in _NO_VERDICT):
            return checking(step, moves)
        if check.result is None:
            return None
        if check.result.ok:
            return _ended(view, last)
    if is_cut_off(step, moves):
        return left_out(view, step, "the run ends")
    if step.attempt >= step.attempts:
        return Moved(fails(view, step, f"{step.attempt} turns did not end it"))
    return _next(view, step)


def _next(view: PhaseView, step: Step) -> Moved:
    """The next turn, which goes on in the conversation of the last one."""
    turn = turn_of(view, step, len(step.members) + 1)
    fields: StepChange = {"members": (*step.members, turn.id), "stage": Stage.WORKING, "attempt": step.attempt + 1}
    if turn.id in view.steps:
        return Moved(fields, others=tuple(renewed(view, [turn])))
    return Moved(fields, added=(turn,))


def _ended(view: PhaseView, last: Step) -> Moved:
    return Moved({"status": StepStatus.DONE, "output": last.output, "ended_at": view.now.wall})


def _loop(view: PhaseView, step: Step) -> Loop:
    loop = node_of(view, step).step.loop
    if loop is None:
        raise TypeError(f"{step.id} is no loop")
    return loop


mover = Loops()
