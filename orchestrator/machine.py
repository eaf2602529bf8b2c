"""THE STATE MACHINE: what was seen, and what the handler of the action says, become events and jobs. Pure.

observed facts ──► fold ──► held? ──no──► handler.step(view) ──► Outcome ──► events, jobs ──┐
│                    ▲                                         │
└──► wait            └──────────── asked again ◄───────────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from lib.attempts import another_round
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
from lib.events import (
    ActionStarted,
    Advanced,
    Asked,
    BuilderAdded,
    BuilderChanged,
    Event,
    Finished,
    JobStarted,
    JobStopping,
    Noted,
    StateEdited,
    VerbDone,
)
from lib.model import Action, Builder, BuilderStatus, Edit, Job, JobKind, JobSpec, Now, Owner, Problem, RunOutcome
from orchestrator.fold import AT_WORK, SETTLED, Run, apply

MAX_STEPS = 100
ACTION: TypeAdapter[str] = TypeAdapter(Action)
RETRY, SKIP, CANCEL = "retry", "skip", "cancel"
#: Actions that the machine carries out itself.
VERBS = (RETRY, SKIP, CANCEL)
UNFINISHED = AT_WORK | {BuilderStatus.PENDING, BuilderStatus.RETRYING, BuilderStatus.FAILED}


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a job has printed nothing, and how much it printed in all."""

    silent_s: float
    output_bytes: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What a tick observed: facts in the order in which they were seen, and the output of running jobs."""

    facts: Sequence[Event] = ()
    output: Mapping[str, Silence] = field(default_factory=dict)


@dataclass(slots=True)
class Decision:
    """What follows: the new run, the events that led to it, what to start, and when to look again."""

    run: Run
    events: list[Event] = field(default_factory=list)
    start: list[Job] = field(default_factory=list)
    stop: list[Job] = field(default_factory=list)
    wake_at_mono_s: float | None = None
    checkpoint: str | None = None


Reader = Callable[[str], str | None]


def decide(run: Run, seen: Seen, handlers: Mapping[str, PhaseHandler], now: Now, read: Reader) -> Decision:
    """The next decision. `run` is left as it is; `read` gives a text file of the run's folder."""
    turn = _Turn(Decision(run.copy()), now)
    for fact in seen.facts:
        turn.emit(fact)
        if isinstance(fact, StateEdited):
            _handed_back(turn, run, fact.edit)
    if turn.run.state.outcome is None:
        _enforce_limits(turn, seen)
        if not _held(turn.run):
            _dispatch(turn, handlers, read)
    return turn.decision


class _Turn:
    """The decision in the making."""

    def __init__(self, decision: Decision, now: Now) -> None:
        self.decision = decision
        self.now = now

    @property
    def run(self) -> Run:
        return self.decision.run

    def emit(self, event: Event) -> None:
        apply(self.run, event, self.now)
        self.decision.events.append(event)

    def wake_at(self, mono_s: float | None) -> None:
        known = self.decision.wake_at_mono_s
        if mono_s is not None and (known is None or mono_s < known):
            self.decision.wake_at_mono_s = mono_s

    def stop(self, job: Job, reason: str) -> None:
        if not job.stopping:
            self.emit(JobStopping(job=job.id, reason=reason))
            self.decision.stop.append(self.run.jobs[job.id])

    def start(self, spec: JobSpec) -> None:
        number = self.run.engine.jobs_started + 1
        attempt = self.run.builders[spec.builder].attempt if spec.builder else 1
        job = Job(
            id=f"{number:04d}-{spec.builder or 'run'}-{spec.name}",
            spec=spec,
            attempt=attempt,
            dispatch=self.run.engine.dispatch,
            started_at=self.now.wall,
            started_mono_s=self.now.mono_s,
        )
        self.emit(JobStarted(job=job))
        self.decision.start.append(job)


def _held(run: Run) -> bool:
    return run.state.paused or run.engine.problem is not None or run.state.action_owner is Owner.CI


