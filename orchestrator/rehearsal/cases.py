"""A case of a workflow, played by the real machine: its steps give what the case says, its gates are answered. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from lib.config.model import Config
from lib.design.final_json import json_value
from lib.events import StepChanged
from lib.jobs import AssistantTurn, Command, Job, JobResult
from lib.model import Base, Definition, Owner, State, Step
from lib.question import GATE
from lib.steps import StepKind, StepStatus
from lib.workflow.cases import TIMEOUT, Case, Decided, Failure, Gives, Outcome
from lib.workflow.compiled import plan_of
from lib.workflow.definition import Step as Options
from lib.workflow.options import Access
from lib.workflow.samples import sample
from orchestrator.engine.run import Run
from orchestrator.rehearsal.world import START, RestlessError, World, bad, gives, ok, says

T = TypeVar("T")

#: Turns and commands of one step, and jobs of all; a case with more goes on without end.
MAX_TRIES: Final = 200
MAX_JOBS: Final = 20_000
#: Answers to gates, likewise.
_MAX_ANSWERS: Final = 1_000
_WORK: Final = frozenset({"turn", "run"})
_LEAVES: Final = frozenset({StepKind.PROMPT, StepKind.RUN, StepKind.GATE, StepKind.END})
_CODES: Final[Mapping[Failure, str]] = {
    Failure.EXIT: "exit_nonzero", Failure.TIMEOUT: "timeout", Failure.IDLE: "idle", Failure.VERIFY: "exit_nonzero",
    Failure.SCHEMA: "schema", Failure.LIMIT: "memory_limit", Failure.SERVICE: "server", Failure.LOST: "lost",
    Failure.REFUSED: "refused",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a case. `message` is the run's last one, `order` the ids of steps as they began, one for each time.

    `statuses` and `nodes` (the ids that the file has) are by the ids of steps, `why` has the errors of those that
    failed, `asked` all that steps were asked.
    """

    outcome: str
    message: str = ""
    statuses: Mapping[str, str] = field(default_factory=dict)
    nodes: Mapping[str, str] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    asked: Mapping[str, Sequence[str]] = field(default_factory=dict)


def play(definition: Definition, case: Case) -> Ended:
    """Plays a case of a workflow to its end, or until it waits for what the case does not give."""
    state = State(
        rev=1, run="rehearsal", workflow=definition.name, requirement=case.requirement or case.name, phase="execution",
        action_owner=Owner.CODE, action_needed="execution", base=Base(branch="main", commit="0" * 40),
        created_at=START, updated_at=START,
    )  # fmt: skip
    config = Config.model_validate({"assistant": ["scripted"], "sandbox": "require"})
    return played(Rehearsal(Run(state=state, config=config, definition=definition), case=case))


def played(world: Rehearsal) -> Ended:
    """The end of a case in its world."""
    try:
        world.play()
    except RestlessError:
        busy, count = max(Counter(world.begun()).items(), key=lambda each: each[1], default=("nothing", 0))
        return world.ended(f"it goes on without end: {busy} has begun {count} times")
    return world.ended()


