"""`claude`: Claude Code, headless, with its stream of JSON events. Behaviour as seen with 2.1.329.

Variant: a model. The caller names the session; an id that is used twice is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lib.assistants import _kinds, _limits
from lib.assistants._outcome import NUMBER, last_line
from lib.assistants._program import Program, effort_of, further, model_of, resumed_or_named
from lib.assistants._reading import about, by_type, mapping, money, usage, words
from lib.contracts import AssistantEvent, Safety, Turn
from lib.model import Usage

#: Its own retries of a request; waiting longer is Relay's business, in one place.
MAX_RETRIES = 2
INPUTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
#: The `error` of an assistant message, and of an `api_retry`, as a neutral kind.
_ERRORS = {
    "authentication_failed": "auth",
    "billing_error": "credits",
    "rate_limit": "rate_limit",
    "server_error": "server",
    "overloaded": "server",
}


def arguments(turn: Turn, session: str) -> Sequence[str]:
    argv = ["-p", "--output-format", "stream-json", "--verbose", "--dangerously-skip-permissions"]
    argv += [*resumed_or_named(turn, session), *model_of(turn), *effort_of(turn, "--effort", "{}")]
    for key in ("max_budget_usd", "max_turns"):
        if key in turn.settings:
            argv += [f"--{key.replace('_', '-')}", str(turn.settings[key])]
    return [*argv, *further(turn)]


def read_system(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    match data.get("subtype"):
        case "init":
            yield AssistantEvent(kind="started", session=str(data["session_id"]), text=words(data.get("model")))
        case "permission_denied":
            yield AssistantEvent(kind="denied", text=f"{words(data['tool_name'])}: {words(data['message'])}")
        case "api_retry":
            delay_s = max(0.0, float(data["retry_delay_ms"]) / 1000)
            text = f"status {words(data['error_status'])}, again in {delay_s:.1f} s"
            error = _ERRORS.get(data["error"]) or _kinds.kind_of_status(data["error_status"]) or "network"
            yield AssistantEvent(kind="retrying", text=text, error=error, delay_s=delay_s)


def read_assistant(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    message = data["message"]
    for part in message["content"]:
        if part["type"] == "text":
            # Words of the program itself, in the place of an answer that did not come.
            error = _ERRORS.get(str(data["error"]), "no_result") if data.get("error") else ""
            yield AssistantEvent(kind="text", text=str(part["text"]), error=error)
        elif part["type"] == "tool_use":
            yield AssistantEvent(kind="tool_start", text=about(part["name"], part["input"]))
    # Told again with each part of a message; of the output it is a placeholder until the turn's end.
    used = usage(message.get("usage"), INPUTS, ("output_tokens",))
    if used.input_tokens and isinstance(message.get("id"), str):
        yield AssistantEvent(kind="usage", usage=used, part=message["id"])


def read_user(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    content = data["message"]["content"]
    if isinstance(content, str):
        return
    for part in content:
        if part["type"] == "tool_result":
            yield AssistantEvent(kind="tool_end", text=last_line(str(part["content"])), ok=not part.get("is_error"))
    result = mapping(data.get("tool_use_result"))
    written = [result["filePath"]] if "structuredPatch" in result else []
    for path in [*written, *mapping(result.get("bashEditDiff")).get("changedFiles", [])]:
        yield AssistantEvent(kind="file_change", text=words(path))


def read_result(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    yield AssistantEvent(kind="usage", usage=_used(data), cumulative=True)
    errors = data.get("errors")
    text = data.get("result") or ("; ".join(map(str, errors)) if isinstance(errors, list) else "") or data["subtype"]
    notice = _kinds.kind_of_notice(str(text))  # with or without an error flag
    ok = data["is_error"] is False and data["subtype"] == "success" and not notice
    error = "" if ok else _error_kind(data, str(text))
    yield AssistantEvent(kind="finished", text=str(text), session=str(data["session_id"]), ok=ok, error=error)


def _read_limit(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    """Told with every answer of a subscription; it stops the turn only when it is rejected and not paid for."""
    info = data["rate_limit_info"]
    if info.get("status") == "rejected" and info.get("overageStatus") != "allowed":
        text = f"the limit called {words(info.get('rateLimitType'))} is reached"
        until = _limits.from_epoch(info.get("resetsAt"))
        yield AssistantEvent(kind="retrying", text=text, error="rate_limit", retry_at=until)


def _used(data: Mapping[str, Any]) -> Usage:
    """Usage of this turn. On a resumed session `total_cost_usd` counts from its start, this turn's share does not."""
    share = data.get("model_usage_since_last_result")
    total = Usage()
    for model in mapping(share).values():
        inputs = ("inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
        total = total.plus(usage(model, inputs, ("outputTokens",), "costUSD"))
    if total != Usage() or share == {}:
        return total
    used = usage(data.get("usage"), INPUTS, ("output_tokens",))
    if used == Usage():  # its model was not reached: the total is that of the turns before
        return used
    return used.model_copy(update={"cost_usd": money(data.get("total_cost_usd"))})


def _error_kind(data: Mapping[str, Any], text: str) -> str:
    if data["subtype"] in {"error_max_budget_usd", "error_max_turns"}:
        return "budget"
    return _kinds.kind_of(text, data.get("api_error_status")) or "no_result"


READERS = {"system": read_system, "assistant": read_assistant, "user": read_user, "result": read_result}

assistant = Program(
    name="claude",
    install="npm install -g @anthropic-ai/claude-code",
    login="claude /login",
    tested=("2.1.0", "2.1.329"),
    tells_cost=True,
    takes_effort=True,
    arguments=arguments,
    parser=by_type({**READERS, "rate_limit_event": _read_limit}),
    credentials=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CODE_USE_BEDROCK",
                 "CLAUDE_CODE_USE_VERTEX", "~/.claude/.credentials.json"),
    declared=Safety(
        logins=("~/.claude", "~/.claude.json"),
        guarded=("settings.json", "settings.local.json", "hooks", "commands", "agents", "plugins", "skills", "rules",
                 "local", "CLAUDE.md"),
        starters={"~/.claude/settings.json": "{}\n"},
        steering=("CLAUDE.md", "CLAUDE.local.md", ".mcp.json", ".claude/"),
    ),
    env={
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_MAX_RETRIES": str(MAX_RETRIES),
        "CLAUDECODE": "",  # set when Relay itself was started by claude, which then refuses to be nested
    },
    # As root it refuses to skip permissions unless its environment says that it is contained.
    env_as_root={"IS_SANDBOX": "1"},
    homes={"CLAUDE_CONFIG_DIR": "~/.claude"},
    variables=("ANTHROPIC_*", "CLAUDE_*", "MAX_THINKING_TOKENS", "BASH_*_TIMEOUT_MS", "MCP_*TIMEOUT"),
    variables_if={
        "CLAUDE_CODE_USE_BEDROCK": ("AWS_*",),
        "CLAUDE_CODE_USE_VERTEX": ("GOOGLE_*", "CLOUD_ML_REGION", "VERTEX_*"),
    },
    settings={"max_budget_usd": NUMBER, "max_turns": int},
    remedies={
        "budget": "$EDITOR .project/config.yaml  # assistants.claude.max_budget_usd, max_turns",
        "denied": "claude /permissions",
    },
    names_session=True,
)  # fmt: skip
