"""Anthropic Messages: `POST /v1/messages`, as claude speaks it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assistants.endpoint.sse import Reply, event, size
from assistants.endpoint.talk import Call, Message, Refuse, Say, Talk, Tool

NAME = "anthropic"
ERRORS = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error", 500: "api_error"}


def matches(path: str) -> bool:
    return path.endswith("/v1/messages")


def counts(path: str) -> bool:
    return path.endswith("/v1/messages/count_tokens")


def count(tokens: int) -> Mapping[str, Any]:
    return {"input_tokens": tokens}


def parse(path: str, body: Mapping[str, Any]) -> Talk:
    del path
    tools = tuple(Tool(tool["name"], tool.get("input_schema", {})) for tool in body.get("tools", ()))
    messages = tuple(message for each in body["messages"] for message in _messages(each))
    return Talk(NAME, _text(body.get("system", "")), messages, tools, streams=bool(body.get("stream")))


def _messages(message: Mapping[str, Any]) -> Iterator[Message]:
    content = message["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for part in parts:
        if part["type"] == "tool_result":
            yield Message("tool", _text(part.get("content", "")))
    texts = "\n".join(part["text"] for part in parts if part["type"] == "text")
    calls = sum(part["type"] == "tool_use" for part in parts)
    if texts or calls:
        yield Message(message["role"] if message["role"] == "assistant" else "user", texts, calls)


def _text(content: str | Sequence[Mapping[str, Any]]) -> str:
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def answer(talk: Talk, given: Say | Call, number: int) -> Reply:
    used = {"input_tokens": size(talk), "output_tokens": size(given)}
    if isinstance(given, Say):
        block: dict[str, Any] = {"type": "text", "text": given.text}
    else:
        block = {"type": "tool_use", "id": f"toolu_{number:08}", "name": given.tool, "input": dict(given.arguments)}
    reason = "end_turn" if isinstance(given, Say) else "tool_use"
    message = {"id": f"msg_{number:08}", "type": "message", "role": "assistant", "model": "scripted-1",
               "stop_sequence": None}  # fmt: skip
    if not talk.streams:
        return Reply(body={**message, "content": [block], "stop_reason": reason, "usage": used})
    return Reply(events=tuple(_events(message, block, reason, used)))


def _events(message: dict[str, Any], block: dict[str, Any], reason: str, used: dict[str, int]) -> Iterator[str]:
    import json

    usage = {**used, "output_tokens": 1}
    yield _event("message_start", message={**message, "content": [], "stop_reason": None, "usage": usage})
    if block["type"] == "text":
        begun, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
    else:
        begun = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    yield _event("content_block_start", index=0, content_block=begun)
    yield _event("content_block_delta", index=0, delta=delta)
    yield _event("content_block_stop", index=0)
    yield _event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=used)
    yield _event("message_stop")


def _event(kind: str, **fields: Any) -> str:
    return event({"type": kind, **fields}, kind)


def refusal(given: Refuse) -> Mapping[str, Any]:
    return {"type": "error", "error": {"type": ERRORS[given.status], "message": given.message}}
