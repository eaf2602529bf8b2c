"""Which builders a builder stands on, and in which order their work is merged. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lib.design import order
from lib.model import Builder


def ancestors(builder: Builder, builders: Mapping[str, Builder]) -> list[Builder]:
    """All that it depends on, directly or not."""
    found: dict[str, Builder] = {}
    waiting = [builder]
    while waiting:
        for name in waiting.pop().component.depends_on:
            if name in builders and name not in found:
                found[name] = builders[name]
                waiting.append(builders[name])
    return list(found.values())


def tips(builders: Iterable[Builder]) -> list[dict[str, Any]]:
    """What is to be merged: `id`, `tip` and `title` of each that has work, after those that it depends on.

    Merging is deterministic, so what a dependent builder starts from are the commits that the run's branch gets too.
    """
    known = {builder.id: builder for builder in builders if builder.tip}
    ordered = order([builder.component for builder in known.values()])
    return [{"id": name, "tip": known[name].tip, "title": known[name].component.title or name} for name in ordered]
