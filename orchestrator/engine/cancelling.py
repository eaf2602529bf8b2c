"""The end of a run that a person cancels: at once, or when it is known whether its landing could be stopped. Pure."""

from __future__ import annotations

from typing import Final

from lib.events import Finished, StepChanged
from lib.jobs import Job
from lib.model import RunOutcome
from lib.steps import StepStatus
from orchestrator.engine.decision import Draft
from orchestrator.engine.run import Run

CANCEL: Final = "cancel"
#: The reason for which jobs are stopped then.
CANCELLED: Final = "cancelled"


def landing(run: Run) -> Job | None:
    """The landing that is under way, or that has moved the branch."""
    last = _last_landing(run)
    return last if last is not None and (last.result is None or last.result.ok) else None


def cancel(turn: Draft, action: str) -> None:
    """Ends the run, unless its landing has begun: that is asked to stop, and `action` goes on until it has ended."""
    if begun := landing(turn.run):
        turn.stop(begun, CANCELLED)
        turn.verb_done(CANCEL, action)
    else:
        _end(turn)


def give_up_landing(turn: Draft) -> None:
    """Ends the run whose landing was stopped by that before the branch moved."""
    last = _last_landing(turn.run)
    if last and last.stopping == CANCELLED and last.result and not last.result.ok and turn.run.state.outcome is None:
        _end(turn)


def _last_landing(run: Run) -> Job | None:
    return next((job for job in reversed(run.ledger.jobs_of(None)) if job.spec.name == "land"), None)


def _end(turn: Draft) -> None:
    for job in turn.run.ledger.live():
        turn.stop(job, CANCELLED)
    for builder in list(turn.run.steps.values()):
        if builder.status.is_unfinished:
            turn.emit(StepChanged(step=builder.id, changes={"status": StepStatus.CANCELLED,
                                                                  "ended_at": turn.now.wall}))  # fmt: skip
    message = "Cancelled; branches, worktrees and checkpoints are kept. See: relay recover"
    turn.emit(Finished(outcome=RunOutcome.CANCELLED, message=message))
    turn.decision.checkpoint = CANCELLED
