"""The configuration: `.project/config.yaml`, then `RELAY_*` variables, then flags, in one model.

An unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from lib.errors import UsageError
from lib.model import Chain, Slug, Value

MAX_CONFIG_BYTES = 1_000_000


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


class Role(StrEnum):
    ARCHITECT = "architect"
    BUILDER = "builder"
    REVIEWER = "reviewer"
    RESOLVER = "resolver"


class Gates(Value):
    design: Gate = Gate.PERSON


class Config(Value):
    """Everything that can be set. Times are seconds, sizes megabytes."""

    assistant: Chain = Field(default=("auto",), min_length=1, description="NAME or NAME:VARIANT, or several: each goes "
                             "on where the one before met a limit; auto picks the first one installed.")  # fmt: skip
    roles: Mapping[Role, Chain] = Field(default={}, description="Assistants of a role, instead of `assistant`.")
    review: bool = Field(default=False, description="A reviewer reads each builder's work before it is merged.")
    conflicts: Conflicts = Field(default=Conflicts.ASSISTANT, description="Who resolves conflicts first.")
    scope: Scope = Field(default=Scope.ASK, description="Files outside a component's own: shown; asked about before "
                         "they land if any is deleted or they are many; or sent back.")  # fmt: skip
    skills: tuple[Slug, ...] = Field(default=(), description="Files in .project/skills that builders are given.")
    max_cost_usd: float | None = Field(default=None, gt=0, description="What a run may cost.")
    max_tokens: int | None = Field(default=None, gt=0, description="Tokens that a run may use, in and out.")
    builder_max_cost_usd: float | None = Field(default=None, gt=0, description="What a builder may cost.")
    builder_max_tokens: int | None = Field(default=None, gt=0)
    limit_delay_s: float = Field(default=60.0, ge=0, description="Pause after a rate limit without a time; doubles.")
    limit_delay_max_s: float = Field(default=1800.0, ge=0)
    stuck_timeout_s: float = Field(default=120.0, gt=0, description="Longest wait of a turn for an answer to its "
                                   "question, or for a service that fails.")  # fmt: skip
    sandbox: Sandbox = Field(default=Sandbox.AUTO, description="Whether bubblewrap contains assistants and commands.")
    sandbox_write: tuple[str, ...] = Field(default=(), description="Further folders that they may write.")
    env_pass: tuple[str, ...] = Field(default=(), description="Further variables (fnmatch) that they get.")
    memory_max_mb: float | None = Field(default=None, gt=0, description="Most memory of a job's processes together.")
    processes_max: int | None = Field(default=None, gt=0, description="Most processes of a job.")
    assistants: Mapping[str, Mapping[str, Any]] = Field(default={}, description="Settings by assistant name.")
    parallel: int = Field(default=10, ge=1, le=500, description="Builders at work at once.")
    poll_s: float = Field(default=5.0, gt=0, le=3600, description="How often state.json is read without any hint.")
    verify: str | None = Field(default=None, description="Shell line that must succeed, in worktrees and merged.")
    setup: str | None = Field(default=None, description="Shell line that makes a new worktree ready.")
    land: Land = Land.AUTO
    gates: Gates = Gates()
    attempts: int = Field(default=3, ge=1, le=50, description="How often a builder is tried before ci is asked.")
    design_repairs: int = Field(default=2, ge=0, le=10)
    allow_no_changes: bool = False
    timeout_s: float = Field(default=3600.0, gt=0, description="Longest turn of an assistant.")
    idle_timeout_s: float = Field(default=900.0, gt=0, description="Longest silence of an assistant.")
    command_timeout_s: float = Field(default=900.0, gt=0, description="Longest setup or verify command.")
    stop_grace_s: float = Field(default=5.0, ge=0, le=60, description="From TERM to KILL.")
    retry_delay_s: float = Field(default=1.0, ge=0, description="First pause before a retry; doubles each time.")
    retry_delay_max_s: float = Field(default=60.0, ge=0)
    output_max_mb: float = Field(default=200.0, gt=0, description="A job that prints more is stopped.")
    ports_per_builder: int = Field(default=10, ge=1, le=1000)
    port_base: int = Field(default=20_000, ge=1024, le=60_000)
    env: Mapping[str, str] = Field(default={}, description="Added to the environment of builders and commands.")

    def chain(self, role: str) -> Chain:
        """The assistants that are asked for that role."""
        return self.roles.get(Role(role)) or self.assistant

    @field_validator("verify", "setup")
    @classmethod
    def _blank_is_none(cls, value: str | None) -> str | None:
        return value if value and value.strip() else None


#: `RELAY_*` variables that Relay gives to its children, and so must not read as settings.
NOT_SETTINGS = frozenset(
    {
        "RELAY_RUN", "RELAY_ROLE", "RELAY_BUILDER", "RELAY_ATTEMPT", "RELAY_WORKTREE", "RELAY_PORT_BASE",
        "RELAY_JOB", "RELAY_REQUIREMENT", "RELAY_SETTINGS",
    }
)  # fmt: skip


def load_config(file: Path, flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration of a project, flags winning over `RELAY_*` variables winning over `file`.

    A flag that is None is as if not given. Raises `UsageError` (`config_invalid`).
    """
    values = _read_file(file)
    for name, text in environ.items():
        key = name.removeprefix("RELAY_").lower()
        if name.startswith("RELAY_") and name not in NOT_SETTINGS and key in Config.model_fields:
            values[key] = _scalar(text)
    values.update({key: value for key, value in flags.items() if value is not None})
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise _explained(error, file) from error


def _read_file(file: Path) -> dict[str, Any]:
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        message = f"{file} can't be read: {error.strerror}"
        raise UsageError(message, remedy=f"ls -l {file}", code="config_invalid") from error
    if len(raw) > MAX_CONFIG_BYTES:
        raise UsageError(f"{file} is larger than 1 MB", remedy=f"ls -l {file}", code="config_invalid")
    values = _yaml(raw.decode("utf-8", errors="replace"), file)
    if values is None:
        return {}
    if not isinstance(values, dict):
        message = f"{file}: expected `key: value` lines, found {type(values).__name__}"
        raise UsageError(message, remedy="relay init --print", code="config_invalid")
    return {str(key): value for key, value in values.items()}


def _yaml(text: str, file: Path | None) -> Any:  # noqa: ANN401 - YAML can be anything
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        reason = getattr(error, "problem", None) or type(error).__name__
        message = f"{file or 'environment'}{where}: not YAML: {reason}"
        raise UsageError(message, remedy=f"$EDITOR {file}", code="config_invalid") from error


def _scalar(text: str) -> Any:  # noqa: ANN401 - a variable is whatever YAML makes of it
    return _yaml(text, None) if text[:1] in "{[" else text


def _explained(error: ValidationError, file: Path) -> UsageError:
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        near = difflib.get_close_matches(name, _known_keys(first["loc"][:-1]), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        message = f"configuration: unknown key {path}{hint}"
    else:
        message = f"configuration: {path}: {first['msg']}"
    return UsageError(message, remedy=f"$EDITOR {file}", code="config_invalid")


def _known_keys(parents: tuple[int | str, ...]) -> list[str]:
    return list(Gates.model_fields if parents == ("gates",) else Config.model_fields)
