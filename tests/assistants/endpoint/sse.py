"""Forms that an answer has in a wire protocol: one JSON body, or server-sent events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """Either is there."""

    body: Mapping[str, Any] | None = None
    events: tuple[str, ...] = ()


def event(data: Mapping[str, Any], kind: str = "") -> str:
    """One event as it goes over the line."""
    return (f"event: {kind}\n" if kind else "") + f"data: {json.dumps(data)}\n\n"


def size(thing: object) -> int:
    """Its length in something like tokens."""
    return len(str(thing)) // 4 + 1
