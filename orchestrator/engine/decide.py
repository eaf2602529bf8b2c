"""THE STATE MACHINE: what was seen, and what the handler of the action says, become events and jobs. Pure.

observed facts ──► fold ──► held? ──no──► handler.step(view) ──► Outcome ──► events, jobs ──┐
│                    ▲                                         │
└──► wait            └──────────── asked again ◄───────────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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
    Finished,
    JobDelayed,
    JobEnded,
    JobResumed,
    JobSpawned,
    Noted,
    StateEdited,
    StepAdded,
    StepChanged,
    VerbDone,
)
from lib.jobs import Job, JobResult
from lib.model import Action, Edit, Now, Owner, Problem, Step
from lib.project.paths import BASE_WORKTREE
from lib.question import Answer, offered
from lib.scheduling.passing_failures import pause_s
from lib.scheduling.retries import another_round
from lib.spelling import for_instance
from lib.steps import BuilderStatus, StepStatus
from orchestrator.engine.cancelling import CANCEL, cancel, give_up_landing
from orchestrator.engine.decision import Decision, Draft, Seen
from orchestrator.engine.limits import enforce_limits, free_all, note_end
from orchestrator.engine.run import Run

MAX_STEPS = 100
ACTION: TypeAdapter[str] = TypeAdapter(Action)
RETRY, SKIP = "retry", "skip"
#: Actions that the machine carries out itself.
VERBS = (RETRY, SKIP, CANCEL)
#: What was done, or has never been begun.
_NOT_RETRIED = frozenset({StepStatus.DONE, StepStatus.CANCELLED, StepStatus.PENDING})


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
            _warn(turn, _doubts(turn.run))
            _handed_back(turn, run, fact.edit)
        elif isinstance(fact, JobEnded):
            _warn(turn, [*fact.result.warnings, *_trespasses(turn.run, fact)])
            note_end(turn, turn.run.jobs[fact.job])
    _take_up_delayed(turn)
    give_up_landing(turn)
    if turn.run.state.outcome is None:
        if not turn.run.state.paused:
            enforce_limits(turn, seen)
        if not _held(turn.run):
            _dispatch(turn, handlers, read)
    return turn.decision


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


def _warn(turn: Draft, sentences: Sequence[str]) -> None:
    for words in sentences:
        turn.emit(Noted(message=words, level="warning"))


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
    outside = sentence(step.id, found.reach)
    return [*trespasses(step, found.changed, run.steps.values()), *([outside] if outside else [])]


def _held(run: Run) -> bool:
    """True if nothing is decided now; a question of builders holds only them."""
    asked = run.state.action_owner is Owner.CI and not run.engine.asking
    return run.state.paused or run.engine.problem is not None or asked


def action_of(run: Run) -> str:
    """The action of code that is under way, or follows when ci hands back."""
    return run.state.next_action if run.state.action_owner is Owner.CI else run.state.action_needed


# --- hand-backs ------------------------------------------------------------------------------------------------------


def legal_actions(run: Run, handlers: Mapping[str, PhaseHandler]) -> list[str]:
    """The actions of code that may be asked for in the run's phase; verbs may be followed by ids of builders."""
    return [name for name, handler in handlers.items() if run.state.phase in handler.phases] + list(VERBS)


def _handed_back(turn: Draft, before: Run, edit: Edit) -> None:
    """An edit that gives the run to code, or that names another action while code has it."""
    if before.state.outcome is not None or turn.run.state.action_owner is Owner.CI:
        return
    asked = before.state.action_owner is Owner.CI
    if not asked and edit.action_needed is None:
        return
    free_all(turn)
    current = action_of(before)
    wanted = edit.action_needed or current
    verb, *names = wanted.split(" ")
    if verb == CANCEL:
        cancel(turn, current)
    elif verb in _VERBS:
        reopened = [name for name in names if verb == RETRY and _fails_merged(before, name)]
        for name in names:
            (_reopen if name in reopened else _VERBS[verb])(turn, turn.run.steps[name])
        if reopened:
            _hand_to(turn, "execution", answered="", phase="execution")
        elif asked and not (names and _gave_up(turn.run)):
            _hand_to(turn, current, answered="")
        else:
            turn.emit(VerbDone(verb=verb, action=current))
    elif wanted == current and before.engine.asking:
        for name in before.engine.asking:
            _retry(turn, turn.run.steps[name])
        turn.emit(VerbDone(verb="answer", action=current))
    else:
        _hand_to(turn, wanted, answered=before.state.action_needed if asked and wanted == current else "")


