"""Meaning of the end of any assistant, whatever it printed: who ended it, what it said, what it used."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from lib.assistants._kinds import kind_of_notice
from lib.assistants._limits import delay_of, lifted_at, moment_of
from lib.contracts import AssistantEvent, Exit
from lib.errors import UsageError
from lib.jobs import JobResult
from lib.model import Usage
from lib.scheduling.retries import LOST

MAX_MESSAGE = 300
#: Exit status of a POSIX shell that did not find the command.
NOT_FOUND = 127
#: Exit statuses by which a shell, or Relay's shim, tells that a signal ended a program: those of the first fifteen.
KILLED = range(129, 144)
#: Events that show a model at work.
WORK = frozenset({"tool_start", "tool_end", "file_change"})
#: The types of a setting that is a number.
NUMBER = (int, float)

#: How much of the beginning and of the end of standard error may tell why it failed.
STDERR_CHARS = 2000
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
#: What programs print on standard error at every start, and which is never why they failed.
_NOISE = re.compile(
    r"^(?!.*\b(?:error|fatal|failed|cannot|can't)\b).*(?:yolo|ripgrep|additional input from stdin|loaded cached"
    r"|deprecat|\(node:\d+\)|experimentalwarning|use `node --trace|true color|telemetry|keychain)"
    r"|^\s*(?:warning|warn|info|debug|note|\[dotenv|hook registry|update available)\b"
    r"|^\s*at (?:async )?[\w.<>$]+ ?\(|^\s*[{}\]]+,?\s*$",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"(?:[\[(]\s*y(?:es)?\s*/\s*n(?:o)?\s*[\])]|pass(?:word|phrase)[^:\n]*:|(?:allow|proceed|continue|approve)\b[^\n]*\?)"
    r"\s*[:?>]?\s*$",
    re.IGNORECASE,
)
_STOPPED = {
    "stopped": "it was stopped by a person, and will be started again",
    "timeout": "it ran longer than its time limit",
    "run_timeout": "the time of its run was over",
    "idle": "it printed nothing for longer than its idle limit",
    "output_limit": "it printed more than output_max_mb",
    "memory_limit": "its processes took more memory than memory_max_mb",
    "process_limit": "it had more processes than processes_max",
    "asking": "it waited for an answer, and nobody is there to give it",
    "budget": "it used up what a builder may use",
    "run_budget": "the run's budget is used up",
    "auth": "its service refuses its login",
    "rate_limit": "it was waiting for a rate limit to be lifted",
    "server": "its service went on failing",
    "network": "its service could not be reached",
    "credits": "its plan or credits are used up",
    "model": "its model can't be used",
    "refused": "its service refuses the request",
    "context_full": "its conversation is full",
}


def ended_by_force(end: Exit) -> JobResult | None:
    """The result of a job that did not end by itself, or None: Relay ended it, or somebody else did before its shim
    could record an exit. What a turn said last counts for nothing then.
    """
    if end.stopped:
        message = _STOPPED.get(end.stopped, f"it was stopped: {end.stopped}")
        return JobResult(ok=False, code=end.stopped, message=message, exit_status=end.status)
    if end.status is None:
        return JobResult(ok=False, code=LOST, message="it was killed, with its exit not recorded")
    return None


def ended_by_signal(end: Exit) -> JobResult | None:
    """The result of a turn whose program was ended by a signal, whatever it printed before."""
    if end.status is None or (end.status >= 0 and end.status not in KILLED):
        return None
    message = f"a signal ended it, and not Relay: exit status {end.status}"
    return JobResult(ok=False, code=LOST, message=message, exit_status=end.status)


def plain_events(line: str) -> Sequence[AssistantEvent]:
    """A program that prints for people: each line is something it said."""
    return (AssistantEvent(kind="text", text=line),)


def plain_verdict(end: Exit, events: Sequence[AssistantEvent], stderr: str) -> JobResult:
    """The exit status of such a program decides, unless all that it said is a notice of its service; else that is its
    final message.
    """
    text = "\n".join(event.text for event in events if event.kind == "text").strip()
    result = ended_by_force(end) or ended_by_signal(end) or _noticed(end, text) or _by_status(end, text, stderr)
    return result.model_copy(update={"usage": usage_of(events), "text": text})


def _noticed(end: Exit, text: str) -> JobResult | None:
    """A limit, login or plan that its service tells of, which such a program prints like an answer."""
    if not (kind := kind_of_notice(text)):
        return None
    message = " ".join(text.split())[:MAX_MESSAGE]
    now = datetime.now().astimezone()
    until = moment_of(text) or lifted_at(text, now) if kind == "rate_limit" else None
    return JobResult(ok=False, code=kind, message=message, exit_status=end.status, retry_at=until,
                     retry_after_s=delay_of(text) if kind == "rate_limit" else None)  # fmt: skip


def _by_status(end: Exit, text: str, stderr: str) -> JobResult:
    if end.status == 0:
        return JobResult(ok=True, exit_status=0)
    code = "not_available" if end.status == NOT_FOUND else "exit_nonzero"
    said = last_line("\n".join(telling(ESCAPES.sub("", stderr)))) or last_line(text)
    message = f"exit status {end.status}: {said or ('it did not say why' if stderr else 'it printed nothing')}"
    return JobResult(ok=False, code=code, message=message, exit_status=end.status)


def has_answered(events: Iterable[AssistantEvent]) -> bool:
    """True if its model said or did anything, errors of its service aside."""
    return any((event.kind == "text" or event.kind in WORK) and not event.error for event in events)


def telling(stderr: str) -> list[str]:
    """The lines that may tell why it failed."""
    return [line for line in ends_of(stderr).splitlines() if line.strip() and not _NOISE.search(line)]


def ends_of(stderr: str) -> str:
    if len(stderr) <= 2 * STDERR_CHARS:
        return stderr
    return f"{stderr[:STDERR_CHARS]}\n{stderr[-STDERR_CHARS:]}"


class Tally:
    """Usage of a turn, by its events so far: a cumulative one replaces all before it, one with a `part` those of
    the same part, others are added.
    """

    def __init__(self) -> None:
        self._whole = Usage()
        self._parts: dict[str, Usage] = {}

    def add(self, event: AssistantEvent) -> None:
        if event.usage is None:
            return
        if event.cumulative:
            self._whole = event.usage
            self._parts.clear()
        elif event.part:
            self._parts[event.part] = event.usage
        else:
            self._whole = self._whole.plus(event.usage)

    @property
    def usage(self) -> Usage:
        total = self._whole
        for part in self._parts.values():
            total = total.plus(part)
        return total


def usage_of(events: Sequence[AssistantEvent]) -> Usage:
    """The whole usage of a turn."""
    tally = Tally()
    for event in events:
        tally.add(event)
    return tally.usage


def asks(partial_line: str) -> bool:
    """True if the end of an output, without a line feed after it, is a question to whoever sits at the terminal."""
    return _QUESTION.search(partial_line[-200:]) is not None


def last_line(text: str) -> str:
    """The last line that says something, cut to what fits a status."""
    lines = text.rstrip().splitlines()
    return lines[-1].strip()[:MAX_MESSAGE] if lines else ""


def check_settings(settings: Mapping[str, Any], name: str, known: Mapping[str, type | tuple[type, ...]]) -> None:
    """Raises `UsageError` (`config_invalid`) for a setting of `assistants: {NAME: …}` that is unknown or off."""
    for key, value in settings.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"
            raise invalid(f"unknown key assistants.{name}.{key}{hint}")
        if not isinstance(value, known[key]) or isinstance(value, bool):
            raise invalid(f"assistants.{name}.{key}: {value!r} is not of the right type")


def invalid(problem: str) -> UsageError:
    """The error that names a problem in the configuration."""
    return UsageError(f"configuration: {problem}", remedy="$EDITOR .project/config.yaml", code="config_invalid")
