"""The run as the daemon holds it, and how each event changes it. Replaying a run's events gives the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import Field

from lib.chain import EXTEND_BUDGET
from lib.config import Config
from lib.events import (
    ActionStarted,
    Advanced,
    Asked,
    AssistantFreed,
    AssistantHeld,
    Event,
    Finished,
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
from lib.jobs import Condition, Delay, Hold, Job, Progress
from lib.model import NO_ACTION, BuilderLine, Now, Owner, Problem, State, Step, Usage, Value
from lib.steps import TRANSITIONS, StepStatus
from lib.wording import beyond


class IllegalTransitionError(AssertionError):
    """A step was to change its status in a way that `TRANSITIONS` does not have."""


class Engine(Value):
    """The machine's own data of a run, beside state.json."""

    dispatch: int = 0
    begun: bool = False
    feedback: str = ""
    answers: tuple[str, ...] = ()
    jobs_started: int = 0
    paused_mono_s: float | None = None
    asking: tuple[str, ...] = Field(
        default=(), description="Builders that wait for the answer to a question; others go on."
    )
    holds: Mapping[str, Hold] = {}
    budgets: int = Field(default=1, description="How many times the run's budget was granted.")
    problem: Problem | None = None
    warnings: tuple[str, ...] = Field(default=(), description="What is to be known of the run all the while.")


@dataclass(slots=True)
class Run:
    """One run in memory. `apply` changes it in place; `copy` gives one that may be changed without touching this."""

    state: State
    config: Config
    engine: Engine = field(default_factory=Engine)
    steps: dict[str, Step] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)

    def copy(self) -> Run:
        return replace(self, steps=dict(self.steps), jobs=dict(self.jobs))

    def live_jobs(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.result is None]


def begin(event: RunStarted, config: Config, now: Now) -> Run:
    """A new run."""
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
        base=event.base,
        created_at=now.wall,
        updated_at=now.wall,
    )
    return Run(state=state, config=config, engine=Engine(warnings=event.warnings))


def apply(run: Run, event: Event, now: Now) -> None:
    """Folds one event into `run`, in place. Raises `IllegalTransitionError`."""
    match event:
        case StateEdited():
            _state(run, **event.edit.changes())
            _pause_clock(run, now)
        case ProblemFound() | ProblemMended():
            _engine(run, problem=event.problem if isinstance(event, ProblemFound) else None)
        case ActionStarted():
            _engine(run, begun=True, feedback=event.feedback)
            _state(run, feedback="", message=_under_way(event.action), error=None)
        case Asked():
            _ask(run, event)
        case Advanced():
            _advance(run, event)
        case Finished():
            _engine(run, asking=())
            _state(run, outcome=event.outcome, message=event.message, action_owner=Owner.CODE,
                   action_needed=NO_ACTION, next_action=NO_ACTION, error=None,
                   phase=event.phase or run.state.phase)  # fmt: skip
        case VerbDone():
            _engine(run, asking=())
            _state(run, action_needed=event.action, next_action=NO_ACTION, feedback="", error=None,
                   message=_under_way(event.action))  # fmt: skip
        case StepAdded():
            run.steps[event.step.id] = event.step
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
    _engine(run, asking=event.steps)
    phase = event.phase or run.state.phase
    if phase != run.state.phase:
        _engine(run, answers=())
    _state(
        run,
        phase=phase,
        action_owner=Owner.CI,
        action_needed=event.action,
        next_action=event.next_action,
        message=event.message,
        error=event.error,
    )


def _advance(run: Run, event: Advanced) -> None:
    answers = run.engine.answers if event.phase == run.state.phase else ()
    if event.answered:
        answers = (*answers, event.answered)
    budgets = run.engine.budgets + (event.answered == EXTEND_BUDGET)
    _engine(run, budgets=budgets, dispatch=run.engine.dispatch + 1, begun=False, feedback="", answers=answers,
            asking=())  # fmt: skip
    for builder in run.steps.values():
        if builder.status is StepStatus.RUNNING and (job := run.jobs.get(builder.job or "")):  # what it does goes on
            run.jobs[job.id] = job.model_copy(update={"dispatch": run.engine.dispatch})
    _state(run, phase=event.phase, action_needed=event.action, action_owner=Owner.CODE, next_action=NO_ACTION,
           message=event.message or run.state.message, error=None)  # fmt: skip