def _fails_merged(run: Run, name: str) -> bool:
    """True if ci is asked about a merged tree that fails, which the builder's work is in."""
    is_red = run.state.phase == "merge_build" and run.state.action_needed == "fix_failure"
    return is_red and may_reopen(run.steps[name])


def may_reopen(step: Step) -> bool:
    """True if its work is in the merged tree, or about to be, and has not landed."""
    return step.status is StepStatus.DONE and not step.landed


def nothing_to_retry(run: Run, name: str) -> str:
    """A sentence if a retry of the builder changes nothing now; empty if it gets another round."""
    step = run.steps[name]
    if step.status not in _NOT_RETRIED or _fails_merged(run, name):
        return ""
    return f"{name} is {step.shown.value}: there is nothing to retry"


def _gave_up(run: Run) -> bool:
    """True if failed builders remain that nobody decided on: a new dispatch would give them new attempts."""
    return bool(run.ledger.count(BuilderStatus.FAILED))


def _hand_to(turn: Draft, action: str, answered: str, phase: str = "") -> None:
    """A new dispatch; what runs of the old one, and belongs to no builder, is stopped."""
    for job in turn.run.ledger.live():
        if job.spec.step is None:
            turn.stop(job, "superseded")
    turn.emit(
        Advanced(phase=phase or turn.run.state.phase, action=action, message=f"{action} follows", answered=answered)
    )


def _retry(turn: Draft, builder: Step) -> None:
    """Another round of attempts, also for one that is at work or was skipped."""
    if vain := nothing_to_retry(turn.run, builder.id):
        _warn(turn, [vain])
        return
    _end_job(turn, builder, "retry")
    changes = another_round(builder, turn.run.state.feedback, turn.run.config)
    turn.emit(StepChanged(step=builder.id, changes=changes))


def _reopen(turn: Draft, builder: Step) -> None:
    """Another round for a builder that is built, with how the merged tree fails; its work is merged again then."""
    told = builder.model_copy(update={"feedback": _red(turn.run)})
    changes = another_round(told, turn.run.state.feedback, turn.run.config)
    turn.emit(StepChanged(step=builder.id, changes=changes))


def _red(run: Run) -> str:
    """The last failure of the merged tree, for the builder that is to mend it."""
    commands = (job for job in reversed(run.ledger.jobs_of(None)) if job.command and job.result)
    job = next((job for job in commands if job.spec.worktree != BASE_WORKTREE), None)
    if job is None or job.result is None or job.result.ok:
        return ""
    tail = job.result.tail.strip()
    return f"With the work of all builders merged, {job.spec.name} failed: {job.result.message}\n\n{tail}".strip()


def _skip(turn: Draft, builder: Step) -> None:
    if not builder.merged:
        _end_job(turn, builder, "skipped")
        turn.emit(StepChanged(step=builder.id, changes={"status": StepStatus.SKIPPED, "note": "skipped",
                                                       "ended_at": turn.now.wall}))  # fmt: skip


_VERBS = {RETRY: _retry, SKIP: _skip}


def _end_job(turn: Draft, builder: Step, reason: str) -> None:
    job = turn.run.jobs.get(builder.job or "")
    if job is not None and job.result is None:
        turn.stop(job, reason)


# --- handlers --------------------------------------------------------------------------------------------------------


def _dispatch(turn: Draft, handlers: Mapping[str, PhaseHandler], read: Reader) -> None:
    """Asks the handler of the action, until it waits, asks ci, or the run is over."""
    for _ in range(MAX_STEPS):
        run = turn.run
        if run.state.outcome is not None or _held(run):
            return
        if not run.engine.begun:
            turn.emit(ActionStarted(action=run.state.action_needed, feedback=run.state.feedback))
        action = action_of(run)
        if not _carry_out(turn, action, _asked_of(handlers, action, _view(turn, read))):
            return
    action = action_of(turn.run)
    _carry_out(turn, action, _broken(f"{action} did not come to rest in {MAX_STEPS} steps"))


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
            turn.emit(Advanced(phase=outcome.phase, action=outcome.action, message=outcome.message))
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
            turn.emit(Finished(outcome=outcome.outcome, message=outcome.message, phase=outcome.phase))
            turn.decision.checkpoint = outcome.outcome.value
    return True


def _proceed(turn: Draft, outcome: Proceed) -> None:
    for note in outcome.notes:
        turn.emit(Noted(message=note))
    for step in outcome.added:
        turn.emit(StepAdded(step=step))
    for change in outcome.changes:
        turn.emit(StepChanged(step=change.step, changes=change.fields))
    for spec in outcome.jobs:
        turn.start(spec)


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
        )
    )
    turn.decision.checkpoint = f"asked: {outcome.action}"
