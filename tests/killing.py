"""`kill -9` of an orchestrator, of what it started, or of both, at moments counted in events."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from driver import Relay
from eventually import eventually


def builders_of(relay: Relay) -> Iterator[int]:
    """The pids of everything that a job of this run's started."""
    mark = f"RELAY_JOB={relay.state()['run']}/".encode()
    for entry in os.scandir("/proc"):
        with suppress(OSError):  # it has ended, or is another user's
            if entry.name.isdigit() and mark in Path(entry.path, "environ").read_bytes():
                yield int(entry.name)


def kill(relay: Relay, whom: str) -> None:
    if whom in {"builders", "both"}:
        victims = list(builders_of(relay))
        if whom == "both":
            relay.kill()
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    else:
        relay.kill()


def reached(relay: Relay, count: int) -> bool:
    return relay.is_over() or len(relay.events()) >= count


def disturbed(relay: Relay, moments: list[tuple[int, str]]) -> None:
    """Kills at each of these moments, counted in events, and resumes; then lets the run end."""
    for count, whom in moments:
        eventually(partial(reached, relay, count))
        kill(relay, whom)
        if relay.is_over():
            break
        if relay.pid() is None:
            relay.process("resume")
    relay.over()
