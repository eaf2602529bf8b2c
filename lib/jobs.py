"""Jobs: the units of work that are started at most once, what they are to do, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator

from lib.effects import KNOWN, EffectArgs
from lib.model import Problem, Usage, Value

A = TypeVar("A", bound=EffectArgs)


class ProcessIdentity(Value):
    """A process that can't be mistaken for a later one with the same number.

    `start_ticks` is field 22 of proc_pid_stat(5), `boot_id` /proc/sys/kernel/random/boot_id.
    """

    pid: int
    start_ticks: int
    boot_id: str


class JobKind(StrEnum):
    ASSISTANT = "assistant"
    COMMAND = "command"
    EFFECT = "effect"


class _Task(Value):
    """The fields of every task. `worktree` is the name of one below `.project/worktrees/RUN/`."""

    name: str
    step: str | None = None
    worktree: str | None = None


class _Process(_Task):
    """The fields of a task that is a process, with its limits in seconds. In a sandbox one that is `read_only` can't
    write its worktree. `env` is added to its environment. `limits` are those that it has in place of settings.
    """

    read_only: bool = False
    env: Mapping[str, str] = {}
    timeout_s: float | None = None
    idle_timeout_s: float | None = None
    limits: Mapping[str, float] = {}


class AssistantTurn(_Process):
    """A turn of an assistant in a worktree.

    `name` says what it is for (`design`, `build`, `review` …), `prompt` has the values of the template of its `role`,
    `session` is the conversation that it goes on with, and `effort` how much the model is to think.
    """

    kind: Literal[JobKind.ASSISTANT] = JobKind.ASSISTANT
    role: str = ""
    assistant: str = ""
    effort: str = ""
    prompt: Mapping[str, Any] = {}
    session: str | None = None


class Command(_Process):
    """A shell line. Without a `worktree` it runs in the user's own folder. If it `gives` something, that is what it
    prints, or what it writes into the file `$RELAY_OUTPUT`.
    """

    kind: Literal[JobKind.COMMAND] = JobKind.COMMAND
    command: str
    gives: bool = False


class Effect(_Task):
    """Something that Relay does itself; use `effect` to make one."""

    kind: Literal[JobKind.EFFECT] = JobKind.EFFECT
    args: SerializeAsAny[EffectArgs]

    @field_validator("args", mode="before")
    @classmethod
    def _typed(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - JSON, which pydantic judges
        known = KNOWN.get(info.data.get("name", ""))
        return known.model_validate(value) if known and not isinstance(value, EffectArgs) else value


def effect(args: EffectArgs, *, step: str | None = None, worktree: str | None = None) -> Effect:
    """The task of doing an effect, for a step or for the run, about a worktree."""
    return Effect(name=args.effect, step=step, worktree=worktree, args=args)


#: The task of a job.
JobSpec = Annotated[AssistantTurn | Command | Effect, Field(discriminator="kind")]


class JobResult(Value):
    """The result of a job.

    `ok` is the verdict; `code` names the failure (`exit_nonzero`, `timeout`, `idle`, `lost`, `conflict` …); `does` says
    what its `remedy` does, if that is known. If a limit ended it, `retry_at` (UTC) or `retry_after_s` (seconds from its
    end) says when that is lifted, if known. `text` is an assistant's final message, or both ends of what a command
    printed; `tail` the report of a failure, of `command` if it was one; `printed` says that its process failed and
    printed something; `shadow` is why a verification looked at other code than that of its worktree; `kept` says that a
    turn is in its program's conversation. `warnings` are shown. `output` is what a command that `gives` something gave.
    `data` is an effect's result as JSON: see `lib.effects`.
    """

    ok: bool
    code: str = ""
    message: str = ""
    remedy: str = ""
    does: str = ""
    exit_status: int | None = None
    session: str | None = None
    usage: Usage = Usage()
    retry_at: datetime | None = None
    retry_after_s: float | None = None
    text: str = ""
    tail: str = ""
    command: str = ""
    printed: bool = False
    shadow: str = ""
    kept: bool = False
    warnings: tuple[str, ...] = ()
    output: Any = None
    data: Mapping[str, Any] = {}


class Condition(StrEnum):
    WORKING = "working"
    SILENT = "silent"
    ASKING = "asking"
    RETRYING = "retrying"
    RATE_LIMITED = "rate_limited"


class Progress(Value):
    """The condition of a turn that runs, by its events and the age of its output.

    `code` is the failure that it is retrying, `until` when it tries again, if it says so; `answered` that its
    model has said something; `ended` that the turn's last event is there; `usage` what it has used so far.
    """

    condition: Condition = Condition.WORKING
    reason: str = ""
    code: str = ""
    until: datetime | None = None
    answered: bool = False
    ended: bool = False
    usage: Usage = Usage()


class Cooldown(Value):
    """The reason why an assistant is not launched: a limit, an error of its service, or that it can't be used at all.

    It lasts until `until_mono_s`, after a reboot until `until`, and without these until a person hands back. Then one
    turn is tried, and only when that is answered do others follow. `strikes` counts the holds that followed one
    another; `boot_id` says which boot the seconds of CLOCK_BOOTTIME count from.
    """

    code: str
    reason: str
    remedy: str = ""
    does: str = ""
    since_mono_s: float
    boot_id: str
    until: datetime | None = None
    until_mono_s: float | None = None
    strikes: int = 0


class Delay(Value):
    """The reason of a job's delay: the machine refused it. It is tried again at `again_mono_s`, None once it is."""

    problem: Problem
    tries: int
    again_mono_s: float | None = None


class Job(Value):
    """A unit of work, and the idempotency key of what it does: it is started at most once under its id."""

    id: str
    spec: JobSpec
    attempt: int
    dispatch: int
    started_at: datetime
    started_mono_s: float
    process: ProcessIdentity | None = None
    stopping: str = Field(default="", description="Why Relay is stopping it; recorded before the first signal.")
    progress: Progress = Progress()
    delay: Delay | None = None
    ended_at: datetime | None = None
    result: JobResult | None = None

    @property
    def turn(self) -> AssistantTurn | None:
        """The turn that it is, if it is one."""
        return self.spec if isinstance(self.spec, AssistantTurn) else None

    @property
    def command(self) -> str:
        """The shell line that it runs; empty if it runs none."""
        return self.spec.command if isinstance(self.spec, Command) else ""

    @property
    def assistant(self) -> str:
        """The assistant whose turn it is; empty without one."""
        return self.spec.assistant if isinstance(self.spec, AssistantTurn) else ""

    @property
    def role(self) -> str:
        """The role of its turn; empty without one."""
        return self.spec.role if isinstance(self.spec, AssistantTurn) else ""

    def args(self, kind: type[A]) -> A | None:
        """The arguments of the effect that it does, if they are of that kind."""
        args = self.spec.args if isinstance(self.spec, Effect) else None
        return args if isinstance(args, kind) else None

    @property
    def is_process(self) -> bool:
        """True if it runs a process of its own: it is no effect."""
        return not isinstance(self.spec, Effect)
