"""The one way in which a test waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")

POLL_S = 0.01
#: The bound of every wait for what is to happen, which a busy machine that is four times slower keeps.
WAIT_S = 240.0


def eventually(check: Callable[[], T | Literal[False] | None], timeout_s: float = WAIT_S) -> T:
    """The first truthy value of `check`; fails the test when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while not (value := check()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(POLL_S)
    return value
