"""`scripted`: plays a playbook, the same way each time, for rehearsals, demonstrations and tests.

Variant: the name of a shipped playbook, or a path; without one, the shipped playbook that fits the requirement.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lib.assistants._outcome import plain_events, plain_verdict
from lib.contracts import AssistantEvent, Exit, Launch, Turn
from lib.jobs import JobResult
from lib.model import Usage
from lib.playbook.book import Playbook, find, matching, plan, shipped_names, steps_for
from lib.playbook.reader import read_playbook

PLAYER = Path(__file__).resolve().parent.parent / "playbook" / "player.py"


class Scripted:
    """Settles at the launch of a turn what it does, and hands that to `lib.playbook.player`, after the prompt."""

    name = "scripted"
    install = "relay --version"

    def available(self, settings: Mapping[str, Any]) -> str | None:
        del settings
        return None

    def pinned(self, variant: str, requirement: str) -> str:
        """A playbook for a whole run, read to see that it is sound. Raises `UsageError`."""
        file = _book(variant, requirement).file
        return file.stem if variant in ("", *shipped_names()) else str(file.resolve())

    def launch(self, turn: Turn) -> Launch:
        book = _book(turn.variant, turn.requirement)
        steps = steps_for(book, turn.role, turn.builder, turn.attempt, turn.prompt)
        argv = (sys.executable, "-I", "-S", "-X", "utf8", str(PLAYER))
        return Launch(argv=argv, stdin=plan(turn.prompt, steps))

    def read(self, line: str) -> Sequence[AssistantEvent]:
        word, _, value = line.partition(" ")
        match word:
            case "::write":
                return (AssistantEvent(kind="file_change", text=value),)
            case "::run":
                return (AssistantEvent(kind="tool_start", text=value),)
            case "::usage":
                with contextlib.suppress(ValueError):  # a command that it runs may print anything
                    return (AssistantEvent(kind="usage", usage=Usage.model_validate_json(value)),)
        return plain_events(line)

    def verdict(self, end: Exit, events: Sequence[AssistantEvent], stderr: str) -> JobResult:
        return plain_verdict(end, events, stderr)


def _book(variant: str, requirement: str) -> Playbook:
    return read_playbook(find(variant or matching(requirement)))


assistant = Scripted()
