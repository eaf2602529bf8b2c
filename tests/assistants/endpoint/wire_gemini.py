"""Gemini: `POST /v1beta/models/MODEL:generateContent` and `:streamGenerateContent`, as gemini speaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from assistants.endpoint.sse import Reply, event, size
from assistants.endpoint.talk import Call, Message, Refuse, Say, Talk, Tool

NAME = "gemini"
ERRORS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}


def matches(path: str) -> bool:
    return path.endswith((":generateContent", ":streamGenerateContent"))


def counts(path: str) -> bool:
    return path.endswith(":countTokens")


def count(tokens: int) -> Mapping[str, Any]:
    return {"totalTokens": tokens}


def parse(path: str, body: Mapping[str, Any]) -> Talk:
    tools = tuple(
        Tool(each["name"], each.get("parametersJsonSchema") or each.get("parameters") or {})
        for tool in body.get("tools") or ()
        for each in tool.get("functionDeclarations", ())
    )
    system = "\n".join(part.get("text", "") for part in (body.get("systemInstruction") or {}).get("parts", ()))
    messages = tuple(message for each in body["contents"] for message in _messages(each))
    return Talk(NAME, system, messages, tools, streams=path.endswith(":streamGenerateContent"))


def _messages(content: Mapping[str, Any]) -> Iterator[Message]:
    for part in content["parts"]:
        if "functionResponse" in part:
            yield Message("tool", json.dumps(part["functionResponse"].get("response")))
    text = "\n".join(part["text"] for part in content["parts"] if "text" in part)
    calls = sum("functionCall" in part for part in content["parts"])
    if text or calls:
        yield Message("assistant" if content.get("role") == "model" else "user", text, calls)


def answer(talk: Talk, given: Say | Call, number: int) -> Reply:
    del number
    if isinstance(given, Say):
        part: dict[str, Any] = {"text": given.text}
    else:
        part = {"functionCall": {"name": given.tool, "args": dict(given.arguments)}}
    used = {"promptTokenCount": size(talk), "candidatesTokenCount": size(given)}
    body = {
        "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {**used, "totalTokenCount": sum(used.values())},
        "modelVersion": "scripted-1",
    }
    return Reply(events=(event(body),)) if talk.streams else Reply(body=body)


def refusal(given: Refuse) -> Mapping[str, Any]:
    error = {"code": given.status, "message": given.message, "status": ERRORS[given.status]}
    if given.retry_after_s is not None:
        kind = "type.googleapis.com/google.rpc.RetryInfo"
        error["details"] = [{"@type": kind, "retryDelay": f"{given.retry_after_s}s"}]
    return {"error": error}
