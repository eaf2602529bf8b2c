"""The one way in which a test waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")

POLL_S = 0.01


def eventually(check: Callable[[], T | Literal[False] | None], timeout_s: float = 60) -> T:
    """The first truthy value of `check`; fails the test when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while not (value := check()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(POLL_S)
    return value
