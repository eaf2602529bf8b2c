"""The verdict on a turn of a program that prints events: it succeeded if it says so and nothing contradicts that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lib.assistants import _kinds, _limits
from lib.assistants._outcome import (
    ESCAPES,
    MAX_MESSAGE,
    NOT_FOUND,
    WORK,
    ended_by_force,
    ended_by_signal,
    ends_of,
    has_answered,
    last_line,
    telling,
    usage_of,
)
from lib.contracts import AssistantEvent, Exit
from lib.jobs import JobResult
from lib.scheduling.retries import LOST, REFUSED, SPENT

_ANSWERS = WORK | {"text", "usage"}
_WITHOUT_ANSWER = frozenset({"exit_nonzero", "no_result"})
#: Refusals of what a request holds: its conversation has to go.
_OF_ITS_SESSION = frozenset({"context_full", REFUSED})
NO_EXITS: Mapping[int, str] = {}
_GONE = ("no conversation found", "no rollout found", "session not found", "invalid session", "no saved session",
         "session identifier", "error resuming session", "notfounderror", "no session")  # fmt: skip


def streamed_verdict(
    end: Exit, events: Sequence[AssistantEvent], stderr: str, *, remedies: Mapping[str, str],
    exits: Mapping[int, str] = NO_EXITS, joint: str = "\n", now: datetime | None = None,
) -> JobResult:  # fmt: skip
    """Success needs a final event, none that tells an error, exit 0, and that nobody killed it.

    `remedies` are commands by failure code, `exits` failure codes by exit status, `joint` goes between the pieces of
    a message. A limit given as a time of day is lifted the next time that it is so late, seen from `now`.
    """
    forced = ended_by_force(end) or ended_by_signal(end)
    words = ESCAPES.sub("", stderr)
    result = forced or _judged(end, events, words, exits)
    changes: dict[str, Any] = {
        "session": next((event.session for event in reversed(events) if event.session), None),
        "usage": usage_of(events),
        "text": message_of(events, joint),
    }
    if forced is None and result.code == "rate_limit":
        changes |= _lifted(events, result.message, now or datetime.now().astimezone())
    elif forced is None and result.code in _OF_ITS_SESSION:
        changes |= _of_its_session(result, events)
    elif forced is None and _nothing_to_resume(result, events):
        changes["session"] = ""
        if any(sign in f"{result.message}\n{ends_of(words)}".lower() for sign in _GONE):
            changes |= {"code": LOST, "message": f"its session is gone, and the next turn begins one: {result.message}"}
    remedy = remedies.get(str(changes.get("code", result.code)), "")
    return result.model_copy(update={**changes, "remedy": result.remedy or remedy})


def _of_its_session(result: JobResult, events: Sequence[AssistantEvent]) -> dict[str, Any]:
    """A request that is refused for what is in it. If its model had answered before, that came up in this
    conversation, and another one may do; else it is the prompt.
    """
    if has_answered(events):
        return {"code": SPENT, "session": "", "message": f"its conversation can't go on: {result.message}"}
    return {"code": REFUSED, "session": ""}


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
        elif event.kind in WORK:
            begun = False
    return joint.join(pieces).strip()


def _judged(end: Exit, events: Sequence[AssistantEvent], stderr: str, exits: Mapping[int, str]) -> JobResult:
    ends = [event for event in events if event.kind == "finished"]
    wrong = next((event for event in ends if not event.ok), None) or _gave_up(end, events)
    if wrong is not None:
        return _failed(_code_of(wrong, end, exits), end, one_line(wrong.text) or "it ended with an error")
    said = _last_words(stderr)
    if not ends:
        if end.status == NOT_FOUND:
            return _failed("not_available", end, said or "the program was not found")
        if end.status:
            code = _kinds.kind_of("\n".join(telling(stderr))) or exits.get(end.status) or "exit_nonzero"
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


def _code_of(wrong: AssistantEvent, end: Exit, exits: Mapping[int, str]) -> str:
    if kind := wrong.error or _kinds.kind_of(wrong.text):
        return kind
    return exits.get(end.status or 0) or ("exit_nonzero" if end.status else "no_result")


def _lifted(events: Sequence[AssistantEvent], said: str, now: datetime) -> dict[str, Any]:
    """Reads when the limit is lifted: from an event, else from its words, or from those that it printed beside."""
    told = [event for event in reversed(events) if event.error == "rate_limit" or event.kind == "finished"]
    final = next((event for event in told if event.kind == "finished"), None)
    at = next((event.retry_at for event in told if event.retry_at), None)
    delay_s = final.delay_s if final else None
    text = final.text if final else said
    if at is None and delay_s is None:
        at, delay_s = _limits.moment_of(text), _limits.delay_of(text)
        at = at or (_limits.lifted_at(text, now) if delay_s is None else None)
    return {"retry_at": at.astimezone(UTC) if at else None, "retry_after_s": delay_s}


def _nothing_to_resume(result: JobResult, events: Sequence[AssistantEvent]) -> bool:
    """A turn that failed before its model answered leaves no session worth resuming, or could not resume one."""
    return result.code in _WITHOUT_ANSWER and not has_answered(events)


def _last_words(stderr: str) -> str:
    """The line of standard error that names an error, else its last ones."""
    lines = telling(stderr)
    return one_line(next((line for line in lines if "error" in line.lower()), "\n".join(lines[-3:])))


def one_line(text: str) -> str:
    return " ".join(text.split())[:MAX_MESSAGE]


def _failed(code: str, end: Exit, message: str) -> JobResult:
    return JobResult(ok=False, code=code, message=message, exit_status=end.status)
