"""`execution`: every step is moved on at its own pace, by its kind, none blocking another."""

from __future__ import annotations

from itertools import chain
from typing import Protocol

from lib.contracts import Outcome, PhaseView, Proceed
from lib.model import Step
from lib.steps import AT_WORK, BuilderStatus, StepStatus
from phases.steps import Moved, Moves, mover_of

_BEGUN = (*AT_WORK, BuilderStatus.RETRYING, BuilderStatus.FAILED)


class Flow(Protocol):
    """Difference between the builders of a design and a workflow's graph; each is a module of `phases.steps`."""

    def parallel(self, view: PhaseView) -> int:
        """The number of steps that may be at work at once."""
        ...

    def enter(self, step: Step, moves: Moves) -> Moved | None:
        """The first move of a pending step; None while it has to wait."""
        ...

    def rest(self, view: PhaseView) -> Outcome:
        """The outcome where no step moves."""
        ...


class ExecutionHandler:
    """Moves the builders of a design, or the steps of a workflow's graph."""

    name = "execution"
    phases = ("execution",)

    def step(self, view: PhaseView) -> Outcome:
        flow: Flow
        if view.definition is None:
            from phases.steps import builder

            flow = builder
        else:
            from phases.steps import _graph
            from phases.steps._nodes import first_steps

            flow = _graph
            if not view.steps:
                return Proceed(added=first_steps(view.definition, view.state.run, view.config.attempts))
        return _moved(view, flow) or flow.rest(view)


def _moved(view: PhaseView, flow: Flow) -> Proceed | None:
    """All that can be moved now."""
    moves = Moves(view)
    free = flow.parallel(view) - sum(mover_of(step.kind).takes_slot for step in view.ledger.within(*AT_WORK))
    for step in chain(view.ledger.within(*_BEGUN), view.ledger.ready()):
        if step.id in moves.changed:  # by another's move, and so looked at again
            continue
        mover = mover_of(step.kind)
        waits = mover.takes_slot and step.status.wants_slot
        if waits and free <= 0:
            if step.status is StepStatus.PENDING and view.definition is None:
                break  # all the others wait as well
            continue
        moved = flow.enter(step, moves) if step.status is StepStatus.PENDING else mover.move(step, moves)
        if moved is not None:
            moves.add(step, moved)
            free -= waits and moved.job is not None
    return moves.proceed() if moves.changes else None


handler = ExecutionHandler()
