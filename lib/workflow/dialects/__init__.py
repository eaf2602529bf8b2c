"""Other ways of writing workflows, one file each: told by their shape, and converted into this language."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from lib.project.plugins import discover
from lib.workflow.dialects._dialect import Converted, Dialect

__all__ = ["Converted", "Dialect", "dialect_of", "dialects"]


@cache
def dialects() -> dict[str, Dialect]:
    """All dialects by name."""
    return discover(sys.modules[__name__], Dialect, "dialect")


def dialect_of(data: Any, file: str) -> Dialect | None:  # noqa: ANN401 - whatever was written
    """The dialect of a document in a file of that name, None for this language."""
    if not isinstance(data, dict):
        return None
    return next((dialect for dialect in dialects().values() if dialect.fits(data, file)), None)
