"""Packages loaded without what they would load for nothing: a quicker start, and less memory of each orchestrator."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Final

#: Python's own hash functions. Some distributions build it without them.
_OWN_HASHES: Final = (
    *("_md5", "_sha1", "_sha3", "_blake2"),
    *(("_sha2",) if sys.version_info >= (3, 12) else ("_sha256", "_sha512")),
)


def load_structlog() -> ModuleType:
    """Loads structlog without rich, for tracebacks that are never drawn here, and asyncio, for logging by coroutines.

    They would take another 100 ms and 15 MB of each orchestrator.
    """
    with _replaced("rich", None), _replaced("asyncio", ModuleType("asyncio")):
        import structlog
    return structlog


def load_hashlib() -> None:
    """Loads hashlib without OpenSSL, which would take another 10 ms and 3.5 MB, if Python has functions of its own."""
    with suppress(ImportError):
        for name in _OWN_HASHES:
            import_module(name)
        with _replaced("_hashlib", None):
            import_module("hashlib")


@contextmanager
def _replaced(package: str, stand_in: ModuleType | None) -> Iterator[None]:
    """Imports meanwhile find `stand_in`, or find the package missing, unless it is loaded already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = stand_in  # type: ignore[assignment]  # the import system takes None for a missing one
    try:
        yield
    finally:
        del sys.modules[package]
