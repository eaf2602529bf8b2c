"""The run as the daemon holds it, and how each event changes it. Replaying a run's events gives the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import Field

from lib.config.model import Config
from lib.events import (
    ActionStarted,
    Advanced,
    Asked,
    AssistantFreed,
    AssistantHeld,
    CheckpointMade,
    Event,
    Finished,
    ForkMade,
    JobDelayed,
    JobEnded,
    JobProgressed,
    JobResumed,
    JobSpawned,
    JobStarted,
    JobStopping,
    ProblemFound,
    ProblemMended,
    RunStarted,
    StateEdited,
    StepAdded,
    StepChanged,
    VerbDone,
)
from lib.jobs import Cooldown, Delay, Job
from lib.ledger import HasLedger, Ledger
from lib.model import NO_ACTION, Definition, Now, Owner, Problem, State, Step, Usage, Value
from lib.origin import Origin
from lib.scheduling.assistant_choice import EXTEND_BUDGET
from lib.steps import AT_WORK, TRANSITIONS, StepStatus

#: Changes that make the next checkpoint of a run differ from its last one.
_TO_SAVE: Final = (Advanced, Asked, Finished, StepAdded, StepChanged, VerbDone)


class IllegalTransitionError(AssertionError):
    """A step was to change its status in a way that `TRANSITIONS` does not have."""


class Engine(Value):
    """The machine's own data of a run, beside state.json."""

    dispatch: int = 0
    begun: bool = False
    feedback: str = ""
    answered: tuple[str, ...] = Field(default=(), description="Questions that were answered in this phase.")
    jobs_started: int = 0
    paused_mono_s: float | None = None
    asking: tuple[str, ...] = Field(
        default=(), description="Builders that wait for the answer to a question; others go on."
    )
    decisions: tuple[str, ...] = Field(default=(), description="Answers of the gate that asks.")
    outputs: Mapping[str, Any] = {}
    holds: Mapping[str, Cooldown] = {}
    budgets: int = Field(default=1, description="How many times the run's budget was granted.")
    problem: Problem | None = None
    warnings: tuple[str, ...] = Field(default=(), description="What is to be known of the run all the while.")
    origin: Origin | None = Field(default=None, description="Where it goes on from another run.")
    unmade: bool = Field(default=False, description="What it takes over from there is still to be made.")
    unsaved_mono_s: float | None = Field(default=None, description="The first change that no checkpoint has.")


@dataclass(slots=True)
class Run(HasLedger):
    """One run in memory. `apply` changes it in place; `copy` gives one that may be changed without touching this.

    A `draft` has the ledger of its run: what is changed there is settled or undone.
    """

    state: State
    config: Config
    engine: Engine = field(default_factory=Engine)
    definition: Definition | None = None
    ledger: Ledger = field(default_factory=Ledger)

    def draft(self) -> Run:
        return replace(self)

    def copy(self) -> Run:
        return replace(self, ledger=self.ledger.copy())


def begin(event: RunStarted, config: Config, now: Now, definition: Definition | None = None) -> Run:
    """A new run; `definition` is that of its workflow, None for `build`."""
    state = State(
        rev=1,
        run=event.run,
        workflow=event.workflow,
        instance=event.instance,
        requirement=event.requirement,
        phase=event.phase,
        action_owner=Owner.CODE,
        action_needed=event.action,
        message=f"{event.action} is about to start",
        feedback=event.feedback,
        base=event.base,
        created_at=now.wall,
        updated_at=now.wall,
    )
    engine = Engine(warnings=event.warnings, origin=event.origin, unmade=event.origin is not None)
    return Run(state=state, config=config, engine=engine, definition=definition)


def apply(run: Run, event: Event, now: Now) -> None:
    """Folds one event into `run`, in place. Raises `IllegalTransitionError`."""
    _fold(run, event, now)
    if isinstance(event, ForkMade):
        _engine(run, unmade=False)
    elif isinstance(event, CheckpointMade):
        _engine(run, unsaved_mono_s=None)
    elif isinstance(event, _TO_SAVE) and run.engine.unsaved_mono_s is None:
        _engine(run, unsaved_mono_s=now.mono_s)


def _fold(run: Run, event: Event, now: Now) -> None:
    match event:
        case StateEdited():
            _state(run, **event.edit.changes())
            _pause_clock(run, now)
        case ProblemFound() | ProblemMended():
            _engine(run, problem=event.problem if isinstance(event, ProblemFound) else None)
        case ActionStarted():
            _engine(run, begun=True, feedback=event.feedback)
            _state(run, feedback="", message=_under_way(event.action), answers=(), error=None)
        case Asked():
            _ask(run, event)
        case Advanced():
            _advance(run, event)
        case Finished():
            _engine(run, asking=(), decisions=(), outputs=event.outputs)
            _state(run, outcome=event.outcome, message=event.message, action_owner=Owner.CODE,
                   action_needed=NO_ACTION, next_action=NO_ACTION, answers=(), error=None,
                   phase=event.phase or run.state.phase)  # fmt: skip
        case VerbDone():
            _engine(run, asking=(), decisions=())
            _state(run, action_owner=Owner.CODE, action_needed=event.action, next_action=NO_ACTION, feedback="",
                   answers=(), error=None, message=_under_way(event.action))  # fmt: skip
        case StepAdded():
            run.ledger.put_step(event.step)
        case StepChanged():
            _change_step(run, event)
        case AssistantHeld() | AssistantFreed():
            _hold(run, event)
        case JobStarted() | JobSpawned() | JobProgressed() | JobStopping() | JobDelayed() | JobResumed() | JobEnded():
            _job(run, event, now)
        case _:
            pass  # the other facts are for the log alone


