"""`gemini`: Google's Gemini CLI with its stream of JSON events. Behaviour as seen with 0.61.0.

Variant: a model. The caller names the session. Its exit status is the HTTP status modulo 256.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lib.assistants import _kinds, _limits
from lib.assistants._outcome import last_line
from lib.assistants._program import Program, further, model_of, resumed_or_named
from lib.assistants._reading import about, by_type, mapping, usage, words
from lib.contracts import AssistantEvent, Safety, Turn
from lib.project.templates import shipped


def arguments(turn: Turn, session: str) -> Sequence[str]:
    flags = ("--output-format", "stream-json", "--approval-mode", "yolo")
    return [*flags, *resumed_or_named(turn, session), *model_of(turn), *further(turn)]


def _read_init(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    yield AssistantEvent(kind="started", session=str(data["session_id"]), text=words(data.get("model")))


def _read_message(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    if data["role"] == "assistant":
        yield AssistantEvent(kind="text", text=str(data["content"]))


def _read_tool(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    yield AssistantEvent(kind="tool_start", text=about(data["tool_name"], data.get("parameters")))


def _read_tool_result(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    said = data.get("output") or mapping(data.get("error")).get("message") or ""
    yield AssistantEvent(kind="tool_end", text=last_line(str(said)), ok=data.get("status") == "success")


def _read_result(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    stats = data.get("stats")
    yield AssistantEvent(kind="usage", usage=usage(stats, ("input_tokens",), ("output_tokens",)), cumulative=True)
    if data["status"] == "success":
        yield AssistantEvent(kind="finished", ok=True)
        return
    told = mapping(data.get("error"))
    text = str(told.get("message") or "it ended with an error")
    error = _kinds.kind_of(text, told.get("code"), told.get("type"))
    yield AssistantEvent(kind="finished", text=text, ok=False, error=error, delay_s=_limits.delay_of(text))


assistant = Program(
    name="gemini",
    install="npm install -g @google/gemini-cli",
    login="gemini",
    tested=("0.61.0", "0.61.0"),
    arguments=arguments,
    parser=by_type(
        {
            "init": _read_init,
            "message": _read_message,
            "tool_use": _read_tool,
            "tool_result": _read_tool_result,
            "result": _read_result,
        }
    ),
    credentials=("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "~/.gemini/oauth_creds.json"),
    declared=Safety(
        logins=("~/.gemini",),
        guarded=("settings.json", "hooks", "commands", "agents", "skills", "extensions", ".env", "GEMINI.md"),
        starters={"~/.gemini/settings.json": "{}\n", "~/.gemini/.env": ""},
        steering=("GEMINI.md", ".gemini/"),
    ),
    env={
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
        "GEMINI_CLI_NO_RELAUNCH": "true",
    },
    # Defaults beneath the user's own settings: quiet, and few retries of its own. It reads only what is root's.
    env_as_root={"GEMINI_CLI_SYSTEM_DEFAULTS_PATH": str(shipped("assistants") / "gemini.json")},
    folders=("~/.gemini",),
    variables=("GEMINI_*", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_GENAI_*", "GOOGLE_CLOUD_*"),
    variables_if={"GOOGLE_GENAI_USE_VERTEXAI": ("GOOGLE_APPLICATION_CREDENTIALS",)},
    remedies={"denied": "gemini --approval-mode yolo"},
    exits={41: "auth", 53: "budget", 55: "denied"},
    names_session=True,
    joint="",  # its messages arrive in pieces
)