# --- hand-backs ------------------------------------------------------------------------------------------------------


def legal_actions(run: Run, handlers: Mapping[str, PhaseHandler]) -> list[str]:
    """The actions of code that may be asked for in the run's phase; verbs may be followed by ids of builders."""
    return [name for name, handler in handlers.items() if run.state.phase in handler.phases] + list(VERBS)


def _handed_back(turn: _Turn, before: Run, edit: Edit) -> None:
    """An edit that gives the run to code, or that names another action while code has it."""
    if before.state.outcome is not None or turn.run.state.action_owner is Owner.CI:
        return
    asked = before.state.action_owner is Owner.CI
    if not asked and edit.action_needed is None:
        return
    current = before.state.next_action if asked else before.state.action_needed
    wanted = edit.action_needed or current
    verb, *names = wanted.split(" ")
    if verb == CANCEL:
        _cancel(turn)
    elif verb in _VERBS:
        for name in names:
            _VERBS[verb](turn, turn.run.builders[name])
        if asked:
            _hand_to(turn, current, answered="")
        else:
            turn.emit(VerbDone(verb=verb, action=current))
    else:
        _hand_to(turn, wanted, answered=before.state.action_needed if asked and wanted == current else "")


def _hand_to(turn: _Turn, action: str, answered: str) -> None:
    """A new dispatch; what runs of the old one, and belongs to no builder, is stopped."""
    for job in turn.run.live_jobs():
        if job.spec.builder is None:
            turn.stop(job, "superseded")
    turn.emit(Advanced(phase=turn.run.state.phase, action=action, message=f"{action} follows", answered=answered))


def _retry(turn: _Turn, builder: Builder) -> None:
    """Another round of attempts, also for one that is at work or was skipped."""
    if builder.status not in {*SETTLED, BuilderStatus.CANCELLED, BuilderStatus.PENDING}:
        _end_job(turn, builder, "retry")
        changes = another_round(builder, turn.run.state.feedback, turn.run.config)
        turn.emit(BuilderChanged(builder=builder.id, changes=changes))


def _skip(turn: _Turn, builder: Builder) -> None:
    if builder.status not in SETTLED - {BuilderStatus.BUILT}:
        _end_job(turn, builder, "skipped")
        changes = {"status": BuilderStatus.SKIPPED, "note": "skipped", "ended_at": turn.now.wall}
        turn.emit(BuilderChanged(builder=builder.id, changes=changes))


_VERBS = {RETRY: _retry, SKIP: _skip}


def _cancel(turn: _Turn) -> None:
    for job in turn.run.live_jobs():
        turn.stop(job, "cancelled")
    for builder in list(turn.run.builders.values()):
        if builder.status in UNFINISHED:
            turn.emit(BuilderChanged(builder=builder.id, changes={"status": BuilderStatus.CANCELLED,
                                                                  "ended_at": turn.now.wall}))  # fmt: skip
    message = "Cancelled; branches, worktrees and checkpoints are kept. See: relay recover"
    turn.emit(Finished(outcome=RunOutcome.CANCELLED, message=message))
    turn.decision.checkpoint = "cancelled"


def _end_job(turn: _Turn, builder: Builder, reason: str) -> None:
    job = turn.run.jobs.get(builder.job or "")
    if job is not None and job.result is None:
        turn.stop(job, reason)


# --- limits ----------------------------------------------------------------------------------------------------------


def _enforce_limits(turn: _Turn, seen: Seen) -> None:
    """Ends jobs that ran, were silent, or printed beyond their limits. A paused run's clock stands still."""
    if turn.run.state.paused:
        return
    for job in turn.run.live_jobs():
        if job.spec.kind is JobKind.EFFECT or job.process is None or job.stopping:
            continue
        reason, due = _limit(turn, job, seen.output.get(job.id))
        if reason:
            turn.stop(job, reason)
        turn.wake_at(due)


