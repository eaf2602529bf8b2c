"""A pure world for the machine: jobs end as the test says, time moves when the test says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from lib.config.model import Config
from lib.effects import BriefResolver, Collect, JudgeResolution, Merge, Prepare, Survey, WriteFiles
from lib.events import Event, JobEnded, JobSpawned, StateEdited
from lib.jobs import Effect, Job, JobResult, ProcessIdentity
from lib.ledger import Ledger
from lib.model import Base, Definition, Edit, Now, Owner, State
from lib.names import to_json
from lib.project.paths import BASE_WORKTREE
from orchestrator.engine.decide import decide
from orchestrator.engine.decision import Decision, Output, Seen
from orchestrator.engine.run import Run, apply
from phases import design, design_build, execution, merge_build

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
HANDLERS = {module.handler.name: module.handler for module in (design, design_build, execution, merge_build)}
START = datetime(2026, 1, 1, tzinfo=UTC)
DESIGN = {
    "summary": "two parts",
    "components": [{"id": "one", "title": "One"}, {"id": "two", "title": "Two", "depends_on": ["one"]}],
}


def ok(**told: Any) -> JobResult:
    return JobResult(ok=True, **_sorted(told))


def bad(code: str, message: str = "it went wrong", **told: Any) -> JobResult:
    return JobResult(ok=False, code=code, message=message, **_sorted({"printed": True, **told}))


def _sorted(told: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a result, and the data of an effect's."""
    own = {name: value for name, value in told.items() if name in JobResult.model_fields}
    return {**own, "data": json.loads(json.dumps({name: value for name, value in told.items() if name not in own}))}


def new_run(**settings: Any) -> Run:
    state = State(
        rev=1, run="r1", requirement="build it", phase="init", action_owner=Owner.CODE, action_needed="design",
        base=Base(branch="main", commit="0" * 40), created_at=START, updated_at=START,
    )  # fmt: skip
    usual = {"retry_delay_s": 1.0, "checkpoint_interval_s": None}
    return Run(state=state, config=Config.model_validate(usual | settings))


def new_workflow(text: str, **settings: Any) -> Run:
    """A run of the workflow of this text, called small, before its first step."""
    definition = Definition(name="small", project="/p", files={"small": "small.yaml"}, texts={"small": text})
    run = new_run(**{"assistant": "claude", **settings})
    own = {"workflow": "small", "phase": "execution", "action_needed": "execution"}
    return replace(run, state=run.state.model_copy(update=own), definition=definition)


Answer = Callable[[Job], JobResult | None]


@dataclass
class World:
    """Answers jobs by their name with `answers`, else with what a world without trouble would say.

    Jobs on the tree that the run starts from are named `base:NAME` there.
    """

    run: Run
    answers: dict[str, Answer | JobResult | None] = field(default_factory=dict)
    design: Mapping[str, Any] = field(default_factory=lambda: DESIGN)
    mono_s: float = 1000.0
    boot_id: str = "b"
    #: When the machine was started, in seconds after `START`.
    booted_s: float = 0.0
    files: dict[str, str] = field(default_factory=dict)
    started: list[Job] = field(default_factory=list)
    stopped: list[Job] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    last: Decision | None = None
    #: The jobs as they were last settled, as the run database has them.
    rows: dict[str, Job] = field(default_factory=dict)

    _replayed: Run | None = None

    def __post_init__(self) -> None:
        self.run.ledger = Ledger(self.run.steps.values(), self.run.jobs.values(), self._recall)

    def _recall(self, step: str) -> list[Job]:
        return [job for job in self.rows.values() if job.spec.step == step]

    def now(self) -> Now:
        wall = START + timedelta(seconds=self.booted_s + self.mono_s)
        return Now(wall=wall, mono_s=self.mono_s, boot_id=self.boot_id)

    def tick(self, *facts: Event, output: Mapping[str, Output] | None = None) -> Decision:
        before = self.run.copy()
        self._replayed = self._replayed or self.run.copy()
        seen = Seen(facts, output or {})
        first = decide(self.run, seen, HANDLERS, self.now(), self.files.get)
        self.run.ledger.undo()
        assert self.run == before
        decision = decide(self.run, seen, HANDLERS, self.now(), self.files.get)
        assert decision.events == first.events
        self.run, self.last = decision.run, decision
        self.rows |= {job.id: job for job in self.run.ledger.changed_jobs()}
        self.run.ledger.settle()
        self._replay(decision)
        self.events += decision.events
        self.started += decision.start
        self.stopped += decision.stop
        return decision

    def _replay(self, decision: Decision) -> None:
        """The events of each tick, as they are stored, give the same run in every field."""
        for event in decision.events:
            assert self._replayed is not None
            apply(self._replayed, EVENT.validate_json(to_json(event)), self.now())
        if self._replayed is not None:
            self._replayed.ledger.settle()
        assert self._replayed == self.run

    def settle(self, *facts: Event) -> None:
        """Ticks until nothing is answered any more."""
        queue: list[Event] = list(facts)
        while True:
            decision = self.tick(*queue)
            queue = [event for job in decision.start for event in self._answer(job)]
            if not queue:
                return

    def edit(self, **fields: Any) -> None:
        self.settle(StateEdited(edit=Edit(**fields)))

    def offers(self) -> list[str]:
        """The commands that ci is offered."""
        return [answer.command for answer in self.run.state.answers]

    def statuses(self) -> dict[str, str]:
        return {name: step.shown.value for name, step in self.run.steps.items()}

    def names(self) -> list[str]:
        return [f"{job.spec.step or 'run'}:{job.spec.name}" for job in self.started]

    def _answer(self, job: Job) -> list[Event]:
        events: list[Event] = []
        if job.is_process:
            events.append(JobSpawned(job=job.id, process=ProcessIdentity(pid=7, start_ticks=1, boot_id="b")))
        prefix = "base:" if job.spec.worktree == BASE_WORKTREE else ""
        answer = self.answers.get(prefix + job.spec.name, self.usual)
        result = answer(job) if callable(answer) else answer
        return [*events, JobEnded(job=job.id, result=result)] if result is not None else events

    def usual(self, job: Job) -> JobResult:
        match job.spec.args if isinstance(job.spec, Effect) else job.spec.name:
            case Survey():
                return ok(survey="2 files")
            case WriteFiles(files=files):
                self.files.update(files)
                return ok()
            case Prepare(base=base):
                return ok(base=base, made=True)
            case Collect():
                return ok(commit=f"c-{job.spec.step}")
            case Merge(tips=tips):
                return ok(head="h", merged=[tip.id for tip in tips], conflict=None)
            case BriefResolver():
                return ok(ours=["one"])
            case JudgeResolution():
                return ok(objections=[], commit="c-resolved")
            case "design":
                return ok(text=f"```json\n{json.dumps(self.design)}\n```")
            case "review":
                return ok(text='{"verdict": "accept"}')
            case _:
                return ok(text="done")
