"""The values of a workflow's options: each a frozen model whose unknown keys are errors."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field, Strict, StringConstraints, field_validator, model_validator

from lib.model import Chain, Value
from lib.workflow.located import Written

#: A name in a URL, a branch and a file name, on any file system.
NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"
#: A name in an expression.
IDENTIFIER_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_-]{0,62}$"


def _worded(value: Any) -> Any:  # noqa: ANN401 - what else it can be is pydantic's to refuse
    if isinstance(value, Written):
        return value.text
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _text(value: Any) -> Any:  # noqa: ANN401
    """Words for what an environment holds as text anyway."""
    return str(value).lower() if isinstance(value, bool) else _worded(value)


Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Identifier = Annotated[str, StringConstraints(pattern=IDENTIFIER_PATTERN)]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,126}$")]
#: A text that may be written as a number.
Words = Annotated[str, BeforeValidator(_worded)]
Setting = Annotated[str, BeforeValidator(_text)]
Text = Annotated[str, StringConstraints(min_length=1)]
Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict(), Field(ge=1, le=1_000_000)]
Seconds = Annotated[float, Strict(), Field(gt=0, le=31_536_000, allow_inf_nan=False)]
Pause = Annotated[float, Strict(), Field(ge=0, le=31_536_000, allow_inf_nan=False)]
#: A command: one text for the shell, or a list of arguments without one.
Run = Text | Annotated[tuple[Words, ...], Field(min_length=1)]
Env = Mapping[Variable, Setting]


class Option(Value):
    """An option with parts of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, populate_by_name=True)


class InputType(StrEnum):
    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LIST = "list"
    OBJECT = "object"


class Workspace(StrEnum):
    SHARED = "shared"
    OWN = "own"
    NONE = "none"


class Access(StrEnum):
    WRITE = "write"
    READ = "read"


class OnFailure(StrEnum):
    STOP = "stop"
    CONTINUE = "continue"
    RETRY = "retry"


class OnInterrupt(StrEnum):
    RERUN = "rerun"
    ASK = "ask"
    SKIP = "skip"


class Join(StrEnum):
    ALL_SUCCESS = "all_success"
    ALL_DONE = "all_done"


class EndStatus(StrEnum):
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class FailureKind(StrEnum):
    """Kinds of failure that a step may be tried again for."""

    EXIT = "exit"
    TIMEOUT = "timeout"
    IDLE = "idle"
    NO_CHANGES = "no_changes"
    VERIFY = "verify"
    REVIEW = "review"
    SCHEMA = "schema"
    LIMIT = "limit"
    SERVICE = "service"
    LOST = "lost"
    REFUSED = "refused"


class Input(Option):
    """A value that a run is started with."""

    type: InputType = InputType.STRING
    """The kind of value."""
    default: Any = None
    """The value where none is given."""
    required: Flag = False
    """True if a run can't start without it."""
    enum: Annotated[tuple[Any, ...], Field(min_length=1)] | None = None
    """The values that it may have."""
    pattern: Annotated[str, StringConstraints(max_length=1000)] | None = None
    """A regular expression that the whole text must match."""
    description: str = ""
    """The line that a person is asked with."""
    secret: Flag = False
    """True if it is masked wherever it would be shown, and never stored."""


class SecretFrom(Option):
    """The place that a secret is read from when a step starts: one of the three."""

    env: Variable | None = None
    """A variable of the environment that Relay was started in."""
    file: Text | None = None
    """A file whose content, without its last line end, is the secret."""
    command: Run | None = None
    """A command whose output, without its last line end, is the secret."""

    @model_validator(mode="after")
    def _one(self) -> SecretFrom:
        if sum(value is not None for value in (self.env, self.file, self.command)) != 1:
            raise ValueError("must name one of env, file and command")
        return self


class Secret(Option):
    """A value in the environment of steps: masked everywhere, in no command line, never stored."""

    name: Variable
    """The variable that steps find it in."""
    source: Literal["env"] | SecretFrom = Field(alias="from")
    """`env`, a variable of the same name, or one of env, file and command with a value."""


class Concurrency(Option):
    """Runs that exclude one another."""

    group: Text
    """The name of the group; may have templates of inputs."""
    on_conflict: Literal["queue", "cancel", "refuse"] = "queue"
    """The behaviour while another of the group is under way: wait, cancel that one, or not start."""


class Budget(Option):
    """Most that a run may use of assistants."""

    max_cost_usd: Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)] | None = None
    """US dollars."""
    max_tokens: Annotated[int, Strict(), Field(ge=1)] | None = None
    """Tokens, in and out."""


class Limits(Budget):
    """Most that a step may use."""

    memory_max_mb: Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)] | None = None
    """Memory of its processes together, in megabytes."""
    processes_max: Count | None = None
    """Processes at once."""
    output_max_mb: Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)] | None = None
    """Most that it may print, in megabytes."""


