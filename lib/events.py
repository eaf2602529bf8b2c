"""Every fact that Relay can state. Log, history, status and the state itself are made from these alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from lib.jobs import Cooldown, Delay, Job, JobResult, ProcessIdentity, Progress
from lib.model import Base, Edit, Problem, RunOutcome, Step, StepChange, Value
from lib.origin import Origin
from lib.question import Answer
from lib.steps import BUILD, StepKind


class RunStarted(Value):
    """`feedback` are words for the first action; `origin` is where a run goes on that began as another one."""

    kind: Literal["run_started"] = "run_started"
    run: str
    workflow: str
    instance: str
    requirement: str
    base: Base
    phase: str
    action: str
    warnings: tuple[str, ...] = ()
    feedback: str = ""
    origin: Origin | None = None


class ForkMade(Value):
    """The branches and files that the run takes over from another one are there."""

    kind: Literal["fork_made"] = "fork_made"
    branches: tuple[str, ...] = ()


class CheckpointMade(Value):
    """A checkpoint is made with these events."""

    kind: Literal["checkpoint_made"] = "checkpoint_made"
    label: str


class OrchestratorStarted(Value):
    kind: Literal["orchestrator_started"] = "orchestrator_started"
    pid: int
    adopted: tuple[str, ...] = ()


class OrchestratorStopped(Value):
    kind: Literal["orchestrator_stopped"] = "orchestrator_stopped"
    reason: str


class StateEdited(Value):
    """Somebody else's edit of state.json was taken up; `rebased` says that it was made on an older revision."""

    kind: Literal["state_edited"] = "state_edited"
    edit: Edit
    rebased: bool = False


class StateRestored(Value):
    kind: Literal["state_restored"] = "state_restored"
    reason: str


class ProblemFound(Value):
    """state.json, or something else outside, holds the run until it is mended."""

    kind: Literal["problem_found"] = "problem_found"
    problem: Problem


class ProblemMended(Value):
    kind: Literal["problem_mended"] = "problem_mended"
    code: str


class ActionStarted(Value):
    """The handler named by `action_needed` was asked for the first time since it was handed the run."""

    kind: Literal["action_started"] = "action_started"
    action: str
    feedback: str = ""
    workflow: str = BUILD


class Asked(Value):
    """ci is to act; `phase` is entered with the question, or kept where None. `answers` is all that can be typed then.

    If `steps` ask, only they wait for the answer; of a gate it is one of the `decisions`.
    """

    kind: Literal["asked"] = "asked"
    action: str
    message: str
    answers: tuple[Answer, ...] = ()
    next_action: str
    phase: str | None = None
    error: Problem | None = None
    steps: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()


class Advanced(Value):
    kind: Literal["advanced"] = "advanced"
    phase: str
    action: str
    message: str = ""
    answered: str = ""
    workflow: str = BUILD


class VerbDone(Value):
    """A verb (`skip`, `retry`) or the answer to builders was carried out, and the action that was under way goes on."""

    kind: Literal["verb_done"] = "verb_done"
    verb: str
    action: str
    workflow: str = BUILD


class Finished(Value):
    """The run is over; `phase` is entered with it, or kept where None. `outputs` are what its workflow gives."""

    kind: Literal["finished"] = "finished"
    outcome: RunOutcome
    message: str
    phase: str | None = None
    outputs: Mapping[str, Any] = {}


class StepAdded(Value):
    kind: Literal["step_added"] = "step_added"
    step: Step


class StepChanged(Value):
    """`of` is the kind of the step."""

    kind: Literal["step_changed"] = "step_changed"
    step: str
    of: StepKind = StepKind.BUILDER
    changes: StepChange


class JobStarted(Value):
    """The intent: recorded before anything is done."""

    kind: Literal["job_started"] = "job_started"
    job: Job


class JobSpawned(Value):
    kind: Literal["job_spawned"] = "job_spawned"
    job: str
    process: ProcessIdentity


class JobProgressed(Value):
    kind: Literal["job_progressed"] = "job_progressed"
    job: str
    progress: Progress


class AssistantHeld(Value):
    """Nothing is launched of that assistant for a while; `assistant` is its name without a variant."""

    kind: Literal["assistant_held"] = "assistant_held"
    assistant: str
    hold: Cooldown


class AssistantFreed(Value):
    kind: Literal["assistant_freed"] = "assistant_freed"
    assistant: str


class JobStopping(Value):
    """Relay is about to end a job; recorded before the first signal, so that its exit is not read as its own."""

    kind: Literal["job_stopping"] = "job_stopping"
    job: str
    reason: str


class JobDelayed(Value):
    """The machine refused what was to be done for a job (its effect, or judging its end): it is done again later."""

    kind: Literal["job_delayed"] = "job_delayed"
    job: str
    delay: Delay


class JobResumed(Value):
    """A job's delayed effect, or the delayed judging of its end, is tried again."""

    kind: Literal["job_resumed"] = "job_resumed"
    job: str


class JobEnded(Value):
    kind: Literal["job_ended"] = "job_ended"
    job: str
    result: JobResult


class Noted(Value):
    kind: Literal["noted"] = "noted"
    message: str
    level: Literal["info", "warning"] = "info"


Event = Annotated[
    RunStarted
    | ForkMade
    | CheckpointMade
    | OrchestratorStarted
    | OrchestratorStopped
    | StateEdited
    | StateRestored
    | ProblemFound
    | ProblemMended
    | ActionStarted
    | Asked
    | Advanced
    | VerbDone
    | Finished
    | StepAdded
    | StepChanged
    | JobStarted
    | JobSpawned
    | JobProgressed
    | JobStopping
    | JobDelayed
    | JobResumed
    | JobEnded
    | AssistantHeld
    | AssistantFreed
    | Noted,
    Field(discriminator="kind"),
]
