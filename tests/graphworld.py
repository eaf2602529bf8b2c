"""A pure world for runs of workflows: each is made of a workflow's text, and its jobs end as the test says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any

from world import START, World, bad, gives, says

from lib.config.model import Config
from lib.events import Event, JobEnded
from lib.jobs import Effect, Job, JobResult
from lib.model import Base, Definition, Owner, State, Step
from lib.steps import StepKind
from orchestrator.engine.run import Run
from orchestrator.rehearsal.world import World as PlainWorld

__all__ = ["GraphWorld", "fails", "gives", "graph", "new_run", "says"]

#: The name of each run's workflow, and of its file.
NAME = "flow"
FIRST = "0" * 40
#: The jobs that are a step's own work.
WORK = ("turn", "run")

#: How a job ends: at once with that, with each of these in turn, the last one over and over, or (None) not yet.
End = JobResult | None | list[JobResult | None]


def reused(value: Any, commit: str = FIRST, **told: Any) -> JobResult:
    """The good end of a look that found an equal step in the run r0."""
    return JobResult(ok=True, data={"run": "r0", "output": value, "commit": commit, **told})


def fails(status: int = 1, **told: Any) -> JobResult:
    """The bad end of a command."""
    return bad("exit_nonzero", f"exit status {status}", exit_status=status, **told)


def new_run(
    text: str, inputs: Mapping[str, Any] | None = None, others: Mapping[str, str] | None = None, **settings: Any
) -> Run:
    """A run of the workflow `flow`, whose `text` lacks only the name; `others` are texts of those that it includes."""
    texts = {name: f"name: {name}\n{dedent(each)}" for name, each in {NAME: text, **(others or {})}.items()}
    state = State(
        rev=1, run="r1", workflow=NAME, requirement="do it", phase="execution", action_owner=Owner.CODE,
        action_needed="execution", base=Base(branch="main", commit=FIRST), created_at=START, updated_at=START,
    )  # fmt: skip
    definition = Definition(
        name=NAME, project="/p", files={name: f"{name}.yaml" for name in texts}, texts=texts, inputs=inputs or {}
    )
    usual = {"retry_delay_s": 1.0, "assistant": ["one"], "sandbox": "require", "checkpoint_interval_s": None}
    return Run(state=state, config=Config.model_validate(usual | settings), definition=definition)


@dataclass
class GraphWorld(World):
    """A world whose jobs end as `ends` says, by `STEP:JOB`, or by `JOB` for those of all steps, else well."""

    ends: dict[str, End] = field(default_factory=dict)
    #: Steps whose collected commit is the one that they began with.
    quiet: set[str] = field(default_factory=set)

    def answer(self, job: Job) -> list[Event]:
        """The facts that come of a job which is started."""
        return self._answer(job)

    def result_of(self, job: Job) -> JobResult | None:
        for key in (f"{job.spec.step}:{job.spec.name}", job.spec.name):
            if key in self.ends:
                end = self.ends[key]
                if isinstance(end, list):
                    return end.pop(0) if len(end) > 1 else end[0]
                return end
        return self.usual(job)

    def changes_files(self, job: Job) -> bool:
        return job.spec.step not in self.quiet and "*" not in self.quiet

    def usual(self, job: Job) -> JobResult:
        match job.spec.name:
            case "run":
                return gives(f"output of {job.spec.step}")
            case "turn":
                return says(f"words of {job.spec.step}")
        return PlainWorld.usual(self, job)

    # --- what the test does ----------------------------------------------------------------------------------------

    def end(self, step: str, result: JobResult) -> None:
        """Ends the job of a step that is at work, and goes on."""
        [job] = [job for job in self.run.ledger.live() if job.spec.step == step]
        self.settle(JobEnded(job=job.id, result=result))

    # --- what it looks at ------------------------------------------------------------------------------------------

    @property
    def own(self) -> dict[str, Step]:
        """The steps, without the worktree that they share."""
        return {name: step for name, step in self.run.steps.items() if step.kind is not StepKind.WORKSPACE}

    @property
    def ends_of(self) -> dict[str, str]:
        """The status of each of them."""
        return {name: step.status.value for name, step in self.own.items()}

    def output(self, step: str) -> Any:
        return self.run.steps[step].output

    def why(self, step: str) -> str:
        """The message of a step's error."""
        error = self.run.steps[step].error
        return error.message if error else ""

    def begun(self) -> list[str]:
        """The steps in the order in which their turns and commands were started."""
        return [job.spec.step or "" for job in self.started if job.spec.name in WORK]

    def at_work(self) -> list[str]:
        """The steps with a turn or command that runs."""
        return [job.spec.step or "" for job in self.run.ledger.live() if job.spec.name in WORK]

    def work(self, step: str, name: str = "") -> list[Job]:
        """The jobs of a step: of that name, or its turns and commands."""
        names = (name,) if name else WORK
        return [job for job in self.started if job.spec.step == step and job.spec.name in names]

    def env(self, step: str) -> list[Mapping[str, str]]:
        """The environment of each of its turns and commands."""
        return [job.spec.env for job in self.work(step) if not isinstance(job.spec, Effect)]

    def prompts(self, step: str) -> list[Mapping[str, Any]]:
        """The values of the prompts of its turns."""
        return [job.turn.prompt for job in self.work(step) if job.turn]


def graph(text: str, **settings: Any) -> GraphWorld:
    """A world with a run of that workflow, settled; `ends` and `quiet` are those of the world."""
    own = {name: settings.pop(name) for name in ("ends", "quiet") if name in settings}
    world = GraphWorld(new_run(text, **settings), **own)
    world.to_rest()
    return world
