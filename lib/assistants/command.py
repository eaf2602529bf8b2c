"""`command`: a shell line of the configuration, so that any program can be an assistant without code.

    assistants:
      command:
        command: mytool --prompt-file "$RELAY_PROMPT_FILE"
        architect: mytool --think < "$RELAY_PROMPT_FILE"     # optional, for one role
      othertool:                                             # another name makes another one
        command: othertool --json "$@"
        parser: claude                                       # its events are read like those of claude
        session_flag: --resume                               # "$@" is `--resume ID` on a session that goes on

Nothing is pasted into the line: the prompt is on standard input and in the file `$RELAY_PROMPT_FILE`, and role,
builder, attempt and the like are `RELAY_*` variables. Without a parser, what it prints is its final message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lib.assistants._outcome import NUMBER, check_settings, invalid, plain_events, plain_verdict
from lib.assistants._program import PRICES, Program, priced, prices_of
from lib.assistants._reading import at, count, money, parse_object
from lib.contracts import Assistant, AssistantEvent, Exit, Launch, Turn
from lib.errors import UsageError
from lib.jobs import JobResult
from lib.model import Usage

ROLES = ("architect", "builder", "reviewer", "resolver")
PLAIN = "plain"
#: Whose stream of events it may print.
PARSERS = (PLAIN, "claude", "codex", "gemini", "opencode", "qwen")
FIELDS = ("input_tokens", "output_tokens", "cost_usd")
KNOWN: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("command", *ROLES, "parser", "session_flag"), str),
    **dict.fromkeys(PRICES, NUMBER),
    "usage": dict,
}


@dataclass(frozen=True, slots=True)
class CommandAssistant:
    """The line of the turn's role, else the one called `command`.

    `stream` is the program whose events it prints, if any; `resumes` says that its line can go on with a session.
    `usage` are dotted paths into the JSON objects that it prints, one a line, by the names of `FIELDS`; `prices` are
    dollars for a million tokens in and out.
    """

    name: str = "command"
    install: str = "relay config set assistants.command.command YOUR_COMMAND"
    stream: Program | None = None
    usage: Mapping[str, str] = field(default_factory=dict)
    prices: tuple[float, float] | None = None
    resumes: bool = True

    def available(self, settings: Mapping[str, Any]) -> str | None:
        if any(settings.get(key) for key in ("command", *ROLES)):
            return None
        return f"no line is set as assistants.{self.name}.command in the configuration"

    def configured(self, settings: Mapping[str, Any]) -> Assistant:
        check_settings(settings, self.name, KNOWN)
        parser = settings.get("parser", PLAIN)
        if parser not in PARSERS:
            raise invalid(f"assistants.{self.name}.parser: {parser}; known are {', '.join(PARSERS)}")
        paths = settings.get("usage", {})
        check_settings(paths, f"{self.name}.usage", dict.fromkeys(FIELDS, str))
        stream = _stream_of(parser, self.name, settings)
        lines = (str(settings.get(key, "")) for key in ("command", *ROLES))
        resumes = "session_flag" in settings or any("RELAY_SESSION" in line for line in lines)
        return replace(self, stream=stream, usage=paths, prices=prices_of(settings), resumes=resumes)

    def counts(self) -> frozenset[str]:
        """Names of `tokens` and `cost` that it reports of a turn, or that can be worked out."""
        told = set(self.stream.counts() if self.stream else ())
        told |= {"cost" if name == "cost_usd" else "tokens" for name in self.usage}
        return frozenset(told | ({"cost"} if "tokens" in told and self.prices is not None else set()))

    def launch(self, turn: Turn) -> Launch:
        self.configured(turn.settings)
        line = turn.settings.get(turn.role) or turn.settings.get("command")
        if not line:
            message = f"configuration: no assistants.{self.name}.{turn.role} and no assistants.{self.name}.command"
            raise UsageError(message, remedy="$EDITOR .project/config.yaml", code="config_invalid")
        flag = turn.settings.get("session_flag")
        resumed = (flag, turn.session) if flag and turn.session else ()
        env = {
            "RELAY_PROMPT_FILE": turn.prompt_file,
            "RELAY_SESSION": turn.session or "",
            "RELAY_VARIANT": turn.variant,
        }
        return Launch(
            argv=("/bin/sh", "-c", line, self.name, *resumed),
            env=env,
            stdin=turn.prompt,
            folders=self.stream.folders if self.stream else (),
            variables=self.stream.variables if self.stream else (),
        )

    def read(self, line: str) -> Sequence[AssistantEvent]:
        events = self.stream.read(line) if self.stream else plain_events(line)
        used = self._used(line) if self.usage else None
        if used is None:
            return events
        event = AssistantEvent(kind="usage", usage=used)
        return [*events, priced(event, self.prices) if self.prices else event]

    def verdict(self, end: Exit, events: Sequence[AssistantEvent], stderr: str) -> JobResult:
        return self.stream.verdict(end, events, stderr) if self.stream else plain_verdict(end, events, stderr)

    def _used(self, line: str) -> Usage | None:
        told = parse_object(line)
        inward, outward, cost = (at(told, self.usage.get(name, "")) for name in FIELDS)
        used = Usage(input_tokens=count(inward), output_tokens=count(outward), cost_usd=money(cost))
        return used if used != Usage() else None


def _stream_of(parser: str, name: str, settings: Mapping[str, Any]) -> Program | None:
    """The program of that parser, under another name and with the remedies of none."""
    if parser == PLAIN:
        return None
    from lib.assistants import assistants

    program = assistants()[parser]
    assert isinstance(program, Program)  # noqa: S101 - those in PARSERS are
    prices = {key: value for key, value in settings.items() if key in PRICES}
    line = f"$EDITOR .project/config.yaml  # assistants.{name}"
    remedies = dict.fromkeys(("not_available", "auth", "denied", "budget"), line)
    return replace(program.configured(prices), name=name, remedies=remedies)


assistant = CommandAssistant()