class Retry(Option):
    """The attempts of a step, the pauses between them, and the failures that deserve another."""

    max_attempts: Annotated[int, Strict(), Field(ge=1, le=50)] = 3
    """Attempts, the first included."""
    delay_s: Pause = 1.0
    """The first pause, in seconds."""
    backoff: Annotated[float, Strict(), Field(ge=1, le=100, allow_inf_nan=False)] = 2.0
    """The factor of each pause to the one before."""
    max_delay_s: Pause = 60.0
    """The longest pause, in seconds."""
    jitter: Flag = True
    """True if pauses vary by chance, so that steps don't come back all at once."""
    on: tuple[FailureKind, ...] = ()
    """Kinds of failure; all of them where none is named."""
    exit_codes: tuple[Annotated[int, Strict(), Field(ge=1, le=255)], ...] = ()
    """Exit statuses; all of them where none is named."""


class Foreach(Option):
    """An instance of the step for each item, known by its key and not by its place."""

    items: Text | tuple[Any, ...] | None = Field(default=None, alias="in")
    """A list, or one `{{ … }}` that gives one. Left out beside `matrix`."""
    name: Identifier = Field(default="item", alias="as")
    """The name of the item in expressions, beside `item`."""
    max_parallel: Count | None = None
    """Instances at once."""
    join: Join = Join.ALL_SUCCESS
    """all_success: the step fails with any instance. all_done: failures are data in its output."""
    key: Text | None = None
    """A template that gives each item its key; the item itself where it is text or a number."""


class Loop(Option):
    """The step, or the steps of a group, over and over."""

    until: Text | None = None
    """An expression; the loop ends after the turn in which it is true."""
    until_run: Run | None = None
    """A command; the loop ends after the turn in which it exits with 0."""
    max_iterations: Annotated[int, Strict(), Field(ge=1, le=1000)]
    """Turns; the step fails if the last one does not end the loop."""
    fresh_session: Flag = False
    """True if each turn is a new session of the assistant."""

    @model_validator(mode="after")
    def _ends(self) -> Loop:
        if self.until is None and self.until_run is None:
            raise ValueError("needs until (an expression) or until_run (a command): nothing else ends it")
        return self


class Judge(Option):
    """The assistant that picks among competitors."""

    assistant: Chain = ()
    """One or a chain; the step's own where it is left out."""
    prompt: Text | None = None
    """The points to look at, beside the work itself."""


class Compete(Option):
    """Several assistants do the same, side by side; one's work is taken, the others' is kept aside."""

    assistants: Annotated[tuple[Text, ...], Field(min_length=2)]
    """The competitors."""
    pick: Literal["verify", "judge", "person"] = "verify"
    """verify: the first whose work passes the verify command. judge: an assistant says. person: you are asked."""
    judge: Judge | None = None
    """The assistant that says, with `pick: judge`."""

    @model_validator(mode="after")
    def _judged(self) -> Compete:
        if self.judge is not None and self.pick != "judge":
            raise ValueError("has a judge, who is asked only with `pick: judge`")
        return self


class OnReject(Option):
    """The consequence of a rejection; without it the gate fails."""

    back_to: Text | None = None
    """A step before the gate: it and what depends on it run again, with the words of the rejection."""
    prompt: Text | None = None
    """An assistant is given this, with the words of the rejection; then the gate asks again."""
    max_rounds: Annotated[int, Strict(), Field(ge=1, le=50)] = 3
    """Rejections before the gate fails."""

    @model_validator(mode="after")
    def _one(self) -> OnReject:
        if (self.back_to is None) == (self.prompt is None):
            raise ValueError("needs one of back_to and prompt")
        return self


#: Actions that state.json can name, so that no decision can.
_TAKEN: Final = frozenset({"retry", "skip", "cancel", "design", "design_build", "execution", "merge_build"})


class Gate(Option):
    """A question: the run goes on with the answer."""

    message: Text
    """The question."""
    decisions: Annotated[tuple[Identifier, ...], Field(min_length=1)] = ("approve", "reject")
    """The answers to choose from."""
    form: Mapping[str, Any] | None = None
    """A JSON Schema of further answers, an object."""
    timeout_s: Seconds | None = None
    """The longest wait for an answer, in seconds."""
    on_timeout: Identifier | None = None
    """The decision that is then taken; the gate fails where there is none."""
    on_reject: OnReject | None = None
    """The consequence of `reject`."""
    who: Text = "person"
    """`person`, or an assistant, whose answer is data and never an approval by wording alone."""

    @field_validator("decisions")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("has a decision twice")
        if taken := sorted(_TAKEN.intersection(value)):
            raise ValueError(f"has a decision called {taken[0]}, which is an action of Relay's own")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Gate:
        if self.on_timeout is not None and self.on_timeout not in self.decisions:
            raise ValueError(f"has on_timeout: {self.on_timeout}, which is none of its decisions")
        if self.on_timeout is not None and self.timeout_s is None:
            raise ValueError("has on_timeout without timeout_s")
        if self.on_reject is not None and "reject" not in self.decisions:
            raise ValueError("has on_reject, and no decision is called reject")
        return self


class End(Option):
    """The end of the run, before its other steps."""

    status: EndStatus = EndStatus.DONE
    """The status of the run."""
    reason: str = ""
    """The reason, for whoever looks at it."""


class Continue(Option):
    """A session that goes on."""

    step: Text = Field(alias="continue")
    """The step whose session it is."""
