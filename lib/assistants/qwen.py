"""`qwen`: Qwen Code, whose stream of JSON events is much like claude's. Behaviour as seen with 0.15.10 and 0.24.4.

Variant: a model. The caller names the session. The usage of its final event counts from the session's start on a
resumed one, so that the sum over its messages is taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lib.assistants import _kinds, _limits
from lib.assistants._program import Program, further, model_of, resumed_or_named
from lib.assistants._reading import by_type, mapping
from lib.assistants.claude import READERS, read_system
from lib.contracts import AssistantEvent, Safety, Turn

#: Ends by a limit of its own, by the subtype of its final event.
_TURNS = {"error_max_turns": "budget", "error_max_wall_time": "timeout"}


def arguments(turn: Turn, session: str) -> Sequence[str]:
    """With an API key a flag must say to use it; else it uses what it was logged in with."""
    flags = ["--output-format", "stream-json", "--approval-mode", "yolo", *resumed_or_named(turn, session)]
    kind = turn.settings.get("auth_type") or ("openai" if os.environ.get("OPENAI_API_KEY") else "")
    return [*flags, *(("--auth-type", kind) if kind else ()), *model_of(turn), *further(turn)]


def _read_system(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    """It waits between tries only when its provider limits the rate, and tells how long, but not why."""
    if data.get("subtype") != "retry":
        yield from read_system(data)
    elif "delayMs" in data["data"]:
        delay_s = max(0.0, float(data["data"]["delayMs"]) / 1000)
        text = f"its rate is limited, again in {delay_s:.0f} s"
        yield AssistantEvent(kind="retrying", text=text, error="rate_limit", delay_s=delay_s)


def _read_result(data: Mapping[str, Any]) -> Iterator[AssistantEvent]:
    """Errors of its service come as if they were an answer, with or without an error flag."""
    text = str(data.get("result") or mapping(data.get("error")).get("message") or data["subtype"])
    ok = data["is_error"] is False and data["subtype"] == "success" and not _kinds.kind_of_notice(text)
    error = "" if ok else _kinds.kind_of(text) or _TURNS.get(str(data["subtype"])) or ""
    yield AssistantEvent(kind="finished", text=text, session=str(data["session_id"]), ok=ok, error=error,
                         delay_s=None if ok else _limits.delay_of(text))  # fmt: skip


assistant = Program(
    name="qwen",
    install="npm install -g @qwen-code/qwen-code",
    login="qwen",
    tested=("0.15.10", "0.24.4"),
    arguments=arguments,
    parser=by_type({**READERS, "system": _read_system, "result": _read_result}),
    credentials=("OPENAI_API_KEY", "DASHSCOPE_API_KEY", "~/.qwen/oauth_creds.json"),
    declared=Safety(
        logins=("~/.qwen",),
        guarded=("settings.json", "hooks", "commands", "agents", "skills", "extensions", ".env", "QWEN.md"),
        starters={"~/.qwen/settings.json": "{}\n", "~/.qwen/.env": ""},
        steering=("QWEN.md", ".qwen/"),
    ),
    env={"QWEN_CODE_SUPPRESS_YOLO_WARNING": "1"},
    folders=("~/.qwen",),
    variables=("OPENAI_*", "QWEN_*", "DASHSCOPE_*", "BAILIAN_*"),
    settings={"auth_type": str},
    exits={53: "budget", 55: "timeout"},
    names_session=True,
)
