"""A workflow as it is written: the models of the file, its steps, and the options that each kind of step has."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, Strict, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from lib.model import Chain
from lib.steps import TriggerRule
from lib.workflow.options import (
    Access,
    Budget,
    Compete,
    Concurrency,
    Continue,
    Count,
    End,
    Env,
    Flag,
    Foreach,
    Gate,
    Identifier,
    Input,
    Limits,
    Loop,
    Name,
    OnFailure,
    OnInterrupt,
    Option,
    Retry,
    Run,
    Seconds,
    Secret,
    Text,
    Words,
    Workspace,
)  # fmt: skip

#: Names that an option may be written by, beside its own.
ALIASES: Final[Mapping[str, tuple[str, ...]]] = {"needs": ("depends_on", "dependencies"), "inputs": ("vars",)}
#: Ids that would hide a part of an expression, or make a branch that git refuses.
RESERVED: Final = frozenset({"output", "status", "lock"})
MAX_STEPS: Final = 20_000


class Kind(StrEnum):
    """Kinds of steps, each by the key that a step of it has."""

    PROMPT = "prompt"
    RUN = "run"
    GATE = "gate"
    WORKFLOW = "workflow"
    INCLUDE = "include"
    END = "end"
    GROUP = "group"


_BY_NAME: Final = {kind.value: kind for kind in Kind}
_EVERY: Final = frozenset({"id", "description", "needs", "when", "trigger_rule"})
_OUTCOME: Final = frozenset({"on_failure", "optional"})
_FAN_OUT: Final = frozenset({"foreach", "matrix"})
_WORK: Final = frozenset(
    {"workspace", "access", "env", "timeout_s", "idle_timeout_s", "retry", "verify", "output_schema", "artifacts",
     "limits", "on_interrupt", "cache", "loop"}
)  # fmt: skip
_ASSISTED: Final = frozenset({"assistant", "model", "effort", "role", "profile", "skills", "session", "review",
                              "compete"})  # fmt: skip
#: The options that a step of each kind may have, beside the key that makes it one.
OPTIONS: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.PROMPT: _EVERY | _OUTCOME | _FAN_OUT | _WORK | _ASSISTED,
    Kind.RUN: _EVERY | _OUTCOME | _FAN_OUT | _WORK,
    Kind.GATE: _EVERY | _OUTCOME | _FAN_OUT | {"assistant", "model", "effort"},
    Kind.WORKFLOW: _EVERY | _OUTCOME | _FAN_OUT | {"inputs", "workspace", "timeout_s", "retry", "limits", "cache",
                                                   "on_interrupt", "loop", "artifacts"},
    Kind.INCLUDE: _EVERY | _OUTCOME | {"inputs"},
    Kind.END: _EVERY,
    Kind.GROUP: _EVERY | _OUTCOME | _FAN_OUT | {"loop", "timeout_s", "retry", "workspace", "limits"},
}  # fmt: skip


def _listed(value: Any) -> Any:  # noqa: ANN401 - what else it can be is pydantic's to refuse
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[Text, ...], BeforeValidator(_listed)]


class Settings(Option):
    """Options that steps have in common: those of `defaults`, each of which a step may set for itself."""

    assistant: Chain = ()
    """An assistant, or a chain: the next one takes over at a limit."""
    model: Text | None = None
    """The assistant's model."""
    effort: Text | None = None
    """The depth of thought, in the assistant's own words."""
    role: Text | None = None
    """The role that the assistant is given, and its prompt template, if there is one of that name."""
    profile: Text | None = None
    """A named set of the assistant's own settings."""
    skills: tuple[Name, ...] = ()
    """Instructions by the name of their file."""
    workspace: Workspace = Workspace.SHARED
    """shared: the run's worktree. own: a branch of its own, merged back. none: no worktree."""
    access: Access = Access.WRITE
    """read: beside others, with the worktree read-only."""
    session: Literal["fresh"] | Continue = "fresh"
    """fresh, or `continue: STEP`."""
    env: Env = Field(default_factory=dict)
    """Variables for the step's processes."""
    timeout_s: Seconds | None = None
    """The longest turn or command, in seconds."""
    idle_timeout_s: Seconds | None = None
    """The longest silence, in seconds."""
    retry: Retry | None = None
    """The attempts, the pauses between them, and the failures that deserve one."""
    on_failure: OnFailure = OnFailure.STOP
    """stop: the run fails. continue: steps that can, go on. retry: as `retry` says, or 3 attempts."""
    verify: Run | None = None
    """A command that must succeed after the step."""
    review: Flag | Chain = False
    """true, or the assistants that read the work before it counts."""
    artifacts: Names = ()
    """Files (globs) that are copied out with their hashes."""
    limits: Limits | None = None
    """Most that the step may use."""
    on_interrupt: OnInterrupt = OnInterrupt.RERUN
    """The treatment of a step that a reboot cut off."""
    cache: Flag | None = None
    """true: output and commit of an equal step of another run are taken instead. false: never, with --reuse neither."""


