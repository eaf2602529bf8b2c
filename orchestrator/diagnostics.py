"""Diagnostics of the orchestrator itself, for whoever looks for a fault: lines in orchestrator.log, by structlog.

    2026-11-26T04:05:48Z warning  a log is not written  run=20261126-… reason='No space left on device'
    2026-11-26T04:05:49Z error    a bug in Relay  run=20261126-… job=0004-storage-build

What happened to the run is in workflow.log; here is what has no event, because it says nothing of the run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, MutableMapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Final

from lib.config.model import LogLevel
from lib.display import escaped
from lib.lean import load_structlog

_STDERR: Final = 2
_LEVELS: Final = {LogLevel.DEBUG: 10, LogLevel.INFO: 20, LogLevel.WARNING: 30, LogLevel.ERROR: 40}
_Line = MutableMapping[str, Any]


class Diagnostics:
    """A logger that never raises: a full disk costs lines, and nothing else. Safe for use by several threads."""

    def __init__(self, run: str, level: LogLevel, masked: Callable[[str], str]) -> None:
        """`masked` takes the secrets out of a line. Lines below `level` are not written."""
        structlog = load_structlog()
        context, processors = structlog.contextvars, structlog.processors

        def rendered(_logger: object, method: str, line: _Line) -> str:
            at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            what, trace = line.pop("event"), line.pop("exception", "")
            facts = " ".join(f"{name}={_value(value)}" for name, value in line.items())
            head = escaped(f"{at} {method:<7}  {what}  {facts}")
            return masked("\n".join(part for part in (head, trace) if part))

        self._bound = context.bound_contextvars
        self._told: dict[str, str] = {}
        self._log = structlog.wrap_logger(
            _StandardError(),
            processors=[context.merge_contextvars, processors.format_exc_info, rendered],
            wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        ).bind(run=run)

    def about(self, job: str) -> AbstractContextManager[None]:
        """Binds the lines of this thread to a job meanwhile."""
        bound: AbstractContextManager[None] = self._bound(job=job)
        return bound

    def debug(self, what: str, **facts: object) -> None:
        self._log.debug(what, **facts)

    def info(self, what: str, **facts: object) -> None:
        self._log.info(what, **facts)

    def bug(self, what: str, error: BaseException) -> None:
        """An exception that nobody foresaw, with its traceback."""
        self._log.error(what, exc_info=error)

    def standing(self, what: str, reason: str | None) -> None:
        """Warns of what goes on being wrong, once for each reason, and says when it is over: `reason` is empty."""
        before, self._told[what] = self._told.get(what, ""), reason or ""
        if reason and reason != before:
            self._log.warning(what, reason=reason)
        elif before and not reason:
            self._log.info(f"{what}: over")


class _StandardError:
    """Writes a line at once and in one piece, so that those of several threads don't mix."""

    def msg(self, line: str) -> None:
        try:
            os.write(_STDERR, escaped(f"{line}\n", keep_newlines=True).encode(errors="backslashreplace"))
        except OSError:
            return

    debug = info = warning = error = msg


def _value(value: object) -> str:
    text = str(value)
    return repr(text) if not text or set(text) & set(" '\"=\n") else text