def _change_step(run: Run, event: StepChanged) -> None:
    old = run.steps[event.step]
    new = old.model_copy(update=dict(event.changes))
    if new.status is not old.status:
        if new.status not in TRANSITIONS[old.status] or old.landed or (old.merged and new.status is StepStatus.SKIPPED):
            raise IllegalTransitionError(f"{old.id}: {old.status} → {new.status}")
        new = _moved(new)
    run.steps[new.id] = new


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
    run.jobs[job.id] = job


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
        run.steps[builder] = old.model_copy(update={"usage": old.usage.plus(usage)})


def _point(run: Run, builder: str, job: str) -> None:
    run.steps[builder] = run.steps[builder].model_copy(update={"job": job})


def _pause_clock(run: Run, now: Now) -> None:
    """Time that a run was paused does not count against its jobs."""
    since = run.engine.paused_mono_s
    if run.state.paused and since is None:
        _engine(run, paused_mono_s=now.mono_s)
    elif not run.state.paused and since is not None:
        _engine(run, paused_mono_s=None)
        for job in run.live_jobs():
            moved = job.started_mono_s + max(0.0, now.mono_s - since)
            run.jobs[job.id] = job.model_copy(update={"started_mono_s": moved})


def present(run: Run, named: Callable[[str], str] = str) -> State:
    """state.json as it is to be written: the run's state with its builders in short, its texts as `named` has them."""
    counts = Counter(builder.shown.value for builder in run.steps.values())
    usage = run.state.usage
    for builder in run.steps.values():
        usage = usage.plus(builder.usage)
    for job in run.live_jobs():
        usage = usage.plus(job.progress.usage)
    delays = (job.delay.problem for job in run.live_jobs() if job.delay)
    error = run.state.error or next(delays, None)
    if error:
        error = error.model_copy(update={"message": named(error.message), "remedy": named(error.remedy)})
    lines = (_line(run, builder) for builder in run.steps.values())
    return run.state.model_copy(
        update={"builders": tuple(line.model_copy(update={"worktree": named(line.worktree), "note": named(line.note)})
                                  for line in lines),
                "progress": dict(counts), "message": named(run.state.message), "error": error,
                "usage": usage if usage != Usage() else Usage()}
    )  # fmt: skip


def _line(run: Run, builder: Step) -> BuilderLine:
    job = run.jobs.get(builder.job or "")
    live = job is not None and job.result is None and job.is_process
    return BuilderLine(
        id=builder.id,
        status=builder.shown,
        branch=builder.branch,
        worktree=builder.worktree,
        assistant=builder.assistant,
        attempt=builder.attempt,
        pid=job.process.pid if job and live and job.process else None,
        started_at=builder.started_at,
        ended_at=builder.ended_at,
        verified=builder.verified,
        note=(job and _waits(job))
        or (said(job.progress) if job and live else "")
        or (builder.error.message if builder.error else _note(builder)),
    )


def _waits(job: Job) -> str:
    """The reason why a job is delayed; empty if it is not."""
    return f"{job.spec.name} waits: {job.delay.problem.message}" if job.delay and job.result is None else ""


def _note(builder: Step) -> str:
    return "; ".join(filter(None, (beyond(builder.reach.outside, builder.reach.deleted), builder.note)))


def said(progress: Progress) -> str:
    """The condition of a turn in words; nothing while it simply works."""
    if progress.condition is Condition.WORKING:
        return ""
    until = f", until {progress.until:%H:%M:%S} UTC" if progress.until else ""
    words = progress.condition.value.replace("_", " ")
    return f"{words}{until}" + (f": {progress.reason}" if progress.reason else "")
