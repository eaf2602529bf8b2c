"""OpenAI Chat Completions: `POST /v1/chat/completions`, as opencode, qwen, copilot and aider speak it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assistants.endpoint.sse import Reply, event, size
from assistants.endpoint.talk import Call, Message, Refuse, Say, Talk, Tool

NAME = "chat"


def matches(path: str) -> bool:
    return path.endswith("/chat/completions")


def parse(path: str, body: Mapping[str, Any]) -> Talk:
    del path
    tools = tuple(
        Tool(tool["function"]["name"], tool["function"].get("parameters", {})) for tool in body.get("tools") or ()
    )
    system = "\n".join(_text(each["content"]) for each in body["messages"] if each["role"] in {"system", "developer"})
    messages = tuple(message for each in body["messages"] for message in _messages(each))
    return Talk(NAME, system, messages, tools, streams=bool(body.get("stream")))


def _messages(message: Mapping[str, Any]) -> Iterator[Message]:
    role = message["role"]
    if role in {"user", "assistant", "tool"}:
        yield Message(role, _text(message.get("content")), len(message.get("tool_calls") or ()))


def _text(content: str | Sequence[Mapping[str, Any]] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part.get("text", "") for part in content)


def answer(talk: Talk, given: Say | Call, number: int) -> Reply:
    used = {"prompt_tokens": size(talk), "completion_tokens": size(given)}
    usage = {**used, "total_tokens": sum(used.values())}
    if isinstance(given, Say):
        message: dict[str, Any] = {"role": "assistant", "content": given.text}
    else:
        function = {"name": given.tool, "arguments": json.dumps(dict(given.arguments))}
        call = {"index": 0, "id": f"call_{number:08}", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    reason = "stop" if isinstance(given, Say) else "tool_calls"
    head = {"id": f"chatcmpl-{number:08}", "created": 1, "model": "scripted-1"}
    if not talk.streams:
        choice = {"index": 0, "message": message, "finish_reason": reason}
        return Reply(body={**head, "object": "chat.completion", "choices": [choice], "usage": usage})
    return Reply(events=tuple(_events({**head, "object": "chat.completion.chunk"}, message, reason, usage)))


def _events(head: dict[str, Any], message: dict[str, Any], reason: str, usage: dict[str, int]) -> Iterator[str]:
    yield event({**head, "choices": [{"index": 0, "delta": message, "finish_reason": None}]})
    yield event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    yield event({**head, "choices": [], "usage": usage})
    yield "data: [DONE]\n\n"


def refusal(given: Refuse) -> Mapping[str, Any]:
    return {"error": {"message": given.message, "type": "refused", "code": str(given.status)}}
