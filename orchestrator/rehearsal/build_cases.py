"""A case of `build`, whose steps are made by a design: played by the phases of builders, as its runs are. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lib.config.model import Config
from lib.effects import Land, Merge
from lib.events import Asked, JobEnded, JobStarted
from lib.jobs import Job
from lib.model import Base, Owner, State
from lib.question import NO
from lib.steps import StepStatus
from lib.workflow.cases import Case, Decided, Outcome
from orchestrator.engine.run import Run
from orchestrator.rehearsal.cases import Ended, Rehearsal, played
from orchestrator.rehearsal.world import START

#: The ids that the file has for the questions of a run, and for its jobs.
_GATES: Final = {"approve_design": "approve-design", "approve_landing": "approve-landing"}
_JOBS: Final = {"design": "design", "resolve": "merge", Merge.effect: "merge", Land.effect: "land"}
_DESIGN: Final[Mapping[str, Any]] = {"summary": "one part", "components": [{"id": "part", "title": "A part"}]}


def play_build(case: Case, requirement: str) -> Ended:
    """Plays a case of `build` with that requirement to its end, or until it waits for what the case does not give."""
    state = State(
        rev=1, run="rehearsal", requirement=requirement, phase="init", action_owner=Owner.CODE, action_needed="design",
        base=Base(branch="main", commit="0" * 40), created_at=START, updated_at=START,
    )  # fmt: skip
    config = Config.model_validate({"assistant": ["scripted"], "sandbox": "require"})
    return played(BuildRehearsal(Run(state=state, config=config), case=case))


@dataclass
class BuildRehearsal(Rehearsal):
    """The world of a case of `build`."""

    def gate(self) -> str:
        return _GATES.get(self.asked, "") if not self.outcome else ""

    def answer(self, gate: str, answer: Decided) -> None:
        is_again = answer.decision == NO and gate == _GATES["approve_design"]
        self.hand_back("design" if is_again else "cancel" if answer.decision == NO else None, answer.words)

    def working(self, job: Job) -> str:
        return (job.spec.step or "") if job.spec.name == "build" else _JOBS.get(job.spec.name, "") if job.turn else ""

    def made_up(self, name: str, job: Job) -> Any:  # noqa: ANN401, ARG002 - any JSON value
        return _DESIGN if name == "design" else f"words of {name}"

    def changes_files(self, job: Job) -> bool:
        return self.given(job.spec.step or "").changes is not False

    def ids(self, step: str) -> tuple[str, str, str]:
        own = _builder(step) if step in self.run.steps else step
        return own, own, _node(own)

    def begun(self) -> list[str]:
        return list(self._begun())

    def _begun(self) -> Iterator[str]:
        for event in self.events:
            if isinstance(event, Asked) and event.action in _GATES:
                yield _GATES[event.action]
            elif isinstance(event, JobStarted) and event.job.spec.name == "build":
                yield _builder(event.job.spec.step or "")
            elif isinstance(event, JobStarted) and event.job.spec.name in _JOBS:
                yield _JOBS[event.job.spec.name]

    def ended(self, missing: str = "") -> Ended:
        builders = {_builder(name): step for name, step in self.run.steps.items()}
        statuses = {**self._ends(), **{name: step.status.value for name, step in builders.items()}}
        return Ended(
            outcome=self.outcome or Outcome.WAITING.value,
            message=missing or self.run.state.message,
            statuses=statuses,
            nodes={name: _node(name) for name in statuses},
            why={name: step.error.message if step.error else step.note for name, step in builders.items()},
            order=tuple(self.begun()),
            asked=self._all_asked(),
        )

    def _ends(self) -> dict[str, str]:
        """The statuses of what is no builder."""
        found = dict.fromkeys((*_GATES.values(), *_JOBS.values()), StepStatus.PENDING.value)
        for event in self.events:
            if isinstance(event, Asked) and event.action in _GATES:
                found[_GATES[event.action]] = StepStatus.DONE.value
            elif isinstance(event, JobEnded) and (name := _JOBS.get(self.rows[event.job].spec.name)):
                found[name] = (StepStatus.DONE if event.result.ok else StepStatus.FAILED).value
        return found | ({self.gate(): StepStatus.RUNNING.value} if self.gate() else {})

    def _all_asked(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for job in self.started:
            if job.turn and (name := self.working(job)):
                step = self.run.steps.get(job.spec.step or "")
                part = step.part.model_dump(mode="json").values() if step else ()
                words = [self.run.state.requirement, *map(str, (*part, *job.turn.prompt.values()))]
                found.setdefault(self.ids(name)[0], []).append("\n".join(words))
        return found


def _builder(step: str) -> str:
    return f"builders:{step}"


def _node(name: str) -> str:
    return name.partition(":")[0]
