"""Failed jobs: what they printed, compared with one another and in short, and the problems that they are. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from lib.jobs import JobResult
from lib.model import NO_ACTION, Problem
from lib.question import RETRY, Answer

SHOWN_LINES: Final = 3
SHOWN_CHARS: Final = 160
#: Of the report that a person sees, beside the command and its exit.
REPORT_LINES: Final = 20
#: What differs between two runs that fail for the same reason.
_VARIABLE: Final = re.compile(
    r"\x1b\[[0-9;]*[A-Za-z]"
    r"|\S*/worktrees/[^/\s]+/[^/\s:'\"]+"  # one builder's folder is not another's
    r"|/(?:var/)?tmp/[^\s:'\"]+"
    r"|\b0x[0-9a-f]+\b|\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b"
    r"|\b\d{4}-\d\d-\d\d\b|\b\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?\b"
    r"|\b\d+(?:\.\d+)?\s?(?:ms|s|sec|secs|seconds?|minutes?|us|µs)\b"
    r"|\bpid\W{1,3}\d+|\bport\W{1,3}\d+|=+|-{3,}",
    re.IGNORECASE,
)


def digest(report: str) -> str:
    """The same for two reports that differ in nothing but times, addresses, folders and the like."""
    plain = " ".join(_VARIABLE.sub("·", report).split())
    return hashlib.sha256(plain.encode("utf-8", errors="replace")).hexdigest()[:16]


def last_lines(report: str) -> str:
    """The last lines of a report that say something, on one line."""
    lines = [line.strip()[:SHOWN_CHARS] for line in report.splitlines() if line.strip(" -=\t")]
    return " | ".join(lines[-SHOWN_LINES:])


def report(result: JobResult) -> tuple[str, ...]:
    """The command of a failed job with its exit, if it was one, and the last lines of what it printed."""
    command = " ".join(result.command.split())
    lines = [line.rstrip() for line in without_command(result).splitlines() if line.strip()]
    head = [f"$ {command}", *lines[:1]] if command else []
    shown = [*head, *lines[max(len(head) - 1, 0) :][-REPORT_LINES:]]
    return tuple(line if len(line) <= SHOWN_CHARS else f"{line[: SHOWN_CHARS - 1]}…" for line in shown)


def problem_of(result: JobResult, message: str, way: Answer = RETRY, action: str = NO_ACTION) -> Problem:
    """The problem that a failed job is, with its remedy; if it has none, the `way` out."""
    way = Answer(result.remedy, result.does) if result.remedy else way
    return Problem.of(result.code or "failed", message, way, action=action, report=report(result))


def without_command(result: JobResult) -> str:
    """The report of a failed job without its command: how it ended, then what it printed."""
    return result.tail.removeprefix(f"$ {result.command}\n")
