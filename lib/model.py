"""The values that everything else is about: the state file, builders, jobs, one run.

All are frozen; a change is a new value made by `orchestrator.engine.run` from an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict

from lib.question import Answer
from lib.steps import BUILD, BuilderStatus, StepKind, StepStatus, TriggerRule, shown_status

SCHEMA_VERSION: Final = 1
SCHEMA_NAME: Final = "state.schema.json"

#: What a name may be that becomes part of a branch, a folder and a file name.
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
#: What an action may be: a verb, and for `retry` and `skip` the steps it is about.
Action = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*( [A-Za-z0-9][A-Za-z0-9_.:-]*)*$", max_length=2000)
]

NO_ACTION: Final = "none"


def listed(value: Any) -> Any:  # noqa: ANN401 - what else it can be is pydantic's to refuse
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class Value(BaseModel):
    """A frozen value whose unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """The same with other values, which are not judged. Raises `TypeError` for a field that there is not."""
        if unknown := (update or {}).keys() - type(self).model_fields.keys():
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        return super().model_copy(update=update, deep=deep)


class Owner(StrEnum):
    CODE = "code"
    CI = "ci"


class RunOutcome(StrEnum):
    LANDED = "landed"
    STORED = "stored"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Base(Value):
    """The starting point of the run: a branch of the user's and its commit."""

    branch: str
    commit: str


