"""`codex`: OpenAI's Codex, `codex exec --json`. Behaviour as seen with 0.169.0.

Variant: a model. It names the session itself. On a resumed one `turn.completed` counts from the session's start, so
that what it used is counted high there, never low.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lib.assistants import _kinds, _limits
from lib.assistants._outcome import last_line
from lib.assistants._program import Program, effort_of, further, model_of
from lib.assistants._reading import about, by_type, mapping, usage, words
from lib.contracts import AssistantEvent, Safety, Turn

_QUIET = ("--disable", "plugins", "--disable", "apps", "-c", "analytics.enabled=false",
          "-c", "check_for_update_on_startup=false")  # fmt: skip
#: Without these its sandbox lets commands write all temporary folders.
_WORKTREE_ONLY = ("-c", "sandbox_workspace_write.exclude_slash_tmp=true",
                  "-c", "sandbox_workspace_write.exclude_tmpdir_env_var=true")  # fmt: skip


def arguments(turn: Turn, session: str) -> Sequence[str]:
    """Its own sandbox can't be made inside another one, so there it goes without."""
    sandbox = ("danger-full-access",) if turn.contained else ("workspace-write", *_WORKTREE_ONLY)
    argv = [
        "exec",
        "--json",
        "--sandbox",
        *sandbox,
        "-C",
        turn.worktree,
        *_QUIET,
        *model_of(turn, "-m"),
        *effort_of(turn, "-c", 'model_reasoning_effort="{}"'),
        *further(turn),
    ]
    return [*argv, *(("resume", session) if turn.session else ()), "-"]


def _read_started(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    yield AssistantEvent(kind="started", session=str(data["thread_id"]))


def _read_begun(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    item = data["item"]
    if item["type"] == "command_execution":
        yield AssistantEvent(kind="tool_start", text=words(item["command"]))
    elif item["type"] in {"mcp_tool_call", "web_search"}:
        yield AssistantEvent(
            kind="tool_start", text=about(item.get("tool") or item["type"], item.get("arguments") or item)
        )


def _read_item(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    item = data["item"]
    match item["type"]:
        case "agent_message":
            yield AssistantEvent(kind="text", text=str(item["text"]))
        case "command_execution":
            said = last_line(str(item.get("aggregated_output", "")))
            yield AssistantEvent(kind="tool_end", text=said, ok=item.get("status") == "completed")
        case "mcp_tool_call" | "web_search":
            yield AssistantEvent(kind="tool_end", text=words(item["type"]), ok=item.get("status") != "failed")
        case "file_change":
            done = item.get("status") == "completed"
            yield AssistantEvent(kind="tool_end", text="file change", ok=done)
            for change in item["changes"] if done else ():
                yield AssistantEvent(kind="file_change", text=words(change["path"]))


def _read_error(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    """`Reconnecting... 1/5 (why)`; one that ends the turn comes again in `turn.failed`."""
    text = str(data["message"])
    yield AssistantEvent(kind="retrying", text=last_line(text), error=_kinds.kind_of(text) or "network",
                         retry_at=_limits.moment_of(text))  # fmt: skip


def _read_completed(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    yield AssistantEvent(kind="usage", usage=usage(data.get("usage"), ("input_tokens",), ("output_tokens",)))
    yield AssistantEvent(kind="finished", ok=True)


def _read_failed(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    text = str(mapping(data.get("error")).get("message") or "the turn failed")
    yield AssistantEvent(kind="finished", text=text, ok=False, error=_kinds.kind_of(text),
                         delay_s=_limits.delay_of(text), retry_at=_limits.moment_of(text))  # fmt: skip


assistant = Program(
    name="codex",
    install="npm install -g @openai/codex",
    login="codex login",
    tested=("0.169.0", "0.169.0"),
    arguments=arguments,
    takes_effort=True,
    parser=by_type(
        {
            "thread.started": _read_started,
            "item.started": _read_begun,
            "item.completed": _read_item,
            "error": _read_error,
            "turn.completed": _read_completed,
            "turn.failed": _read_failed,
        }
    ),
    credentials=("OPENAI_API_KEY", "CODEX_API_KEY", "CODEX_ACCESS_TOKEN", "~/.codex/auth.json"),
    declared=Safety(
        logins=("~/.codex",),
        guarded=("config.toml", "hooks.json", "plugins", "skills", "rules", "prompts", ".env", "AGENTS.md"),
        starters={"~/.codex/config.toml": ""},
        steering=("AGENTS.md", "AGENTS.override.md", ".codex/", ".agents/"),
    ),
    homes={"CODEX_HOME": "~/.codex"},
    variables=("OPENAI_*", "CODEX_*", "AZURE_OPENAI_*"),
)
