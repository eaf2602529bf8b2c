"""`opencode run --format json`. Behaviour as seen with 1.18.33.

Variant: a model as `PROVIDER/MODEL`. It names the session itself. Its final event is a step that ends with `stop`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lib.assistants import _kinds, _limits
from lib.assistants._outcome import last_line
from lib.assistants._program import PROVIDERS, Program, effort_of, further, model_of
from lib.assistants._reading import about, by_type, count, mapping, money, words
from lib.contracts import AssistantEvent, Safety, Turn
from lib.model import Usage

#: Names of its errors that tell more than their words.
_ERRORS = {
    "ProviderAuthError": "auth",
    "MessageAbortedError": "cancelled",
    "ContextOverflowError": "context_full",
    "ProviderModelNotFoundError": "model",
}
_DENIED = re.compile(r"rejected permission|permission.{0,40}(?:denied|rejected)|rule which prevents", re.IGNORECASE)


def arguments(turn: Turn, session: str) -> Sequence[str]:
    resumed = ("--session", session) if turn.session else ()
    effort = effort_of(turn, "--variant", "{}")
    return ["run", "--format", "json", "--auto", *resumed, *model_of(turn), *effort, *further(turn)]


def _read_start(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    yield AssistantEvent(kind="started", session=str(data["sessionID"]))


def _read_text(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    yield AssistantEvent(kind="text", text=str(data["part"]["text"]))


def _read_tool(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    part = data["part"]
    state = part["state"]
    yield AssistantEvent(kind="tool_start", text=about(part["tool"], state.get("input")))
    ok = state["status"] == "completed"
    said = str(state.get("output" if ok else "error") or "")
    if not ok and _DENIED.search(said):
        yield AssistantEvent(kind="denied", text=f"{words(part['tool'])}: {last_line(said)}")
    yield AssistantEvent(kind="tool_end", text=last_line(said), ok=ok)
    path = mapping(state.get("metadata")).get("filepath")
    if ok and path and part["tool"] in {"write", "edit"}:
        yield AssistantEvent(kind="file_change", text=words(path))


def _read_finish(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    part = data["part"]
    tokens, cache = mapping(part.get("tokens")), mapping(mapping(part.get("tokens")).get("cache"))
    used = Usage(
        input_tokens=sum(map(count, (tokens.get("input"), cache.get("read"), cache.get("write")))),
        output_tokens=sum(map(count, (tokens.get("output"), tokens.get("reasoning")))),
        cost_usd=money(part.get("cost")),
    )
    yield AssistantEvent(kind="usage", usage=used, part=words(part.get("id", "")))
    reason = part["reason"]
    if reason == "stop":
        yield AssistantEvent(kind="finished", session=str(data["sessionID"]), ok=True)
    elif reason != "tool-calls":
        yield AssistantEvent(
            kind="finished", text=f"its answer ended with {words(reason)}", ok=False, error="no_result"
        )


def _read_error(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    error = data["error"]
    told = mapping(error.get("data"))
    text = str(told.get("message") or error.get("name") or "an error without words")
    said = f"{text}\n{words(told.get('responseBody', ''))}"
    kind = _ERRORS.get(str(error.get("name"))) or _kinds.kind_of(said, told.get("statusCode"))
    after = _retry_after(mapping(told.get("responseHeaders")))
    yield AssistantEvent(
        kind="finished",
        text=text,
        session=str(data["sessionID"]),
        ok=False,
        error=kind,
        delay_s=_limits.delay_of(after),
        retry_at=_limits.moment_of(after),
    )


def _retry_after(headers: Mapping[str, Any]) -> str:
    """The headers that say when it may be tried again, in words."""
    named = ("retry-after-ms", "retry-after")
    return "\n".join(f"{name}: {words(headers[name])}" for name in named if headers.get(name))


assistant = Program(
    name="opencode",
    install="npm install -g opencode-ai",
    login="opencode auth login",
    tested=("1.18.33", "1.18.33"),
    tells_cost=True,
    arguments=arguments,
    takes_effort=True,
    parser=by_type(
        {
            "step_start": _read_start,
            "text": _read_text,
            "tool_use": _read_tool,
            "step_finish": _read_finish,
            "error": _read_error,
        }
    ),
    credentials=(
        *("OPENCODE_CONFIG_CONTENT", "OPENCODE_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY"),
        *("GEMINI_API_KEY", "~/.local/share/opencode/auth.json"),
    ),
    declared=Safety(
        logins=("~/.local/share/opencode",),
        guarded=(
            *("opencode.json", "opencode.jsonc", "command", "commands", "agent", "agents", "plugin", "plugins"),
            *("skills", "tool", "tools", "bin", "AGENTS.md"),
        ),
        starters={"~/.config/opencode/opencode.json": "{}\n"},
        steering=("AGENTS.md", "opencode.json*", ".opencode/"),
    ),
    env={
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_SHARE": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    },
    folders=("~/.local/share/opencode", "~/.local/state/opencode", "~/.config/opencode", "~/.cache/opencode"),
    variables=("OPENCODE_*", *PROVIDERS),
)