class Usage(Value):
    """Tokens and US dollars that assistants consumed, where they are known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    def plus(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_usd=round(self.cost_usd + other.cost_usd, 6),
        )

    def minus(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens - other.input_tokens,
            output_tokens=self.output_tokens - other.output_tokens,
            cost_usd=max(0.0, round(self.cost_usd - other.cost_usd, 6)),
        )


class Problem(Value):
    """An error as state.json and status show it; `remedy` can be typed as it is, and `does` says what it does.

    `others` are further ways out. `report` has the command that failed, its exit, and the last lines that it printed.
    """

    code: str
    message: str
    remedy: str
    does: str = ""
    others: tuple[Answer, ...] = ()
    action: str = NO_ACTION
    at: datetime | None = None
    report: tuple[str, ...] = ()

    @classmethod
    def of(cls, code: str, message: str, way: Answer, **more: Any) -> Problem:  # noqa: ANN401 - its other fields
        """The problem with that `way` out as its remedy."""
        return cls(code=code, message=message, remedy=way.command, does=way.does, **more)


class BuilderLine(Value):
    """One builder as state.json shows it."""

    id: str
    status: BuilderStatus
    branch: str
    worktree: str
    assistant: str
    attempt: int
    pid: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    verified: bool = False
    note: str = ""


class StepLine(Value):
    """One step of a workflow as state.json shows it."""

    id: str
    kind: StepKind
    status: BuilderStatus
    assistant: str
    attempt: int
    pid: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    verified: bool = False
    note: str = ""


class State(Value):
    """The whole of `.project/state.json`.

    A person or an assistant may edit `action_owner`, `action_needed`, `feedback` and `paused`; all else is written
    by the orchestrator alone.
    """

    schema_ref: str = Field(default=SCHEMA_NAME, alias="$schema")
    schema_version: Literal[1] = SCHEMA_VERSION
    rev: int = Field(ge=0, description="Counter of the orchestrator's writes.")
    run: str
    workflow: str = BUILD
    instance: str = "default"
    requirement: str
    phase: str = Field(description="How far the run is: init, design, execution, merge_build, storage (terminal).")
    action_owner: Owner = Field(description="EDITABLE. Who acts next, code (Relay) or ci (you). code goes on.")
    action_needed: Action = Field(description="EDITABLE. What is to be done next, by that owner.")
    next_action: str = Field(default=NO_ACTION, description="The action that follows when action_owner is set to code.")
    message: str = ""
    answers: tuple[Answer, ...] = Field(
        default=(), description="What you can type when you are asked, with its effect."
    )
    feedback: str = Field(default="", max_length=20_000, description="EDITABLE. Words for the next action.")
    paused: bool = Field(default=False, description="EDITABLE. true holds the run.")
    outcome: RunOutcome | None = None
    base: Base
    builders: tuple[BuilderLine, ...] = ()
    steps: tuple[StepLine, ...] = ()
    progress: Mapping[str, int] = {}
    usage: Usage = Usage()
    error: Problem | None = None
    created_at: datetime
    updated_at: datetime

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)


#: The fields that anyone but the orchestrator may change.
EDITABLE: Final = ("action_owner", "action_needed", "feedback", "paused")


class Edit(Value):
    """An edit of state.json by a hand other than the orchestrator's: only the fields that differ are set."""

    action_owner: Owner | None = None
    action_needed: Action | None = None
    feedback: str | None = None
    paused: bool | None = None

    def changes(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


#: Assistants in the order in which they are asked: each `NAME` or `NAME:VARIANT`; written `a, b` or as a list.
Chain = Annotated[tuple[str, ...], BeforeValidator(listed)]


class Component(BaseModel):
    """One part of a design, which one builder builds. `assistant`, if set, is asked instead of the run's own."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Slug
    title: str = ""
    purpose: str = ""
    files: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    interfaces: Any = None
    acceptance: tuple[str, ...] = ()
    verify: str | None = None
    assistant: Chain = ()


class Design(BaseModel):
    """The design that the architect hands over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    summary: str = ""
    components: tuple[Component, ...] = Field(min_length=1)


class Reach(Value):
    """Changes of a builder beyond its component's files: counts, and a few names with git's status letter.

    `deleted` and `locks` (files that pin dependencies) are among the `outside`. `lost` counts the files of its start
    that are gone, its own included and moved ones not, of `total`, which is only counted if any is; `gone` names some
    of its own.
    """

    outside: int = 0
    deleted: int = 0
    locks: int = 0
    names: tuple[str, ...] = ()
    lost: int = 0
    total: int = 0
    gone: tuple[str, ...] = ()


class Step(Value):
    """All that is known of one step. A builder has a component, a branch and a worktree of its own.

    `node` is its id in the workflow, which instances of it share, `parent` the box that it is in, and `members` are the
    steps in a box, in order. `item` is that of an instance. `needs` are the steps that have to be over before it
    starts, as `rule` says.

    `stage` is the part of its work that it is at while it runs. Facts apart from `status`: `commit` is its work as it
    was collected, `verified` says that its commands succeeded on that, `merged` and `landed` where that is. A step that
    was skipped by its condition, or by the ends of what it needs, is `ruled_out`; others go on after a failure that is
    `tolerated`. `output` is what it gave; of a gate `words` are the question, `decision` and `feedback` the answer.
    `content` is the digest of what decided its work beside the tree and the outputs before it, empty where no other run
    may take what it gave; `reused` is the run that did the work, if another one did.
    """

    id: str
    kind: StepKind = StepKind.BUILDER
    node: str = ""
    parent: str = ""
    members: tuple[str, ...] = ()
    item: Any = None
    needs: tuple[str, ...] = ()
    rule: TriggerRule = TriggerRule.ALL_SUCCESS
    component: Component | None = None
    status: StepStatus = StepStatus.PENDING
    stage: str = ""
    branch: str = ""
    worktree: str = ""
    assistant: str = ""
    chain: Chain = ()
    attempt: int = 0
    attempts: int = 1
    per_round: int = Field(default=0, description="Attempts of another round; those of the configuration if 0.")
    round: int = Field(default=0, description="How often a gate sent it back.")
    budgets: int = Field(default=1, description="How many times the budget of a builder was granted to it.")
    base_commit: str = ""
    commit: str = ""
    verified: bool = False
    merged: bool = False
    landed: bool = False
    ruled_out: bool = False
    tolerated: bool = False
    given_up: int = Field(default=0, description="The dispatch in which it failed.")
    occupant: str = Field(default="", description="The step whose uncollected work a workspace holds.")
    reach: Reach = Reach()
    session: str | None = None
    job: str | None = None
    output: Any = None
    content: str = ""
    reused: str = ""
    decision: str = ""
    words: str = ""
    feedback: str = ""
    failure: str = Field(default="", description="Digest of the last failure of one of its commands.")
    losses: int = Field(default=0, description="How often in a row its turn was ended by others.")
    retry_at_mono_s: float | None = None
    retry_boot_id: str = ""
    port_base: int = 0
    note: str = ""
    error: Problem | None = None
    usage: Usage = Usage()
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def shown(self) -> BuilderStatus:
        """Its status as state.json shows it."""
        return shown_status(self.kind, self.status, self.stage, merged=self.merged, landed=self.landed)

    @property
    def has_work(self) -> bool:
        """True if there is a commit on a branch of its own to merge, or merged."""
        return bool(self.branch and self.commit) and self.status is StepStatus.DONE

    @property
    def is_satisfied(self) -> bool:
        """True if those that need it may start: it is done, or a person has decided to go on without."""
        return self.status.satisfies and not self.ruled_out

    @property
    def is_lost(self) -> bool:
        """True if it is over without that."""
        return self.ruled_out or self.tolerated

    @property
    def part(self) -> Component:
        """The component that it builds. Raises `TypeError` for a step that builds none."""
        if self.component is None:
            raise TypeError(f"{self.id} is a {self.kind}, and builds no component")
        return self.component


class StepChange(TypedDict, total=False):
    """A change of a step's record: the fields of `Step` that it has, with their new values."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    status: StepStatus
    stage: str
    members: tuple[str, ...]
    item: Any
    assistant: str
    attempt: int
    attempts: int
    round: int
    budgets: int
    base_commit: str
    commit: str
    verified: bool
    merged: bool
    landed: bool
    ruled_out: bool
    tolerated: bool
    given_up: int
    occupant: str
    reach: Reach
    session: str | None
    output: Any
    content: str
    reused: str
    decision: str
    words: str
    feedback: str
    failure: str
    losses: int
    retry_at_mono_s: float | None
    retry_boot_id: str
    note: str
    error: Problem | None
    started_at: datetime | None
    ended_at: datetime | None


class Definition(Value):
    """The workflow of a run as it was when it started: its text and those of what it includes, by name, and the inputs.

    A text is that of a file, whose name says how it is read. `project` is the root of the project. `base` is the commit
    that the first of the runs started from of which each went on from a step of the one before; empty for that one.
    `aids` are digests of the texts beside the workflow that prompts are made of, by their names. With `reuse` each step
    may take what an equal one gave in another run, but for the step `again`.
    """

    name: str
    project: str
    files: Mapping[str, str]
    texts: Mapping[str, str]
    inputs: Mapping[str, Any] = {}
    base: str = ""
    aids: Mapping[str, str] = {}
    reuse: bool = False
    again: str = ""


class Now(Value):
    """One instant: wall clock for stamps, CLOCK_BOOTTIME seconds for durations, and which boot that counts from."""

    wall: datetime
    mono_s: float
    boot_id: str
