"""A pure world for the machine: jobs end as the test says, time moves when the test says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter

from lib.config.model import Config
from lib.effects import BriefResolver, Collect
from lib.events import Event, StateEdited
from lib.jobs import Effect, Job, JobResult
from lib.model import Base, Definition, Edit, Owner, State
from lib.names import to_json
from lib.project.paths import BASE_WORKTREE
from orchestrator.engine.decide import decide
from orchestrator.engine.decision import Decision, Output, Seen
from orchestrator.engine.run import Run, apply
from orchestrator.rehearsal.world import HANDLERS, START, bad, gives, ok, says
from orchestrator.rehearsal.world import World as PlainWorld

__all__ = ["HANDLERS", "START", "World", "bad", "gives", "new_run", "new_workflow", "ok", "says"]

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
DESIGN = {
    "summary": "two parts",
    "components": [{"id": "one", "title": "One"}, {"id": "two", "title": "Two", "depends_on": ["one"]}],
}


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
class World(PlainWorld):
    """Answers jobs by their name with `answers`, else with what a world without trouble would say.

    Jobs on the tree that the run starts from are named `base:NAME` there. Each tick is decided twice, and each event
    is read back as it is stored: the machine is pure, and replaying gives the run.
    """

    answers: dict[str, Answer | JobResult | None] = field(default_factory=dict)
    design: Mapping[str, Any] = field(default_factory=lambda: DESIGN)
    _replayed: Run | None = None

    def tick(self, *facts: Event, output: Mapping[str, Output] | None = None) -> Decision:
        before = self.run.copy()
        self._replayed = self._replayed or self.run.copy()
        first = decide(self.run, Seen(facts, output or {}), HANDLERS, self.now(), self.files.get)
        self.run.ledger.undo()
        assert self.run == before
        decision = super().tick(*facts, output=output)
        assert decision.events == first.events
        self._replay(decision)
        return decision

    def _replay(self, decision: Decision) -> None:
        """The events of each tick, as they are stored, give the same run in every field."""
        for event in decision.events:
            assert self._replayed is not None
            apply(self._replayed, EVENT.validate_json(to_json(event)), self.now())
        if self._replayed is not None:
            self._replayed.ledger.settle()
        assert self._replayed == self.run

    def edit(self, **fields: Any) -> None:
        self.settle(StateEdited(edit=Edit(**fields)))

    def offers(self) -> list[str]:
        """The commands that ci is offered."""
        return [answer.command for answer in self.run.state.answers]

    def names(self) -> list[str]:
        return [f"{job.spec.step or 'run'}:{job.spec.name}" for job in self.started]

    def result_of(self, job: Job) -> JobResult | None:
        prefix = "base:" if job.spec.worktree == BASE_WORKTREE else ""
        answer = self.answers.get(prefix + job.spec.name, self.usual)
        return answer(job) if callable(answer) else answer

    def usual(self, job: Job) -> JobResult:
        match job.spec.args if isinstance(job.spec, Effect) else job.spec.name:
            case Collect():
                return ok(commit=f"c-{job.spec.step}")
            case BriefResolver():
                return ok(ours=["one"])
            case "design":
                return ok(text=f"```json\n{json.dumps(self.design)}\n```")
        return super().usual(job)