class Step(Settings):
    """One step: an id, exactly one of the keys of `Kind`, and the options of that kind."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]
    """The name that other steps know it by."""
    description: str = ""
    """A line for whoever reads the graph."""

    prompt: Text | None = None
    """The task of an assistant. May have templates."""
    run: Run | None = None
    """A command: one text for the shell, a list for none."""
    gate: Gate | None = None
    """A question."""
    workflow: Text | None = None
    """Another workflow, as a run of its own."""
    include: Text | None = None
    """Another workflow's steps, in this run."""
    end: End | None = None
    """The end of the run."""
    group: Annotated[tuple[Step, ...], Field(min_length=1)] | None = None
    """Steps that belong together, for loops and repeats."""

    needs: Names = ()
    """Steps that come before. Also written depends_on or dependencies."""
    when: Text | None = None
    """An expression; the step is skipped where it is false."""
    trigger_rule: TriggerRule = TriggerRule.ALL_SUCCESS
    """The ends of what it needs that let it start."""
    optional: Flag = False
    """True if its failure counts as skipped."""
    inputs: Mapping[Identifier, Any] = Field(default_factory=dict)
    """Inputs of the workflow that is run or included. May have templates."""
    output_schema: Mapping[str, Any] | None = None
    """A JSON Schema that the output must fit."""
    foreach: Foreach | None = None
    """An instance of the step for each item."""
    matrix: Annotated[Mapping[Identifier, Text | Annotated[tuple[Any, ...], Field(min_length=1)]],
                      Field(min_length=1)] | None = None  # fmt: skip
    """An instance for each combination of values; the item is an object of them."""
    loop: Loop | None = None
    """The step over and over, until something is so."""
    compete: Compete | None = None
    """Several assistants at the same step."""

    @property
    def kind(self) -> Kind:
        return next(kind for name, kind in _BY_NAME.items() if getattr(self, name) is not None)

    @model_validator(mode="before")
    @classmethod
    def _known_by_their_names(cls, data: Any) -> Any:  # noqa: ANN401
        return _renamed(data)

    @model_validator(mode="after")
    def _fits_together(self) -> Step:
        kinds = [name for name in _BY_NAME if getattr(self, name) is not None]
        if not kinds:
            raise _unfit("id", f"needs one of {', '.join(Kind)}")
        if len(kinds) > 1:
            raise _unfit(kinds[-1], f"has {' and '.join(kinds)}; keep one")
        kind = Kind(kinds[0])
        if wrong := sorted(self.model_fields_set - OPTIONS[kind] - {kind.value}):
            raise _unfit(wrong[0], f"can't have {', '.join(wrong)}: a step with `{kind.value}` has no use for it")
        if self.foreach is not None and (self.foreach.items is None) == (self.matrix is None):
            raise _unfit("foreach", "needs one of `in` in foreach, and matrix")
        if self.id in RESERVED:
            raise _unfit("id", f"can't be called {self.id}: that word has a meaning; choose another id")
        return self


class Workflow(Option):
    """A whole workflow."""

    name: Name
    """Unique; the name that it is started by."""
    version: Words = ""
    """Any text."""
    description: str = ""
    """A line for `relay workflows list`."""
    author: str = ""
    """The author."""
    tags: tuple[Text, ...] = ()
    """Words to find it by."""
    inputs: Mapping[Identifier, Input] = Field(default_factory=dict)
    """The values that a run is started with. Also written vars."""
    env: Env = Field(default_factory=dict)
    """Variables for all steps."""
    secrets: tuple[Secret, ...] = ()
    """Secret variables for all steps."""
    defaults: Settings = Settings()
    """Options of all steps that don't set them themselves."""
    parallel: Count | None = None
    """Steps at once."""
    timeout_s: Seconds | None = None
    """The longest run, in seconds."""
    checkpoint_interval_s: Seconds | None = None
    """The longest time between two checkpoints, in seconds."""
    concurrency: Concurrency | None = None
    """Runs that exclude one another."""
    priority: Annotated[int, Strict(), Field(ge=-100, le=100)] = 0
    """The place in this machine's queue: higher goes first."""
    budget: Budget | None = None
    """Most that a run may use of assistants."""
    on_error: Literal["stop", "continue"] = "stop"
    """stop: nothing new starts once a step has failed. continue: what does not depend on it goes on."""
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MAX_STEPS)]
    """The steps, in any order."""
    final: tuple[Step, ...] = Field(default=(), alias="finally")
    """Steps that run however the others ended."""
    outputs: Mapping[Identifier, Any] = Field(default_factory=dict)
    """The results of the run. May have templates."""
    phases: Mapping[Name, Names] = Field(default_factory=dict)
    """The phases that state.json names, in order, each with its steps."""

    @model_validator(mode="before")
    @classmethod
    def _known_by_their_names(cls, data: Any) -> Any:  # noqa: ANN401
        return _renamed(data)

    @field_validator("secrets")
    @classmethod
    def _once(cls, value: tuple[Secret, ...]) -> tuple[Secret, ...]:
        names = [secret.name for secret in value]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"has {twice[0]} twice")
        return value


def _unfit(key: str, problem: str) -> PydanticCustomError:
    """An error of a step as a whole, shown at one of its keys."""
    return PydanticCustomError("unfit", "{problem}", {"problem": problem, "key": key})


def _renamed(data: Any) -> Any:  # noqa: ANN401 - what else it can be is pydantic's to refuse
    """The data with aliases replaced by the options' own names. Raises `ValueError`."""
    if not isinstance(data, Mapping):
        return data
    for name, others in ALIASES.items():
        used = [other for other in (name, *others) if other in data]
        if len(used) > 1:
            raise _unfit(used[-1], f"has {' and '.join(used)}, which are the same; keep one")
        if used and used[0] != name:
            data = {name if key == used[0] else key: value for key, value in data.items()}
    return data
