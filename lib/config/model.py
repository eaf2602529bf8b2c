"""The configuration: `.project/config.yaml`, then `RELAY_*` variables, then flags, in one model.

An unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from textwrap import indent
from typing import Annotated, Any, get_args, get_origin

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from lib.config.origins import Origins, editing, nearest
from lib.config.words import Document, NotYamlError
from lib.errors import UsageError
from lib.files.safe_read import NotPlainError, read_own
from lib.model import Chain, Slug, Value, listed
from lib.names import quote

MAX_CONFIG_BYTES = 1_000_000

#: A list that may be written `a, b`.
Texts = Annotated[tuple[str, ...], BeforeValidator(listed)]


def _blank(value: Any) -> Any:  # noqa: ANN401 - what else it can be is pydantic's to refuse
    return "" if value is None else value


class Land(StrEnum):
    AUTO = "auto"
    ASK = "ask"
    BRANCH = "branch"


class Gate(StrEnum):
    PERSON = "person"
    NONE = "none"


class Sandbox(StrEnum):
    AUTO = "auto"
    REQUIRE = "require"
    OFF = "off"


class Conflicts(StrEnum):
    ASSISTANT = "assistant"
    PERSON = "person"


class Scope(StrEnum):
    WARN = "warn"
    ASK = "ask"
    REFUSE = "refuse"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Role(StrEnum):
    ARCHITECT = "architect"
    BUILDER = "builder"
    REVIEWER = "reviewer"
    RESOLVER = "resolver"


class Gates(Value):
    design: Gate = Gate.PERSON


class Config(Value):
    """Everything that can be set. Times are seconds, or days where the name says so; sizes are megabytes."""

    assistant: Chain = Field(default=("auto",), min_length=1, description="NAME or NAME:VARIANT, or several: the next "
                             "takes over at a limit; auto picks the first one installed.")  # fmt: skip
    roles: Mapping[Role, Chain] = Field(default={}, description="Assistants of a role, instead of `assistant`.")
    review: bool = Field(default=False, description="A reviewer reads each builder's work before it is merged.")
    conflicts: Conflicts = Field(default=Conflicts.ASSISTANT, description="Who resolves conflicts first.")
    scope: Scope = Field(default=Scope.ASK, description="Files outside a component's own: shown; asked about before "
                         "they land if any is deleted or they are many; or sent back.")  # fmt: skip
    skills: Annotated[tuple[Slug, ...], BeforeValidator(listed)] = Field(
        default=(), description="Instructions given to builders, each by the name of its file."
    )
    max_cost_usd: float | None = Field(default=None, gt=0, description="What a run may cost.")
    max_tokens: int | None = Field(default=None, gt=0, description="Tokens that a run may use, in and out.")
    builder_max_cost_usd: float | None = Field(default=None, gt=0, description="What a builder may cost.")
    builder_max_tokens: int | None = Field(default=None, gt=0, description="Tokens that a builder may use.")
    limit_delay_s: float = Field(default=60.0, ge=0, description="Pause after a rate limit without a time; doubles.")
    limit_delay_max_s: float = Field(default=1800.0, ge=0, description="The longest that pause becomes.")
    stuck_timeout_s: float = Field(default=120.0, gt=0, description="Longest wait of a turn for an answer to its "
                                   "question, or for a service that fails.")  # fmt: skip
    sandbox: Sandbox = Field(default=Sandbox.AUTO, description="auto, require or off: a sandbox around each job.")
    sandbox_write: Texts = Field(default=(), description="Further folders that they may write.")
    env_pass: Texts = Field(default=(), description="Further variables (fnmatch) that they get.")
    memory_max_mb: float | None = Field(default=None, gt=0, description="Most memory of a job's processes together.")
    processes_max: int | None = Field(default=None, gt=0, description="Most processes of a job.")
    assistants: Mapping[str, Mapping[str, Any]] = Field(default={}, description="Settings by assistant name.")
    parallel: int = Field(default=10, ge=1, le=500, description="Builders at work at once.")
    poll_s: float = Field(default=5.0, gt=0, le=3600, description="Seconds between reads of state.json without events.")
    verify: str | None = Field(default=None, description="Shell line that must succeed, in worktrees and merged.")
    setup: str | None = Field(default=None, description="Shell line that makes a new worktree ready.")
    land: Land = Field(default=Land.AUTO, description="auto; ask: you approve it; branch: yours is left alone.")
    gates: Gates = Field(default=Gates(), description="design: person (you approve the design) or none.")
    attempts: int = Field(default=3, ge=1, le=50, description="How often a builder is tried before you are asked.")
    design_repairs: int = Field(default=2, ge=0, le=10, description="How often an invalid design goes back.")
    allow_no_changes: bool = Field(default=False, description="A builder may end without changing a file.")
    timeout_s: float = Field(default=3600.0, gt=0, description="Longest turn of an assistant.")
    idle_timeout_s: float = Field(default=900.0, gt=0, description="Longest silence of an assistant.")
    command_timeout_s: float = Field(default=900.0, gt=0, description="Longest setup or verify command.")
    stop_grace_s: float = Field(default=5.0, ge=0, le=60, description="From TERM to KILL.")
    retry_delay_s: float = Field(default=1.0, ge=0, description="First pause before a retry; doubles each time.")
    retry_delay_max_s: float = Field(default=60.0, ge=0, description="The longest that pause becomes.")
    output_max_mb: float = Field(default=200.0, gt=0, description="A job that prints more is stopped.")
    ports_per_builder: int = Field(default=10, ge=1, le=1000, description="Ports of each builder's own.")
    port_base: int = Field(default=20_000, ge=1024, le=60_000, description="The first port that is given out.")
    checkpoint_interval_s: float | None = Field(default=600.0, gt=0, description="Longest time from a change of a run "
                                                "to a checkpoint of it.")  # fmt: skip
    checkpoints_max: int = Field(default=50, ge=1, description="Checkpoints of a run that are kept: the newest.")
    checkpoints_max_days: float = Field(default=7.0, gt=0, description="Days for which checkpoints are kept.")
    log_level: LogLevel = Field(default=LogLevel.INFO, description="Least level of the lines in orchestrator.log.")
    keep_history_days: int | None = Field(default=None, ge=1, le=36_500, description="Days after which a run that is "
                                          "over, and left nothing, is forgotten.")  # fmt: skip
    env: Mapping[str, Annotated[str, BeforeValidator(_blank)]] = Field(
        default={}, description="Added to the environment of builders and commands."
    )

    def chain(self, role: str) -> Chain:
        """The assistants that are asked for that role."""
        return self.roles.get(Role(role)) or self.assistant

    @field_validator("verify", "setup")
    @classmethod
    def _blank_is_none(cls, value: str | None) -> str | None:
        return value if value and value.strip() else None


#: Settings that decide what is run, by whom, what that can see or skip, and what is forgotten: those of a file are used
#: only once trusted.
BOUND = frozenset(
    {
        "assistant", "roles", "assistants", "skills", "verify", "setup", "env", "env_pass", "sandbox", "sandbox_write",
        "gates", "scope", "keep_history_days",
    }
)  # fmt: skip
#: Settings that run and show nothing: how much, how long, how often, and where the result goes.
FREE = frozenset(
    {
        "review", "conflicts", "max_cost_usd", "max_tokens", "builder_max_cost_usd", "builder_max_tokens",
        "limit_delay_s", "limit_delay_max_s", "stuck_timeout_s", "memory_max_mb", "processes_max", "parallel", "poll_s",
        "land", "attempts", "design_repairs", "allow_no_changes", "timeout_s", "idle_timeout_s", "command_timeout_s",
        "stop_grace_s", "retry_delay_s", "retry_delay_max_s", "output_max_mb", "ports_per_builder", "port_base",
        "checkpoint_interval_s", "checkpoints_max", "checkpoints_max_days", "log_level",
    }
)  # fmt: skip
#: `RELAY_*` variables that Relay gives to its children, and so must not read as settings.
NOT_SETTINGS = frozenset(
    {
        "RELAY_RUN", "RELAY_ROLE", "RELAY_BUILDER", "RELAY_ATTEMPT", "RELAY_WORKTREE", "RELAY_PORT_BASE",
        "RELAY_JOB", "RELAY_REQUIREMENT", "RELAY_SETTINGS", "RELAY_PROJECT", "RELAY_PROMPT_FILE", "RELAY_RUN_DIR",
        "RELAY_FILES_DIR", "RELAY_SESSION", "RELAY_STATE", "RELAY_STATE_FILE", "RELAY_VARIANT",
    }
)  # fmt: skip
#: Settings whose values have YAML's own types: what they are, only the assistant knows.
TYPED = ("assistants",)


@dataclass(frozen=True, slots=True)
class Settings:
    """A configuration, where its parts come from, and warnings about variables that are none of it."""

    config: Config
    origins: Origins
    warnings: tuple[str, ...] = ()


def load_config(file: Path, flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration of a project; see `read_settings`."""
    return read_settings(file, flags, environ).config