def _limit(turn: _Turn, job: Job, output: Silence | None) -> tuple[str, float | None]:
    now, spec = turn.now, job.spec
    due: list[float] = []
    if spec.timeout_s is not None:
        due.append(job.started_mono_s + spec.timeout_s)
        if now.mono_s >= due[-1]:
            return "timeout", None
    if output is not None and spec.idle_timeout_s is not None:
        due.append(now.mono_s + spec.idle_timeout_s - output.silent_s)
        if output.silent_s >= spec.idle_timeout_s:
            return "idle", None
    if output is not None and output.output_bytes > turn.run.config.output_max_mb * 1e6:
        return "output_limit", None
    return "", min(due, default=None)


# --- handlers --------------------------------------------------------------------------------------------------------


def _dispatch(turn: _Turn, handlers: Mapping[str, PhaseHandler], read: Reader) -> None:
    """Asks the handler of the action, until it waits, asks ci, or the run is over."""
    for _ in range(MAX_STEPS):
        run = turn.run
        if run.state.outcome is not None or _held(run):
            return
        if not run.engine.begun:
            turn.emit(ActionStarted(action=run.state.action_needed, feedback=run.state.feedback))
        action = run.state.action_needed
        if not _carry_out(turn, action, _asked_of(handlers, action, _view(turn, read))):
            return
    message = f"{turn.run.state.action_needed} did not come to rest in {MAX_STEPS} steps"
    _carry_out(turn, turn.run.state.action_needed, _broken(message))


def _asked_of(handlers: Mapping[str, PhaseHandler], action: str, view: PhaseView) -> Outcome:
    """What the handler says; one that is missing or raises is told like any other failure, and the loop lives on."""
    handler = handlers.get(action)
    if handler is None:
        return _broken(f"there is no handler for {action}; there are {', '.join(handlers)}")
    try:
        outcome = handler.step(view)
        if isinstance(outcome, Advance | AskCi):
            ACTION.validate_python(outcome.action)
    except Exception as error:  # noqa: BLE001 - handlers are plug-ins
        return _broken(f"the handler of {action} failed: {error!r}")
    return outcome


def _broken(message: str) -> Fail:
    return Fail(Problem(code="handler_failed", message=message, remedy="relay retry"))


def _view(turn: _Turn, read: Reader) -> PhaseView:
    run = turn.run
    return PhaseView(
        state=run.state,
        builders=run.builders,
        jobs=run.jobs,
        dispatch=run.engine.dispatch,
        feedback=run.engine.feedback,
        answers=run.engine.answers,
        config=run.config,
        now=turn.now,
        read=read,
    )


def _carry_out(turn: _Turn, action: str, outcome: Outcome) -> bool:
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
        case AskCi():
            _ask(turn, outcome)
        case Fail():
            ask = AskCi("fix_failure", f"{outcome.error.message}. Then: {outcome.error.remedy}",
                        next_action=action, error=outcome.error)  # fmt: skip
            _ask(turn, ask)
        case Finish():
            turn.emit(Finished(outcome=outcome.outcome, message=outcome.message, phase=outcome.phase))
            turn.decision.checkpoint = outcome.outcome.value
    return True


def _proceed(turn: _Turn, outcome: Proceed) -> None:
    for note in outcome.notes:
        turn.emit(Noted(message=note))
    for builder in outcome.added:
        turn.emit(BuilderAdded(builder=builder))
    for change in outcome.changes:
        turn.emit(BuilderChanged(builder=change.builder, changes=change.fields))
    for spec in outcome.jobs:
        turn.start(spec)


def _ask(turn: _Turn, outcome: AskCi) -> None:
    turn.emit(
        Asked(
            action=outcome.action,
            message=outcome.message,
            next_action=outcome.next_action,
            phase=outcome.phase,
            error=outcome.error,
        )
    )
    turn.decision.checkpoint = f"asked: {outcome.action}"
