"""THE STATE MACHINE: what was seen, and what the handler of the action says, become events and jobs. Pure.

observed facts ──► fold ──► held? ──no──► handler.step(view) ──► Outcome ──► events, jobs ──┐
│                    ▲                                         │
└──► wait            └──────────── asked again ◄───────────────┘
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

from pydantic import TypeAdapter

from lib.config.model import Sandbox
from lib.contracts import (
    Advance,
    AskCi,
    Fail,
    Finish,
    Outcome,
    PhaseHandler,
    PhaseView,
    Proceed,
    Wait,
)
from lib.design.dependencies import trespasses
from lib.design.scope import sentence
from lib.effects import Collect, CollectResult
from lib.errors import UnreadableError
from lib.events import (
    ActionStarted,
    Advanced,
    Asked,
    CheckpointMade,
    Finished,
    JobDelayed,
    JobEnded,
    JobResumed,
    JobSpawned,
    Noted,
    StateEdited,
    StepAdded,
    StepChanged,
)
from lib.jobs import Job, JobResult
from lib.model import Action, Now, Owner, Problem, Step
from lib.question import Answer, offered
from lib.scheduling.passing_failures import pause_s
from lib.spelling import for_instance
from lib.steps import StepKind, StepStatus
from orchestrator.engine.cancelling import give_up_landing
from orchestrator.engine.decision import Decision, Draft, Seen
from orchestrator.engine.handing_back import action_of, handed_back, warn
from orchestrator.engine.limits import enforce_limits, note_end
from orchestrator.engine.run import Run

MAX_STEPS = 100
#: The label of a checkpoint that is made since the time for one has come.
INTERVAL = "interval"
ACTION: TypeAdapter[str] = TypeAdapter(Action)


Reader = Callable[[str], str | None]


def decide(run: Run, seen: Seen, handlers: Mapping[str, PhaseHandler], now: Now, read: Reader) -> Decision:
    """The next decision; `read` gives a text file of the run's folder.

    `run` is left as it is, but for its ledger: what is changed there is for the caller to settle, or to undo. Raises
    `UnreadableError` if the ledger can't recall jobs.
    """
    turn = Draft(Decision(run.draft()), now)
    for fact in seen.facts:
        turn.emit(_postponed(turn, fact) if isinstance(fact, JobDelayed) else fact)
        if isinstance(fact, StateEdited):
            warn(turn, _doubts(turn.run))
            handed_back(turn, run, fact.edit)
        elif isinstance(fact, JobEnded):
            warn(turn, [*fact.result.warnings, *_trespasses(turn.run, fact)])
            note_end(turn, turn.run.jobs[fact.job])
    _take_up_delayed(turn)
    give_up_landing(turn)
    if turn.run.state.outcome is None:
        if not turn.run.state.paused:
            enforce_limits(turn, seen)
        if not _held(turn.run):
            _dispatch(turn, handlers, read)
    _save(turn)
    return turn.decision


def _due_mono_s(run: Run) -> float | None:
    """The time at which a checkpoint is due, as something has changed since the last one; None if nothing has."""
    since_mono_s, interval_s = run.engine.unsaved_mono_s, run.config.checkpoint_interval_s
    return None if since_mono_s is None or interval_s is None else since_mono_s + interval_s


def _save(turn: Draft) -> None:
    """Makes the checkpoint of a transition, or the one that is due; after a reboot the clock starts again."""
    due, decision = _due_mono_s(turn.run), turn.decision
    if decision.checkpoint is None and due is not None and turn.run.state.outcome is None:
        since_mono_s = turn.run.engine.unsaved_mono_s or 0.0
        if since_mono_s <= turn.now.mono_s < due:
            turn.wake_at(due)
        else:
            decision.checkpoint = INTERVAL
    if decision.checkpoint is not None:
        turn.emit(CheckpointMade(label=decision.checkpoint))


def overdue(run: Run, seen: Seen, now: Now) -> list[Job]:
    """The jobs that are beyond their limits, each with the reason, where nothing can be decided just now."""
    turn = Draft(Decision(run.draft()), now)
    for fact in seen.facts:
        if isinstance(fact, JobSpawned | JobEnded | JobDelayed):
            turn.emit(fact)
    if turn.run.state.outcome is None and not turn.run.state.paused:
        enforce_limits(turn, seen)
    run.ledger.undo()
    return turn.decision.stop


def _postponed(turn: Draft, fact: JobDelayed) -> JobDelayed:
    """The fact with the time of the next try."""
    before = turn.run.jobs[fact.job].delay
    tries = (before.tries if before else 0) + 1
    changes = {"tries": tries, "again_mono_s": turn.now.mono_s + pause_s(tries)}
    return fact.model_copy(update={"delay": fact.delay.model_copy(update=changes)})


def _take_up_delayed(turn: Draft) -> None:
    """Tries again what was delayed, when its pause is over; what is to be stopped ends by that."""
    over = turn.run.state.outcome is not None
    for job in turn.run.ledger.live():
        if job.delay is None or job.delay.again_mono_s is None:
            continue
        if over or (job.stopping and job.process is None):
            result = JobResult(ok=False, code=job.stopping or "cancelled", message=job.delay.problem.message,
                               remedy=job.delay.problem.remedy)  # fmt: skip
            turn.emit(JobEnded(job=job.id, result=result))
        elif turn.run.state.paused:
            continue
        elif turn.now.mono_s < job.delay.again_mono_s:
            turn.wake_at(job.delay.again_mono_s)
        else:
            turn.emit(JobResumed(job=job.id))
            turn.decision.start.append(turn.run.jobs[job.id])


def _doubts(run: Run) -> list[str]:
    """A warning if an edit of state.json may be another's than a person's: what runs without a sandbox can write it."""
    at_work = [job.spec.step for job in run.ledger.live() if job.is_process and job.process]
    if run.config.sandbox is Sandbox.REQUIRE or not at_work:
        return []
    names = ", ".join(sorted({name or "the run" for name in at_work}))
    return [f"state.json was edited while {names} worked without a sandbox: if it was not you, relay pause"]


def _trespasses(run: Run, fact: JobEnded) -> list[str]:
    """Sentences on what a builder changed that is others' by the design, or nobody's."""
    job = run.jobs[fact.job]
    if job.spec.name != Collect.effect or job.spec.step is None or (found := CollectResult.of_job(job)) is None:
        return []
    step = run.steps[job.spec.step]
    if step.kind is not StepKind.BUILDER:
        return []
    outside = sentence(step.id, found.reach)
    return [*trespasses(step, found.changed, run.steps.values()), *([outside] if outside else [])]


def _held(run: Run) -> bool:
    """True if nothing is decided now; a question of builders holds only them."""
    asked = run.state.action_owner is Owner.CI and not run.engine.asking
    return run.state.paused or run.engine.problem is not None or asked


# --- handlers --------------------------------------------------------------------------------------------------------


def _dispatch(turn: Draft, handlers: Mapping[str, PhaseHandler], read: Reader) -> None:
    """Asks the handler of the action, until it waits, asks ci, or the run is over."""
    passes = itertools.count()
    while next(passes) < MAX_STEPS + len(turn.run.steps):
        run = turn.run
        if run.state.outcome is not None or _held(run):
            return
        if not run.engine.begun:
            turn.emit(ActionStarted(action=run.state.action_needed, feedback=run.state.feedback,
                                    workflow=run.state.workflow))  # fmt: skip
        action = action_of(run)
        if not _carry_out(turn, action, _asked_of(handlers, action, _view(turn, read))):
            return
    action = action_of(turn.run)
    _carry_out(turn, action, _broken(f"{action} did not come to rest"))


def _asked_of(handlers: Mapping[str, PhaseHandler], action: str, view: PhaseView) -> Outcome:
    """The handler's outcome; a handler that is missing or raises is a failure like any other, and the loop lives on.

    Raises `UnreadableError`.
    """
    handler = handlers.get(action)
    if handler is None:
        return _broken(f"there is no handler for {action}; there are {', '.join(handlers)}")
    try:
        outcome = handler.step(view)
        if isinstance(outcome, Advance | AskCi):
            ACTION.validate_python(outcome.action)
    except UnreadableError:
        raise
    except Exception as error:  # noqa: BLE001 - handlers are plug-ins
        return _broken(f"the handler of {action} failed: {error!r}")
    return outcome


def _broken(message: str) -> Fail:
    return Fail(Problem(code="handler_failed", message=message, remedy="relay retry"))


def _view(turn: Draft, read: Reader) -> PhaseView:
    run = turn.run
    return PhaseView(
        state=run.state,
        ledger=run.ledger,
        dispatch=run.engine.dispatch,
        feedback=run.engine.feedback,
        answered=run.engine.answered,
        config=run.config,
        now=turn.now,
        read=read,
        holds=run.engine.holds,
        budgets=run.engine.budgets,
        definition=run.definition,
        origin=run.engine.origin,
    )


def _carry_out(turn: Draft, action: str, outcome: Outcome) -> bool:
    """Turns an outcome into events and jobs; whether the handler is to be asked again."""
    match outcome:
        case Wait():
            turn.wake_at(outcome.until_mono_s)
            return False
        case Proceed():
            _proceed(turn, outcome)
        case Advance():
            turn.emit(Advanced(phase=outcome.phase, action=outcome.action, message=outcome.message,
                               workflow=turn.run.state.workflow))  # fmt: skip
            turn.decision.checkpoint = f"{outcome.phase}: {outcome.action}"
        case AskCi() if outcome.steps and turn.run.engine.asking:
            turn.wake_at(outcome.until_mono_s)
            return False
        case AskCi():
            _ask(turn, outcome)
        case Fail():
            ask = AskCi("fix_failure", outcome.error.message, action, error=outcome.error, answers=outcome.answers)
            _ask(turn, ask)
        case Finish():
            turn.emit(Finished(outcome=outcome.outcome, message=outcome.message, phase=outcome.phase,
                               outputs=outcome.outputs))  # fmt: skip
            turn.decision.checkpoint = outcome.outcome.value
    return True


def _proceed(turn: Draft, outcome: Proceed) -> None:
    for note in outcome.notes:
        turn.emit(Noted(message=note))
    for step in outcome.added:
        turn.emit(StepAdded(step=step))
    for change in outcome.changes:
        turn.emit(StepChanged(step=change.step, of=turn.run.steps[change.step].kind, changes=change.fields))
    _withdraw(turn)
    for spec in outcome.jobs:
        turn.start(spec)


def _withdraw(turn: Draft) -> None:
    """Withdraws a question to ci that no step asks any more, as its time is over, or as it was sent back."""
    asking = [turn.run.steps[name] for name in turn.run.engine.asking]
    if asking and not any(_asks(step) for step in asking):
        turn.verb_done("answer", action_of(turn.run))


def _asks(step: Step) -> bool:
    is_open = step.kind is StepKind.GATE and step.status is StepStatus.RUNNING and not step.decision
    return is_open or step.status is StepStatus.FAILED


def _ask(turn: Draft, outcome: AskCi) -> None:
    """Asks in state.json, so the commands are those of its instance."""
    instance, error = turn.run.state.instance, outcome.error
    answers = offered(outcome.action, error.model_dump() if error else None, outcome.answers)
    turn.emit(
        Asked(
            action=outcome.action,
            message=for_instance(outcome.message, instance),
            answers=tuple(Answer(for_instance(each.command, instance), each.does) for each in answers),
            next_action=outcome.next_action,
            phase=outcome.phase,
            error=error and error.model_copy(update={"remedy": for_instance(error.remedy, instance)}),
            steps=outcome.steps,
            decisions=outcome.decisions,
        )
    )
    turn.decision.checkpoint = f"asked: {outcome.action}"