@dataclass
class Rehearsal(World):
    """The world of a case."""

    #: A run's time counts from its start.
    mono_s: float = 0.0
    case: Case = field(kw_only=True)
    #: How often each list of a case was asked, by its part and the step that asked.
    _asked: Counter[tuple[str, str]] = field(default_factory=Counter, init=False)
    _tries: Counter[str] = field(default_factory=Counter, init=False)
    #: What the steps at work give, by id.
    _now: dict[str, Gives] = field(default_factory=dict, init=False)
    #: Why it can't go on.
    _missing: str = field(default="", init=False)

    def play(self) -> None:
        """Goes on until the end, or until it waits. Raises `RestlessError`."""
        self.to_rest()
        for _ in range(_MAX_ANSWERS):
            gate = self.gate()
            answer = self._next("gates", self.case.gates, gate) if gate else None
            if answer and answer.decision != TIMEOUT:
                self.answer(gate, answer)
                if self._missing:
                    return
            elif self.outcome or self.last is None or self.last.wake_at_mono_s is None:
                return
            else:
                self.later()
                self.to_rest()
        raise RestlessError

    def gate(self) -> str:
        """The id of the gate that asks; empty if none does."""
        asking = self.run.engine.asking if self.asked == GATE and not self.outcome else ()
        return asking[0] if asking else ""

    def answer(self, gate: str, answer: Decided) -> None:
        """A person's answer to a gate."""
        before = self.run.steps[gate]
        self.hand_back(answer.decision, _json(answer.answers) if answer.answers else answer.words)
        now = self.run.steps[gate]
        if now.status is StepStatus.RUNNING and now.attempt == before.attempt and not now.decision:
            self._missing = f"{gate}: {now.note}"

    # --- how jobs end ------------------------------------------------------------------------------------------------

    def result_of(self, job: Job) -> JobResult | None:
        if len(self.started) > MAX_JOBS:
            raise RestlessError
        name, step = self.working(job), job.spec.step or ""
        if name:
            self._tries[name] += 1
            if self._tries[name] > MAX_TRIES:
                raise RestlessError
            given = self._now[name] = self._next("steps", self.case.steps, name) or Gives()
            return self._worked(name, job, given)
        if job.spec.name == "check":
            given = self._next("checks", self.case.checks, step) or Gives()
            return _failed(given) if given.fails else ok(text=given.text or "", exit_status=0)
        given = self.given(step)
        return _failed(given) if job.spec.name == "verify" and given.fails is Failure.VERIFY else self.usual(job)

    def working(self, job: Job) -> str:
        """The id of the step whose own work a job is; empty if it is something else."""
        return job.spec.step or "" if job.spec.name in _WORK else ""

    def given(self, step: str) -> Gives:
        """The end that a step has in its present attempt."""
        return self._now.get(step, Gives())

    def _worked(self, name: str, job: Job, given: Gives) -> JobResult | None:
        if given.fails not in {None, Failure.VERIFY}:
            return _failed(given)
        if "output" in given.model_fields_set:
            output = given.output
        elif given.text is not None:
            output = given.text if job.turn else _value_in(given.text)
        else:
            try:
                output = self.made_up(name, job)
            except LookupError as error:
                self._missing = f"the output of {name}, which the case must give ({error.args[0]})"
                return None
        return says(output if isinstance(output, str | list | dict) else _json(output)) if job.turn else gives(output)

    def made_up(self, name: str, job: Job) -> Any:  # noqa: ANN401 - any JSON value
        """An output for a step that the case says nothing of. Raises `LookupError`."""
        schema, words = self._node(name).output_schema, f"words of {name}"
        return sample(schema, words) if schema is not None else words if job.turn else ""

    def changes_files(self, job: Job) -> bool:
        name = job.spec.step or ""
        said = self.given(name).changes
        is_writer = self.run.steps[name].kind is StepKind.PROMPT and self._node(name).access is Access.WRITE
        return is_writer if said is None else said

    def _node(self, name: str) -> Options:
        if self.run.definition is None:
            raise TypeError(f"{name} is of no workflow")
        return plan_of(self.run.definition).nodes[self.run.steps[name].node].step

    # --- what the case says ------------------------------------------------------------------------------------------

    def _next(self, part: str, known: Mapping[str, Sequence[T]], step: str) -> T | None:
        """The entry of the case for a step this time: by its own id, that of its instance, or that of the file."""
        own, spoken, node = self.ids(step)
        name = next((each for each in (own, spoken, node) if each in known), None)
        if name is None:
            return None
        counted = part, own if name == own else spoken
        self._asked[counted] += 1
        return known[name][min(self._asked[counted], len(known[name])) - 1] if known[name] else None

    def ids(self, step: str) -> tuple[str, str, str]:
        """The ids that a case may know a step by: its own, that without turns of loops, and that of the file."""
        record = self.run.steps[step]
        return step, self._spoken(record), record.node

    def _spoken(self, step: Step) -> str:
        """The id of a step without the numbers of turns: one list goes on over all turns of a loop."""
        if not step.parent:
            return step.id
        box = self.run.steps[step.parent]
        own = "" if box.kind is StepKind.LOOP else step.id.removeprefix(box.id)
        return self._spoken(box) + own

    # --- what came of it ---------------------------------------------------------------------------------------------

    def begun(self) -> list[str]:
        """The steps that do something, as they began, once for each attempt."""
        return [event.step for event in self.events if isinstance(event, StepChanged) and self._begins(event)]

    def _begins(self, event: StepChanged) -> bool:
        kind, status = self.run.steps[event.step].kind, event.changes.get("status")
        return kind in _LEAVES and status is (StepStatus.DONE if kind is StepKind.END else StepStatus.RUNNING)

    def ended(self, missing: str = "") -> Ended:
        """The end of the case; `missing` is why it has none."""
        steps = {name: step for name, step in self.run.steps.items() if step.kind is not StepKind.WORKSPACE}
        missing = missing or (f"it waits for {self._missing}" if self._missing else "")
        return Ended(
            outcome=self.outcome or Outcome.WAITING.value,
            message=missing or self.run.state.message,
            statuses={name: step.status.value for name, step in steps.items()},
            nodes={name: step.node for name, step in steps.items()},
            why={name: step.error.message.removeprefix(f"{name}: ") if step.error else step.note
                 for name, step in steps.items()},
            order=tuple(self.begun()),
            outputs=self.run.engine.outputs,
            asked=self._all_asked(),
        )  # fmt: skip

    def _all_asked(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for job in self.started:
            if job.spec.step and job.spec.name in _WORK:
                found.setdefault(job.spec.step, []).append("\n".join(_words_of(job.spec)))
        for event in self.events:
            if isinstance(event, StepChanged) and event.changes.get("words"):
                found.setdefault(event.step, []).append(str(event.changes["words"]))
        return found


def _words_of(spec: object) -> Iterator[str]:
    """The words that a turn or a command is asked, with the values in them."""
    if isinstance(spec, AssistantTurn):
        yield from (str(spec.prompt[name]) for name in ("task", "feedback"))
        yield from spec.prompt["errors"]
    elif isinstance(spec, Command):
        line = spec.command
        for name, value in sorted(spec.env.items(), key=lambda each: -len(each[0])):
            line = line.replace(f'"${{{name}}}"', value).replace(f"${{{name}}}", value)
        yield line


def _failed(given: Gives) -> JobResult:
    failure = given.fails or Failure.EXIT
    status = (given.exit_status or 1) if failure in {Failure.EXIT, Failure.VERIFY} else None
    message = given.message or (f"exit status {status}" if status else failure.value)
    return bad(_CODES[failure], message, exit_status=status, text=given.text or "", tail=given.text or "")


def _value_in(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a command that printed a text."""
    try:
        return json_value(text) if text.strip()[:1] in {"{", "["} else text.strip()
    except (ValueError, RecursionError):
        return text.strip()


def _json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return json.dumps(value, ensure_ascii=False)
