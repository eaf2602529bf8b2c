"""`command`: a shell line of the configuration, so that any program can be an assistant without code.

    assistants:
      command:
        command: mytool --prompt-file "$RELAY_PROMPT_FILE"
        architect: mytool --think < "$RELAY_PROMPT_FILE"     # optional, for one role

Nothing is pasted into the line: the prompt is on standard input and in the file `$RELAY_PROMPT_FILE`, and role,
builder, attempt and the like are `RELAY_*` variables. What it prints is its final message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lib.assistants._outcome import check_settings, plain_events, plain_verdict
from lib.contracts import AssistantEvent, Exit, Launch, Turn
from lib.errors import UsageError
from lib.model import JobResult

ROLES = ("architect", "builder", "reviewer", "resolver")


class Command:
    """The line of the turn's role, else the one called `command`."""

    name = "command"
    install = "relay init, then set assistants.command.command in .project/config.yaml"

    def available(self, settings: Mapping[str, Any]) -> str | None:
        return None if any(settings.values()) else "no line is set as assistants.command.command in the configuration"

    def launch(self, turn: Turn) -> Launch:
        check_settings(turn.settings, self.name, dict.fromkeys((self.name, *ROLES), str))
        line = turn.settings.get(turn.role) or turn.settings.get(self.name)
        if not line:
            message = f"configuration: no assistants.command.{turn.role} and no assistants.command.command"
            raise UsageError(message, remedy="$EDITOR .project/config.yaml", code="config_invalid")
        return Launch(argv=("/bin/sh", "-c", line), env={"RELAY_PROMPT_FILE": turn.prompt_file}, stdin=turn.prompt)

    def read(self, line: str) -> Sequence[AssistantEvent]:
        return plain_events(line)

    def verdict(self, end: Exit, events: Sequence[AssistantEvent], stderr: str) -> JobResult:
        return plain_verdict(end, events, stderr)


assistant = Command()