def _state(run: Run, **changes: Any) -> None:  # noqa: ANN401 - field values of State
    run.state = run.state.model_copy(update=changes)


def _engine(run: Run, **changes: Any) -> None:  # noqa: ANN401 - field values of Engine
    run.engine = run.engine.model_copy(update=changes)


def _under_way(action: str) -> str:
    return f"{action} is under way"


def _ask(run: Run, event: Asked) -> None:
    _engine(run, asking=event.steps, decisions=event.decisions)
    phase = event.phase or run.state.phase
    if phase != run.state.phase:
        _engine(run, answered=())
    _state(
        run,
        phase=phase,
        action_owner=Owner.CI,
        action_needed=event.action,
        next_action=event.next_action,
        message=event.message,
        answers=event.answers,
        error=event.error,
    )


def _advance(run: Run, event: Advanced) -> None:
    answered = run.engine.answered if event.phase == run.state.phase else ()
    if event.answered:
        answered = (*answered, event.answered)
    budgets = run.engine.budgets + (event.answered == EXTEND_BUDGET)
    _engine(run, budgets=budgets, dispatch=run.engine.dispatch + 1, begun=False, feedback="", answered=answered,
            asking=(), decisions=())  # fmt: skip
    for builder in run.ledger.within(*AT_WORK):
        if job := run.jobs.get(builder.job or ""):  # what it does goes on
            run.ledger.put_job(job.model_copy(update={"dispatch": run.engine.dispatch}))
    _state(run, phase=event.phase, action_needed=event.action, action_owner=Owner.CODE, next_action=NO_ACTION,
           message=event.message or run.state.message, answers=(), error=None)  # fmt: skip


def _change_step(run: Run, event: StepChanged) -> None:
    old = run.steps[event.step]
    new = old.model_copy(update=dict(event.changes))
    if new.status is not old.status:
        if new.status not in TRANSITIONS[old.status] or old.landed or (old.merged and new.status is StepStatus.SKIPPED):
            raise IllegalTransitionError(f"{old.id}: {old.status} → {new.status}")
        new = _moved(new)
    run.ledger.put_step(new)


def _moved(step: Step) -> Step:
    """The step without what was true of it only in the status that it has left."""
    kept = {"stage": step.stage if step.status is StepStatus.RUNNING else "",
            "merged": step.merged and step.status is StepStatus.DONE}  # fmt: skip
    return step.model_copy(update=kept)


_JobEvent = JobStarted | JobSpawned | JobProgressed | JobStopping | JobDelayed | JobResumed | JobEnded


def _job(run: Run, event: _JobEvent, now: Now) -> None:
    if isinstance(event, JobStarted):
        job = event.job
        _engine(run, jobs_started=run.engine.jobs_started + 1)
        if job.spec.step:
            _point(run, job.spec.step, job.id)
    elif isinstance(event, JobSpawned):
        job = run.jobs[event.job].model_copy(update={"process": event.process})
    elif isinstance(event, JobProgressed):
        job = run.jobs[event.job].model_copy(update={"progress": event.progress})
    elif isinstance(event, JobStopping):
        job = run.jobs[event.job].model_copy(update={"stopping": event.reason})
    elif isinstance(event, JobDelayed | JobResumed):
        job = _delayed(run.jobs[event.job], event, now)
    else:
        job = run.jobs[event.job].model_copy(update={"result": event.result, "ended_at": now.wall})
        _spend(run, job.spec.step, event.result.usage)
    run.ledger.put_job(job)


def _delayed(job: Job, event: JobDelayed | JobResumed, now: Now) -> Job:
    """The time before a process was launched does not count against its limits."""
    started_mono_s = now.mono_s if job.process is None else job.started_mono_s
    if isinstance(event, JobDelayed):
        delay: Delay | None = event.delay
    else:
        delay = job.delay.model_copy(update={"again_mono_s": None}) if job.delay else None
    return job.model_copy(update={"delay": delay, "started_mono_s": started_mono_s})


def _hold(run: Run, event: AssistantHeld | AssistantFreed) -> None:
    others = {name: hold for name, hold in run.engine.holds.items() if name != event.assistant}
    _engine(run, holds={**others, event.assistant: event.hold} if isinstance(event, AssistantHeld) else others)


def _spend(run: Run, builder: str | None, usage: Usage) -> None:
    if builder is None:
        _state(run, usage=run.state.usage.plus(usage))
    else:
        old = run.steps[builder]
        run.ledger.put_step(old.model_copy(update={"usage": old.usage.plus(usage)}))


def _point(run: Run, builder: str, job: str) -> None:
    run.ledger.put_step(run.steps[builder].model_copy(update={"job": job}))


def _pause_clock(run: Run, now: Now) -> None:
    """Time that a run was paused does not count against its jobs."""
    since = run.engine.paused_mono_s
    if run.state.paused and since is None:
        _engine(run, paused_mono_s=now.mono_s)
    elif not run.state.paused and since is not None:
        _engine(run, paused_mono_s=None)
        for job in run.ledger.live():
            moved = job.started_mono_s + max(0.0, now.mono_s - since)
            run.ledger.put_job(job.model_copy(update={"started_mono_s": moved}))
