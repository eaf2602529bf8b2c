"""`ci`, companion intelligence: any program of that name on the PATH, the prompt on its standard input."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from lib.assistants._outcome import plain_events, plain_verdict
from lib.contracts import AssistantEvent, Exit, Launch, Turn
from lib.jobs import JobResult


class Ci:
    """A program with its output as answer and its exit status as verdict; it learns its role from the environment."""

    name = "ci"
    install = "ln -s YOUR_ASSISTANT ~/.local/bin/ci"

    def available(self, settings: Mapping[str, Any]) -> str | None:
        del settings
        return None if shutil.which(self.name) else "no program on the PATH is called ci"

    def counts(self) -> frozenset[str]:
        """It tells nothing of what a turn used."""
        return frozenset()

    def launch(self, turn: Turn) -> Launch:
        return Launch(argv=(self.name,), stdin=turn.prompt)

    def read(self, line: str) -> Sequence[AssistantEvent]:
        return plain_events(line)

    def verdict(self, end: Exit, events: Sequence[AssistantEvent], stderr: str) -> JobResult:
        return plain_verdict(end, events, stderr)


assistant = Ci()
