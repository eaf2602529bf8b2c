"""The plan of a run's workflow, compiled of the texts that the run was started with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from lib.workflow.loading import load_text

if TYPE_CHECKING:
    from lib.model import Definition
    from lib.workflow.expanding import Source
    from lib.workflow.plan import Plan


def plan_of(definition: Definition) -> Plan:
    """The plan, the same object for the same texts. Raises `WorkflowError` where they are none any more."""
    texts = tuple((name, definition.files[name], text) for name, text in definition.texts.items())
    return _compiled(definition.name, texts)


@lru_cache(maxsize=2)
def _compiled(name: str, texts: tuple[tuple[str, str, str], ...]) -> Plan:
    kept = _Texts({each: (file, text) for each, file, text in texts})
    file, text = kept.texts[name]
    return load_text(text, Path(file)).plan(kept)


class _Texts:
    """The workflows that a run was started with, as a library."""

    def __init__(self, texts: Mapping[str, tuple[str, str]]) -> None:
        self.texts = texts

    def find(self, name: str) -> Source | None:
        if name not in self.texts:
            return None
        file, text = self.texts[name]
        return load_text(text, Path(file)).source()

    def names(self) -> Collection[str]:
        return self.texts.keys()
