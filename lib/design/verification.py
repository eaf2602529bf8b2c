"""The commands that a builder's work and the merged tree must bear, and what is not verified by any. Pure.

The configured command comes first, then the component's own: a design adds to what the project demands, and takes
nothing away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from lib.config.model import Config
from lib.model import Component

#: What there is to do where nothing verifies a run.
HINT: Final = "set verify: in .project/config.yaml (relay init proposes a command)"
_SHOWN: Final = 4
#: What a command says that runs Python, directly or by something that does.
_RUNS: Final = re.compile(r"(?<![\w-])(?:python[\d.]*|py\.test|pytest|coverage|make|unittest)(?![\w-])")
#: What a command says that brings an environment of its own, or names where to import from.
_OWN: Final = re.compile(
    r"PYTHONPATH=|(?<![\w./-])(?:\./)?\.?venv/|\b(?:uv|poetry|pdm|hatch|pipenv|rye|pixi) run\b|\b(?:tox|nox)\b"
)


def all_of(commands: Iterable[str | None]) -> str:
    """Shell commands, each once, one after the other until one fails."""
    distinct = list(dict.fromkeys(command for command in commands if command))
    return distinct[0] if len(distinct) == 1 else " && ".join(map(_grouped, distinct))


def of_builder(config: Config, component: Component) -> str:
    """The command that verifies a component's worktree; empty for none."""
    return all_of([config.verify, component.verify])


def of_merged(config: Config, components: Iterable[Component]) -> str:
    """The command that verifies the tree with all of these components; empty for none."""
    return all_of([config.verify, *(component.verify for component in components)])


def unverified(config: Config, components: Iterable[Component]) -> list[str]:
    """The components that no command verifies."""
    return [component.id for component in components if not of_builder(config, component)]


def warning(config: Config, components: Sequence[Component]) -> str:
    """A clause for a person where nothing, or not everything, is verified."""
    found = unverified(config, components)
    if not found:
        return ""
    if len(found) == len(components):
        return f"nothing verifies this: {HINT}"
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"nothing verifies {', '.join(found[:_SHOWN])}{more}: {HINT}"


def verdict(config: Config, components: Sequence[Component]) -> str:
    """The evidence for a tree that bore its commands, in words: `verified`, `verified in part`, `not verified`."""
    found = unverified(config, components)
    return "verified" if not found else "not verified" if len(found) == len(components) else "verified in part"


def runs_python(commands: Iterable[str | None]) -> bool:
    """True if one of the commands runs the user's Python, and so imports what is installed there."""
    return any(command and _RUNS.search(command) and not _OWN.search(command) for command in commands)


def _grouped(command: str) -> str:
    plain = not set("\n#\\") & set(command)
    return f"({command})" if plain else f"(\n{command}\n)"
