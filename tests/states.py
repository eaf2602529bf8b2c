"""States to write, and edits of them as a person would make."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from lib.model import Base, BuilderLine, Owner, State
from lib.statefile.document import render
from lib.statefile.edits import EarlierRevision, Known
from lib.steps import BuilderStatus

START = datetime(2026, 1, 2, 10, 0, tzinfo=UTC)
ACTIONS = ("design", "design_build", "retry", "skip", "cancel")
BUILDERS = ("api", "web")


def state(**changes: Any) -> State:
    """A run that waits for a person to approve its design."""
    made = State(
        rev=7,
        run="r1",
        requirement="a shop",
        phase="design",
        action_owner=Owner.CI,
        action_needed="approve_design",
        next_action="design_build",
        message="Read the design",
        base=Base(branch="main", commit="0" * 40),
        builders=tuple(line(name) for name in BUILDERS),
        progress={"pending": len(BUILDERS)},
        created_at=START,
        updated_at=START,
    )
    return made.model_copy(update=changes)


def line(name: str, status: BuilderStatus = BuilderStatus.PENDING, ended_s: float | None = None) -> BuilderLine:
    return BuilderLine(
        id=name,
        status=status,
        branch=f"relay/r1/{name}",
        worktree=f".project/worktrees/r1/{name}",
        assistant="claude",
        attempt=1,
        ended_at=None if ended_s is None else START + timedelta(seconds=ended_s),
    )


def edited(data: bytes, **changes: Any) -> bytes:
    """The bytes with other values for those keys, as an editor would leave them; `...` for a key removes it."""
    values = json.loads(data) | changes
    kept = {key: value for key, value in values.items() if value is not ...}
    return (json.dumps(kept, indent=2, ensure_ascii=False) + "\n").encode()


def known(
    newest: State, earlier: Iterable[State] = (), *, published: bool = True, wordless: Mapping[str, str] | None = None
) -> Known:
    return Known(
        written=render(newest),
        published=published,
        earlier={old.rev: EarlierRevision.of(old, render(old)) for old in earlier},
        actions=ACTIONS,
        steps=BUILDERS,
        wordless=wordless or {},
    )
