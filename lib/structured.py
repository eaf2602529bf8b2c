"""structlog, loaded late and without rich."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


def load_structlog() -> ModuleType:
    """The package without rich, which it loads where it is installed, for tracebacks that are never drawn here.

    That would take another 100 ms and 6 MB of each orchestrator.
    """
    with _hidden("rich"):
        import structlog
    return structlog


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Imports meanwhile find that package missing, unless it is loaded already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # the import system takes this for a missing one
    try:
        yield
    finally:
        del sys.modules[package]
