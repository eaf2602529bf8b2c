"""The verdict on a turn of a program that tells its events: success is told, and nothing speaks against it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lib.assistants import _limits
from lib.assistants._outcome import MAX_MESSAGE, NOT_FOUND, ended_by_force, last_line, usage_of
from lib.attempts import LOST
from lib.contracts import AssistantEvent, Exit
from lib.model import JobResult

#: A shell's count of what ends a program by HUP, INT, KILL and TERM.
KILLED = frozenset({129, 130, 137, 143})
#: How many of the last words on standard error may tell why it failed.
STDERR_CHARS = 2000

_WORK = frozenset({"tool_start", "tool_end", "file_change"})
_ANSWERS = _WORK | {"text", "usage"}
_WITHOUT_ANSWER = frozenset({"exit_nonzero", "no_result"})
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_GONE = ("no conversation found", "no rollout found", "session not found", "invalid session", "no saved session",
         "session identifier", "error resuming session", "notfounderror", "no session")  # fmt: skip


def streamed_verdict(
    end: Exit, events: Sequence[AssistantEvent], stderr: str, *, remedies: Mapping[str, str], joint: str = "\n",
    now: datetime | None = None,
) -> JobResult:  # fmt: skip
    """Success needs a final event, none that tells an error, exit 0, and that nobody killed it.

    `remedies` are commands by failure code, `joint` stands between the pieces of a message. A limit that is told as a
    time of day is lifted the next time that it is so late, seen from `now`.
    """
    forced = ended_by_force(end)
    result = forced or _judged(end, events, stderr)
    changes: dict[str, Any] = {
        "session": next((event.session for event in reversed(events) if event.session), None),
        "usage": usage_of(events),
        "data": {"text": message_of(events, joint)},
    }
    if forced is None and result.code == "rate_limit":
        changes |= _lifted(events, now or datetime.now().astimezone())
    if forced is None and _nothing_to_resume(result, events):
        changes["session"] = ""
        if any(sign in f"{result.message}\n{stderr[-STDERR_CHARS:]}".lower() for sign in _GONE):
            changes |= {"code": LOST, "message": f"its session is gone, and the next turn begins one: {result.message}"}
    remedy = remedies.get(result.code, "")
    return result.model_copy(update={**changes, "remedy": result.remedy or remedy})


def message_of(events: Sequence[AssistantEvent], joint: str) -> str:
    """Its final message: as its last event has it, else what it said after its last tool."""
    final = next((event.text for event in reversed(events) if event.kind == "finished" and event.text), "")
    if final:
        return final
    pieces: list[str] = []
    begun = True
    for event in events:
        if event.kind == "text":
            if not begun:
                pieces.clear()
            pieces.append(event.text)
            begun = True
        elif event.kind in _WORK:
            begun = False
    return joint.join(pieces).strip()


def _judged(end: Exit, events: Sequence[AssistantEvent], stderr: str) -> JobResult:
    ends = [event for event in events if event.kind == "finished"]
    wrong = next((event for event in ends if not event.ok), None) or _gave_up(end, events)
    if wrong is not None:
        return _failed(_code_of(wrong, end), end, one_line(wrong.text) or "it ended with an error")
    said = _last_words(stderr)
    if end.status in KILLED:
        return _failed(LOST, end, f"it was killed by somebody else, with exit status {end.status}")
    if not ends:
        if end.status == NOT_FOUND:
            return _failed("not_available", end, said or "the program was not found")
        if end.status:
            code = _limits.kind_of(stderr[-STDERR_CHARS:]) or "exit_nonzero"
            return _failed(code, end, said or f"exit status {end.status}, and no final event")
        return _failed("no_result", end, said or "it ended without a final event")
    if end.status != 0:
        return _failed("exit_nonzero", end, f"exit status {end.status}: {said or last_line(ends[-1].text)}")
    denied = [event.text for event in events if event.kind == "denied"]
    if denied and not any(event.kind == "tool_end" and event.ok for event in events):
        return _failed("denied", end, f"every tool was refused: {last_line(denied[0])}")
    return JobResult(ok=True, exit_status=0)


def _gave_up(end: Exit, events: Sequence[AssistantEvent]) -> AssistantEvent | None:
    """The failure that it was retrying when it ended: the last thing that it told, or, if its exit denies any failure,
    told after its last final event.
    """
    after = _ANSWERS | {"finished"} if end.status else {"finished"}
    last = next((event for event in reversed(events) if event.kind == "retrying" or event.kind in after), None)
    return last if last is not None and last.kind == "retrying" and last.error else None


def _code_of(wrong: AssistantEvent, end: Exit) -> str:
    return wrong.error or _limits.kind_of(wrong.text) or ("exit_nonzero" if end.status else "no_result")


def _lifted(events: Sequence[AssistantEvent], now: datetime) -> dict[str, Any]:
    """When the limit is lifted: as an event tells it, else as its words do."""
    told = [event for event in reversed(events) if event.error == "rate_limit" or event.kind == "finished"]
    final = next((event for event in told if event.kind == "finished"), None)
    at = next((event.retry_at for event in told if event.retry_at), None)
    delay_s = final.delay_s if final else None
    if final and at is None and delay_s is None:
        at, delay_s = _limits.moment_of(final.text), _limits.delay_of(final.text)
        at = at or (_limits.lifted_at(final.text, now) if delay_s is None else None)
    return {"retry_at": at.astimezone(UTC) if at else None, "retry_after_s": delay_s}


def _nothing_to_resume(result: JobResult, events: Sequence[AssistantEvent]) -> bool:
    """A turn that failed before its model answered leaves no session worth resuming, or could not resume one."""
    return result.code in _WITHOUT_ANSWER and not any(event.kind in _ANSWERS - {"usage"} for event in events)


def _last_words(stderr: str) -> str:
    """Of what stands on standard error: the line that names an error, else the last ones."""
    lines = _ESCAPES.sub("", stderr[-STDERR_CHARS:]).strip().splitlines()
    return one_line(next((line for line in lines if "error" in line.lower()), "\n".join(lines[-3:])))


def one_line(text: str) -> str:
    return " ".join(text.split())[:MAX_MESSAGE]


def _failed(code: str, end: Exit, message: str) -> JobResult:
    return JobResult(ok=False, code=code, message=message, exit_status=end.status)