def read_settings(file: Path, flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Settings:
    """The configuration of a project, flags winning over `RELAY_*` variables winning over `file`.

    A flag that is None is as if not given. Raises `UsageError` (`config_invalid`).
    """
    return settings_of(_read_file(file), file, flags, environ)


def settings_of(document: Document, file: Path, flags: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """As `read_settings`, of a file that was read. Raises `UsageError` (`config_invalid`)."""
    given = {key: value for key, value in flags.items() if value is not None}
    names = [name for name in environ if name.startswith("RELAY_") and name not in NOT_SETTINGS]
    variables = {key: name for name in names if (key := _key(name)) in Config.model_fields}
    origins = Origins(file, document, variables, given)
    values = {
        **document.values,
        **{key: from_text(key, environ[name], name) for key, name in variables.items()},
        **given,
    }
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        known = {"": tuple(Config.model_fields), "gates": tuple(Gates.model_fields)}
        raise origins.error(error.errors(include_url=False), known) from error
    unknown = (name for name in names if name not in variables.values())
    return Settings(config, origins, tuple(_unknown(name) for name in unknown))


def _key(variable: str) -> str:
    return variable.removeprefix("RELAY_").lower()


def _unknown(variable: str) -> str:
    near = nearest(_key(variable), Config.model_fields)
    return f"{variable} is no setting of Relay" + (f"; did you mean RELAY_{near.upper()}?" if near else "")


def from_text(key: str, text: str, where: str) -> Any:  # noqa: ANN401 - a value of that setting's type
    """The value of a setting that was written as one text: a variable's, or an argument's.

    A list may be written `a, b`; lists and mappings may be YAML, and so JSON. All else is the text as it is. Raises
    `UsageError` (`config_invalid`) that names `where`.
    """
    annotation = Config.model_fields[key].annotation
    kind = get_origin(annotation) or annotation
    if kind in {Mapping, Gates} or (kind is tuple and text.lstrip().startswith("[")):
        return _from_yaml(key, text, where)
    return None if not text.strip() and type(None) in get_args(annotation) else text


def _from_yaml(key: str, text: str, where: str) -> Any:  # noqa: ANN401 - YAML can be anything
    try:
        value = Document(f"{key}:\n{indent(text, ' ')}", typed=TYPED).values[key]
        return {} if value is None else value
    except NotYamlError as error:
        remedy = f"relay config explain {key}"
        message = f"{where} is not YAML, such as [A, B] or {{NAME: VALUE}}: {error.reason}"
        raise UsageError(message, remedy=remedy, code="config_invalid") from error


def _read_file(file: Path) -> Document:
    try:
        raw = read_own(file, limit=MAX_CONFIG_BYTES)
    except NotPlainError as error:
        message = f"{file} is {error.what}, not a plain file of at most 1 MB"
        raise UsageError(message, remedy=f"ls -ld {quote(file)}", code="config_invalid") from error
    except OSError as error:
        message = f"{file} can't be read: {error.strerror}"
        raise UsageError(message, remedy=f"ls -l {quote(file)}", code="config_invalid") from error
    return Document("{}") if raw is None else document_of(raw.decode("utf-8", errors="replace"), file)


def document_of(text: str, file: Path) -> Document:
    """The text of `file`, read as settings. Raises `UsageError` (`config_invalid`)."""
    try:
        document = Document(text, typed=TYPED)
    except NotYamlError as error:
        where = f"{file.name}, line {error.line}" if error.line else file.name
        message = f"{where}: not YAML: {error.reason}"
        raise UsageError(message, remedy=editing(file), code="config_invalid") from error
    if document.values is None:
        document.values = {}
    if not isinstance(document.values, dict):
        message = f"{file.name} must have `name: value` lines"
        raise UsageError(message, remedy="relay init --print", code="config_invalid")
    if twice := document.twice():
        message = f"{file.name}, line {twice[2]}: {twice[0]} is set twice (in line {twice[1]} too)"
        raise UsageError(message, remedy=editing(file), code="config_invalid")
    document.values = {str(key): value for key, value in document.values.items()}
    return document
