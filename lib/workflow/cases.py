"""The cases of `relay workflows test`, in `NAME.test.yaml` beside a workflow: what steps give, and what is expected.

    inputs: {report: add(2, 2) gives 0}
    cases:
      - name: the second attempt passes the tests
        steps:
          fix: [{fails: verify}, {text: add adds now}]
        gates:
          ok: approve
        expect:
          outcome: landed
          attempts: {fix: 2}

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, Strict, model_validator

from lib.steps import StepStatus
from lib.workflow.options import Flag, Identifier, Option, Text

#: The decision of a gate that nobody answers while there is time.
TIMEOUT: Final = "timeout"


class Failure(StrEnum):
    """Ways in which a step can fail."""

    EXIT = "exit"
    TIMEOUT = "timeout"
    IDLE = "idle"
    VERIFY = "verify"
    SCHEMA = "schema"
    LIMIT = "limit"
    SERVICE = "service"
    LOST = "lost"
    REFUSED = "refused"


class Outcome(StrEnum):
    """Ends of a case: those of a run, or that it waits for a person, or that it does not even start."""

    LANDED = "landed"
    STORED = "stored"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    WAITING = "waiting"
    REFUSED = "refused"


def _listed(value: Any) -> Any:  # noqa: ANN401 - what else it can be is pydantic's to refuse
    return (value,) if isinstance(value, str | Mapping) else value


def _worded(value: Any) -> Any:  # noqa: ANN401
    return {"decision": value} if isinstance(value, str) else value


class Gives(Option):
    """The end of a step in one attempt or turn."""

    output: Any = None
    """Its output: of a prompt an object, a list or a text; of a command any value."""
    text: str | None = None
    """The text that it says or prints; JSON at the end of it is its output."""
    fails: Failure | None = None
    """The kind of its failure. `verify`: the work ends well, and the step's `verify` command does not."""
    exit_status: Annotated[int, Strict(), Field(ge=1, le=255)] | None = None
    """The exit status of what fails; 1 where it is left out."""
    message: str = ""
    """The reason of the failure, in words."""
    changes: Flag | None = None
    """True if it leaves changed files. Without it a prompt that may write does, and a command does not."""

    @model_validator(mode="after")
    def _fits(self) -> Gives:
        if self.text is not None and "output" in self.model_fields_set:
            raise ValueError("has output and text; keep one")
        if self.fails is None and (self.exit_status is not None or self.message):
            raise ValueError("has the details of a failure without `fails`")
        if self.exit_status is not None and self.fails not in {Failure.EXIT, Failure.VERIFY}:
            raise ValueError(f"has exit_status, and fails by {self.fails}: only exit and verify have one")
        return self


class Decided(Option):
    """A person's answer to a gate."""

    decision: Identifier
    """One of the gate's decisions, or timeout: nobody answers."""
    words: str = ""
    """The words that come with it."""
    answers: Mapping[str, Any] = Field(default_factory=dict)
    """The values of the gate's form."""


Decision = Annotated[Decided, BeforeValidator(_worded, json_schema_input_type=str | Decided)]
Given = Annotated[
    tuple[Gives, ...], BeforeValidator(_listed, json_schema_input_type=Gives | tuple[Gives, ...]), Field(min_length=1)
]
Decisions = Annotated[
    tuple[Decision, ...], BeforeValidator(_listed, json_schema_input_type=Decision | tuple[Decision, ...])
]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_listed, json_schema_input_type=str | tuple[Text, ...])]


class Expect(Option):
    """Conditions at the end of a case. Ids of steps are those of the file, or of one instance or turn."""

    outcome: Outcome | None = None
    """How it ends; without it, landed or done."""
    says: Texts = ()
    """Texts in the run's last message: the reason of its end, or the question that it waits with."""
    steps: Mapping[str, StepStatus] = Field(default_factory=dict)
    """The status of steps."""
    attempts: Mapping[str, Annotated[int, Strict(), Field(ge=0)]] = Field(default_factory=dict)
    """How often steps began."""
    order: tuple[Text, ...] = ()
    """Steps that begin in this order; others may begin between them."""
    outputs: Mapping[Identifier, Any] = Field(default_factory=dict)
    """Outputs of the workflow."""
    prompts: Mapping[str, Texts] = Field(default_factory=dict)
    """Texts in what steps were asked: a prompt, a command with its values, the question of a gate."""


class _World(Option):
    """Surroundings of a run."""

    inputs: Mapping[Identifier, Any] = Field(default_factory=dict)
    """The inputs of the run."""
    steps: Mapping[str, Given] = Field(default_factory=dict)
    """The ends of prompts and commands, by their ids; in a list one an attempt or turn, the last over and over."""
    checks: Mapping[str, Given] = Field(default_factory=dict)
    """The ends of the commands of `until_run`, by the ids of their loops; one that does not fail ends the loop."""
    gates: Mapping[str, Decisions] = Field(default_factory=dict)
    """Answers of gates; in a list one a round, the last one again and again. An empty list: nobody answers."""


class Case(_World):
    """One run, and what is expected of it."""

    name: Text
    """The point that the case shows."""
    requirement: str = ""
    """The words that the run is started with."""
    expect: Expect = Expect()
    """The conditions at its end."""


class Cases(_World):
    """A whole file. What it has beside `cases` holds for each of them that does not say otherwise."""

    cases: Annotated[tuple[Case, ...], Field(min_length=1)]
    """The cases."""

    def whole(self) -> tuple[Case, ...]:
        """The cases, each with what holds for all."""
        shared = {name: getattr(self, name) for name in _World.model_fields}
        return tuple(case.model_copy(update={name: {**known, **getattr(case, name)} for name, known in shared.items()})
                     for case in self.cases)  # fmt: skip
