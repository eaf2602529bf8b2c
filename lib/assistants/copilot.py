"""`copilot`: GitHub Copilot CLI with its stream of JSON events. Behaviour as seen with 1.0.102.

Variant: a model. The caller names the session. Ended by a signal it tells success, but before that it is idle, aborted.
What it used is in a file that it writes at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lib.assistants import _kinds, _limits
from lib.assistants._outcome import last_line
from lib.assistants._program import PROVIDERS, Program, further, model_of, resumed_or_named
from lib.assistants._reading import about, by_type, mapping, parse_object, usage, words
from lib.contracts import SIDE_OUTPUT, AssistantEvent, Safety, Turn
from lib.model import Usage


def arguments(turn: Turn, session: str) -> Sequence[str]:
    flags = ["--output-format", "json", "--allow-all-tools", "--no-ask-user", "--no-auto-update"]
    flags += ["--usage-output-file", str(Path(turn.scratch) / SIDE_OUTPUT)]
    return [*flags, *resumed_or_named(turn, session), *model_of(turn), *further(turn)]


def parse(line: str) -> Sequence[AssistantEvent]:
    """An event of its stream, or its usage file, which is one object and comes as one line."""
    if '"modelMetrics"' in line and "type" not in (told := parse_object(line)):
        total = Usage()
        for model in mapping(told.get("modelMetrics")).values():
            total = total.plus(usage(mapping(model).get("usage"), ("inputTokens",), ("outputTokens",)))
        return (AssistantEvent(kind="usage", usage=total, cumulative=True),)
    return _stream(line)


def _read_message(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    if text := data["data"]["content"]:
        yield AssistantEvent(kind="text", text=str(text))


def _read_tool(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    yield AssistantEvent(kind="tool_start", text=about(data["data"]["toolName"], data["data"].get("arguments")))


def _read_tool_end(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    told = data["data"]
    error = mapping(told.get("error"))
    said = last_line(str(error.get("message") or mapping(told.get("result")).get("content") or ""))
    if error.get("code") == "denied":
        yield AssistantEvent(kind="denied", text=said)
    yield AssistantEvent(kind="tool_end", text=said, ok=told["success"] is True)
    for edit in told.get("fileEdits") or ():
        yield AssistantEvent(kind="file_change", text=words(edit["path"]))


def _read_failure(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    told = data["data"]
    text = f"status {words(told.get('statusCode'))}: {words(told.get('errorMessage', ''))}"
    error = _kinds.kind_of(text, told.get("statusCode"), told.get("errorCode")) or "network"
    yield AssistantEvent(kind="retrying", text=text, error=error)


def _read_error(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    told = data["data"]
    text = str(told["message"])
    kind = _kinds.kind_of(text, told.get("statusCode"), told.get("errorCode"), told.get("errorType"))
    yield AssistantEvent(kind="finished", text=text, ok=False, error=kind, delay_s=_limits.delay_of(text))


def _read_idle(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    if data["data"].get("aborted"):
        yield AssistantEvent(kind="finished", text="its turn was aborted", ok=False, error="lost")


def _read_result(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    status = data["exitCode"]
    yield AssistantEvent(kind="finished", session=str(data["sessionId"]), ok=type(status) is int and status == 0)


_stream = by_type(
    {
        "assistant.message": _read_message,
        "tool.execution_start": _read_tool,
        "tool.execution_complete": _read_tool_end,
        "model.call_failure": _read_failure,
        "session.error": _read_error,
        "assistant.idle": _read_idle,
        "result": _read_result,
    }
)

assistant = Program(
    name="copilot",
    install="npm install -g @github/copilot",
    login="copilot login",
    tested=("1.0.102", "1.0.102"),
    arguments=arguments,
    parser=parse,
    credentials=(
        "COPILOT_GITHUB_TOKEN",
        "GH_TOKEN",
        "GITHUB_TOKEN",
        "COPILOT_PROVIDER_API_KEY",
        "~/.copilot/config.json",
    ),
    declared=Safety(
        logins=("~/.copilot", "~/.config/github-copilot"),
        guarded=("mcp-config.json", "mcp.json", "hooks", "agents", "skills", "plugins"),
        starters={"~/.copilot/mcp-config.json": '{"mcpServers": {}}\n'},
        steering=(
            *("AGENTS.md", ".copilot/", ".github/copilot-instructions.md", ".github/instructions/"),
            *(".github/prompts/", ".github/agents/"),
        ),
    ),
    env={"COPILOT_AUTO_UPDATE": "false"},
    homes={"COPILOT_HOME": "~/.copilot"},
    folders=("~/.cache/copilot",),
    variables=("COPILOT_*", "GH_TOKEN", "GITHUB_TOKEN", "GH_HOST", *PROVIDERS),
    names_session=True,
)
