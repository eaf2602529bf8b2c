"""`claude`: Claude Code, headless, with its stream of JSON events. Behaviour as seen with 2.1.329."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lib.assistants._outcome import NOT_FOUND, check_settings, ended_by_force, last_line, usage_of
from lib.contracts import AssistantEvent, Exit, Launch, Turn
from lib.model import JobResult, Usage

#: Its own retries of a request; waiting longer is Relay's business, in one place.
MAX_RETRIES = 2
#: Conversations are kept there, for resuming them.
FOLDERS = ("~/.claude",)
VARIABLES = ("ANTHROPIC_*", "CLAUDE_*")
SETTINGS: Mapping[str, type | tuple[type, ...]] = {
    "model": str,
    "max_budget_usd": (int, float),
    "max_turns": int,
    "args": list,
}
_REMEDIES = {
    "not_available": "npm install -g @anthropic-ai/claude-code",
    "auth": "claude /login",
    "rate_limit": "relay retry",
    "budget": "raise assistants.claude.max_budget_usd or max_turns in .project/config.yaml, then: relay retry",
    "denied": "claude /permissions",
}
#: The `error` of an assistant message, and of an `api_retry`, as a neutral kind.
_ERRORS = {
    "authentication_failed": "auth",
    "billing_error": "budget",
    "rate_limit": "rate_limit",
    "server_error": "server",
}


class Claude:
    """Variant: a model. A conversation is resumed by its session id, which Relay chooses."""

    name = "claude"
    install = "npm install -g @anthropic-ai/claude-code"

    def available(self, settings: Mapping[str, Any]) -> str | None:
        del settings
        return None if shutil.which(self.name) else "no program called claude is on the PATH"

    def launch(self, turn: Turn) -> Launch:
        check_settings(turn.settings, self.name, SETTINGS)
        # The scratch folder is the job's own: an id that is used twice is refused by claude.
        session = turn.session or str(uuid.uuid5(uuid.NAMESPACE_URL, f"relay:{turn.scratch}"))
        argv = [self.name, "-p", "--output-format", "stream-json", "--verbose", "--dangerously-skip-permissions"]
        argv += ["--resume" if turn.session else "--session-id", session]
        if model := turn.variant or turn.settings.get("model"):
            argv += ["--model", model]
        for key in ("max_budget_usd", "max_turns"):
            if key in turn.settings:
                argv += [f"--{key.replace('_', '-')}", str(turn.settings[key])]
        argv += [str(arg) for arg in turn.settings.get("args", ())]
        return Launch(
            argv=tuple(argv), env=_environment(), stdin=turn.prompt, session=session, folders=FOLDERS,
            variables=VARIABLES,
        )  # fmt: skip

    def read(self, line: str) -> Sequence[AssistantEvent]:
        try:
            data = json.loads(line)
            reader = _READERS.get(data["type"])
            return tuple(reader(data)) if reader else ()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return ()  # torn by a kill, a warning of the runtime, or of a shape that a later version gives it

    def verdict(self, end: Exit, events: Sequence[AssistantEvent], stderr: str) -> JobResult:
        final = next((event for event in reversed(events) if event.kind == "finished"), None)
        result = ended_by_force(end) or _judged(end, events, final, stderr)
        session = next((event.session for event in reversed(events) if event.session), None)
        text = final.text if final else ""
        return result.model_copy(update={"session": session, "usage": usage_of(events), "data": {"text": text}})


def _environment() -> dict[str, str]:
    quiet = {
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_MAX_RETRIES": str(MAX_RETRIES),
        "CLAUDECODE": "",  # set when Relay itself was started by claude, which then refuses to be nested
    }
    # As root it refuses to skip permissions without being told that it is contained.
    return quiet | {"IS_SANDBOX": "1"} if os.geteuid() == 0 else quiet


def _judged(end: Exit, events: Sequence[AssistantEvent], final: AssistantEvent | None, stderr: str) -> JobResult:
    """Success is a final event without an error flag and exit 0; what git shows is looked at by others."""
    if final is None:
        failure = "not_available" if end.status == NOT_FOUND else "exit_nonzero"
        code = failure if end.status else "no_result"
        return _failed(code, end, last_line(stderr) or "it ended without a final event")
    if not final.ok:
        told = next((event.error for event in reversed(events) if event.kind == "text" and event.error), "")
        # A service that never answered is told as one that fails, too.
        code = final.error if (told, final.error) == ("server", "network") else told or final.error
        return _failed(code, end, last_line(final.text) or "it ended with an error")
    if end.status != 0:
        return _failed("exit_nonzero", end, f"exit status {end.status}: {last_line(stderr) or last_line(final.text)}")
    denied = [event.text for event in events if event.kind == "denied"]
    if denied and not any(event.kind == "tool_end" and event.ok for event in events):
        return _failed("denied", end, f"every tool was refused: {last_line(denied[0])}")
    return JobResult(ok=True, exit_status=0)


def _failed(code: str, end: Exit, message: str) -> JobResult:
    return JobResult(ok=False, code=code, message=message, remedy=_REMEDIES.get(code, ""), exit_status=end.status)


def _read_system(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    match data.get("subtype"):
        case "init":
            yield AssistantEvent(kind="started", session=str(data["session_id"]), text=str(data.get("model", "")))
        case "permission_denied":
            yield AssistantEvent(kind="denied", text=f"{data['tool_name']}: {data['message']}")
        case "api_retry":
            text = f"status {data['error_status']}, again in {data['retry_delay_ms'] / 1000:.1f} s"
            yield AssistantEvent(kind="retrying", text=text, error=_ERRORS.get(data["error"], "network"))


def _read_assistant(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    for part in data["message"]["content"]:
        if part["type"] == "text":
            yield AssistantEvent(kind="text", text=str(part["text"]), error=_ERRORS.get(data.get("error", ""), ""))
        elif part["type"] == "tool_use":
            about = next((value for value in part["input"].values() if isinstance(value, str)), "")
            yield AssistantEvent(kind="tool_start", text=f"{part['name']}: {about}"[:500])


def _read_user(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    content = data["message"]["content"]
    if isinstance(content, str):
        return
    for part in content:
        if part["type"] == "tool_result":
            yield AssistantEvent(kind="tool_end", text=last_line(str(part["content"])), ok=not part.get("is_error"))
    result = data.get("tool_use_result")
    if isinstance(result, dict):
        written = [result["filePath"]] if "structuredPatch" in result else []
        for path in written + result.get("bashEditDiff", {}).get("changedFiles", []):
            yield AssistantEvent(kind="file_change", text=str(path))


def _read_result(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    yield AssistantEvent(kind="usage", usage=_usage(data))
    text = data.get("result") or "; ".join(data.get("errors", ())) or data["subtype"]
    ok = data["is_error"] is False and data["subtype"] == "success"
    error = "" if ok else _error_kind(data)
    yield AssistantEvent(kind="finished", text=str(text), session=str(data["session_id"]), ok=ok, error=error)


def _usage(data: Mapping[str, Any]) -> Usage:
    """What this turn used. On a resumed session `total_cost_usd` counts from its start, this turn's share does not."""
    models = list((data.get("model_usage_since_last_result") or {}).values())
    if models:
        tokens = ("inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
        return Usage(
            input_tokens=sum(model.get(key, 0) for model in models for key in tokens),
            output_tokens=sum(model.get("outputTokens", 0) for model in models),
            cost_usd=round(sum(model.get("costUSD", 0.0) for model in models), 6),
        )
    used = data.get("usage") or {}
    tokens = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return Usage(
        input_tokens=sum(used.get(key, 0) for key in tokens),
        output_tokens=used.get("output_tokens", 0),
        cost_usd=round(data.get("total_cost_usd", 0.0), 6),
    )


def _error_kind(data: Mapping[str, Any]) -> str:
    if data["subtype"] in {"error_max_budget_usd", "error_max_turns"}:
        return "budget"
    status = data.get("api_error_status")
    if status in {401, 403}:
        return "auth"
    if status == 429:  # noqa: PLR2004 - HTTP: too many requests
        return "rate_limit"
    if isinstance(status, int):
        return "server"
    return "network" if data.get("terminal_reason") == "api_error" else "no_result"


_READERS = {"system": _read_system, "assistant": _read_assistant, "user": _read_user, "result": _read_result}


assistant = Claude()
