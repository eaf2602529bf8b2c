"""Limits that a step has of its own, in place of those of the configuration. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from lib.config.model import Config
from lib.jobs import AssistantTurn, Command, JobSpec

if TYPE_CHECKING:
    from lib.workflow.options import Limits

#: Settings that a workflow calls otherwise than the configuration, where they are those of each builder.
_SETTINGS: Final = {"max_cost_usd": "builder_max_cost_usd", "max_tokens": "builder_max_tokens"}


def own_limits(limits: Limits | None) -> Mapping[str, float]:
    """The limits of a step, by the names of the settings that they take the place of."""
    given = limits.model_dump(exclude_none=True) if limits else {}
    return {_SETTINGS.get(name, name): value for name, value in given.items()}


def limited(config: Config, spec: JobSpec) -> Config:
    """The configuration as it is for one job."""
    own = spec.limits if isinstance(spec, AssistantTurn | Command) else {}
    return config.model_copy(update=dict(own)) if own else config
