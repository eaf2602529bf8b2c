"""A conversation with a model and the model's answers, in the form that all wire protocols share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of the program. `schema` is the JSON schema of its arguments; empty for one that takes plain text."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """`calls` counts the tools that the assistant called in it; a `tool` message holds what came of one."""

    role: Literal["user", "assistant", "tool"]
    text: str = ""
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Talk:
    """The contents of a request. `wire` is the protocol: anthropic, responses, chat or gemini."""

    wire: str
    system: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    streams: bool = True

    @property
    def text(self) -> str:
        return "\n".join(message.text for message in self.messages)


@dataclass(frozen=True, slots=True)
class Say:
    """The last words of a turn."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call of one of the program's own tools."""

    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refuse:
    """An error in place of an answer: `status` of HTTP, `times` in a row, None for ever.

    `retry_after_s` is given as the protocol has it, or not at all; `words` are the message.
    """

    status: int
    times: int | None = None
    retry_after_s: int | None = None
    words: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def message(self) -> str:
        return self.words or f"refused with {self.status}"


@dataclass(frozen=True, slots=True)
class Hang:
    """The request is taken and never answered."""


Answer = Say | Call | Refuse | Hang
