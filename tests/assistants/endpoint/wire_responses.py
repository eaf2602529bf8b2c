"""OpenAI Responses: `POST /v1/responses`, as codex speaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from assistants.endpoint.sse import Reply, event, size
from assistants.endpoint.talk import Call, Message, Refuse, Say, Talk, Tool

NAME = "responses"


def matches(path: str) -> bool:
    return path.endswith("/responses")


def parse(path: str, body: Mapping[str, Any]) -> Talk:
    del path
    tools = tuple(
        Tool(tool.get("name", tool["type"]), tool.get("parameters") or {}) for tool in body.get("tools") or ()
    )
    messages = tuple(message for item in body["input"] for message in _messages(item))
    return Talk(NAME, body.get("instructions") or "", messages, tools, streams=bool(body.get("stream")))


def _messages(item: Mapping[str, Any]) -> Iterator[Message]:
    match item["type"]:
        case "message" if item["role"] in {"user", "assistant"}:
            yield Message(item["role"], "\n".join(part.get("text", "") for part in item["content"]))
        case "function_call" | "custom_tool_call":
            yield Message("assistant", calls=1)
        case "function_call_output" | "custom_tool_call_output":
            yield Message("tool", json.dumps(item["output"]))


def answer(talk: Talk, given: Say | Call, number: int) -> Reply:
    if isinstance(given, Say):
        item: dict[str, Any] = {
            "type": "message", "id": f"msg_{number:08}", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": given.text, "annotations": []}],
        }  # fmt: skip
    else:
        item = {
            "type": "function_call", "id": f"fc_{number:08}", "call_id": f"call_{number:08}", "name": given.tool,
            "arguments": json.dumps(dict(given.arguments)), "status": "completed",
        }  # fmt: skip
    used = {"input_tokens": size(talk), "output_tokens": size(given)}
    usage = {
        **used, "total_tokens": sum(used.values()),
        "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0},
    }  # fmt: skip
    response = {"id": f"resp_{number:08}", "object": "response", "model": "scripted-1"}
    if not talk.streams:
        return Reply(body={**response, "status": "completed", "output": [item], "usage": usage})
    return Reply(events=tuple(_events(response, item, usage)))


def _events(response: dict[str, Any], item: dict[str, Any], usage: dict[str, Any]) -> Iterator[str]:
    yield _event("response.created", response={**response, "status": "in_progress", "output": []})
    yield _event("response.output_item.added", output_index=0, item={**item, "status": "in_progress"})
    yield _event("response.output_item.done", output_index=0, item=item)
    done = {**response, "status": "completed", "output": [item], "usage": usage}
    yield _event("response.completed", response=done)


def _event(kind: str, **fields: Any) -> str:
    return event({"type": kind, **fields}, kind)


def refusal(given: Refuse) -> Mapping[str, Any]:
    return {"error": {"message": given.message, "type": "refused", "code": str(given.status)}}
