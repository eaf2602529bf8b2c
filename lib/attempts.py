"""What a failed attempt leads to: another one after a pause, or giving up. Pure."""

from __future__ import annotations

import zlib
from typing import Any

from lib.config import Config
from lib.model import Builder, BuilderStatus, Job, JobResult, Now, Problem
from lib.passing import DISK_FULL, pause_s

#: Failures that another attempt can't mend: the same input meets the same refusal.
FATAL = frozenset({"conflict", "budget", "unknown_assistant"})
#: How often a command is tried that fails while the disk is full.
FULL_TRIES = 10
#: Begins the last line of a builder that can't go on.
STUCK = "STUCK:"
#: Somebody else killed it, before its exit could be recorded.
LOST = "lost"
#: Ends that say nothing about the builder: the next attempt follows at once and is not counted.
UNCOUNTED = frozenset({"stopped", "not_started", "rebooted", "superseded", "run_budget"})
#: Ends that say something about the assistant, which is held for them, and nothing about the builder.
HOLDING = frozenset({"rate_limit", "server", "network", "busy", "auth", "not_available"})
UNJUDGED = UNCOUNTED | HOLDING


def failed(builder: Builder, step: str, result: JobResult, config: Config, now: Now) -> dict[str, Any]:
    """The changes of a builder's record after `step` failed: `retrying` with a time, or `failed`."""
    stuck = f"; it says: {builder.note}" if builder.note.startswith(STUCK) else ""
    problem = Problem(
        code=result.code or "failed",
        message=f"{builder.id}: {step}: {result.message}{stuck}",
        remedy=result.remedy or f"relay logs {builder.id}",
        action=step,
        at=now.wall,
    )
    fields: dict[str, Any] = {
        "error": problem,
        "note": result.message,
        "session": builder.session if result.session is None else result.session or None,
        "feedback": _feedback(step, result),
    }
    if result.code in UNJUDGED:
        return {**fields, "status": BuilderStatus.RETRYING, "attempt": builder.attempt - 1, "retry_at_mono_s": None,
                "feedback": builder.feedback}  # fmt: skip
    if result.code in FATAL or builder.attempt >= builder.attempts:
        return {**fields, "status": BuilderStatus.FAILED, "ended_at": now.wall}
    pause_s = backoff_s(config, builder.attempt, builder.id)
    return {**fields, "status": BuilderStatus.RETRYING, "retry_at_mono_s": now.mono_s + pause_s,
            "retry_boot_id": now.boot_id}  # fmt: skip


def delayed(builder: Builder, job: Job, tries: int, config: Config, now: Now) -> dict[str, Any]:
    """The changes of a builder's record after Relay's own part of its work failed so many times.

    That part is done again after a pause. No attempt of the builder is counted, and nothing of its turn is lost.
    """
    result = job.result or JobResult(ok=False)
    patience = FULL_TRIES if result.code == DISK_FULL else config.attempts
    again = result.code not in FATAL and tries < patience
    pause = pause_s(tries) if result.code == DISK_FULL else backoff_s(config, tries, builder.id)
    fields = failed(builder, job.spec.name, result, config, now)
    ends = {"retry_at_mono_s": now.mono_s + pause, "retry_boot_id": now.boot_id} if again else {"ended_at": now.wall}
    return {
        "error": fields["error"],
        "note": fields["note"],
        "status": BuilderStatus.RETRYING if again else BuilderStatus.FAILED,
        "attempt": builder.attempt - (again and job.spec.name == "prepare"),  # preparing counts it again
        **ends,
    }


def backoff_s(config: Config, attempt: int, salt: str) -> float:
    """Seconds before the attempt that follows `attempt`: doubling, capped, with up to a quarter of jitter by `salt`."""
    plain = min(config.retry_delay_max_s, config.retry_delay_s * 2.0 ** (attempt - 1))
    return plain * (1 + zlib.crc32(f"{salt}.{attempt}".encode()) % 256 / 1024)


def retry_is_due(builder: Builder, now: Now) -> bool:
    """Whether the pause is over; after a reboot the clock that it was counted on is gone, and so is the pause."""
    if builder.retry_at_mono_s is None or builder.retry_boot_id != now.boot_id:
        return True
    return now.mono_s >= builder.retry_at_mono_s


def gave_up(builder: Builder) -> str:
    """One sentence on why a builder failed."""
    why = builder.error.message if builder.error else "no reason recorded"
    times = "attempt" if builder.attempt == 1 else "attempts"
    return f"{why} ({builder.attempt} {times})"


def another_round(builder: Builder, words: str, config: Config) -> dict[str, Any]:
    """The changes that give a builder that failed as many attempts again, with a person's words for it."""
    return {
        "status": BuilderStatus.RETRYING,
        "attempts": builder.attempt + config.attempts,
        "budgets": builder.budgets + (builder.error is not None and builder.error.code == "budget"),
        "feedback": "\n\n".join(part for part in (words, builder.feedback) if part),
        "retry_at_mono_s": None,
        "ended_at": None,
        "error": None if words else builder.error,
    }


def _feedback(step: str, result: JobResult) -> str:
    """What the next attempt is told: the end of what a failed command printed, or how the turn failed."""
    tail = str(result.data.get("tail", "")).strip()
    said = f"{step} failed: {result.message}"
    return f"{said}\n\n{tail}" if tail else said
