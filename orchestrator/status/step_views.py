"""One builder, or one step of a workflow, as people and machines are shown it. Pure; plain dicts go in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from lib.logs.sentences import beyond
from lib.steps import BuilderStatus, status_of

Record = Mapping[str, Any]

LANDED: Final = "landed"
#: How many of five steps (prepared, committed, built, merged, landed) a status proves by itself.
STEPS: Final = {"running": 1, "verifying": 2, "built": 3, "merged": 4, LANDED: 5}


class BuilderView(NamedTuple):
    """One builder. `steps` of five (see `STEPS`) are behind it; `line` is its last word: output, error or note.

    `verified` says that its commands succeeded on what it has now; `outside` counts its files that are not its own.

    `condition` is how its turn is doing: working, silent, asking, retrying or rate_limited; empty without a turn.
    """

    id: str
    title: str
    status: str
    verified: bool
    outside: int
    steps: int
    attempt: int
    attempts: int
    assistant: str
    age_s: float | None
    tokens: int
    cost_usd: float
    condition: str
    line: str
    branch: str
    worktree: str


class StepView(NamedTuple):
    """One step of a workflow. `parent` is the box that it is in, empty for one of the workflow's own level.

    Of a box, `members` counts the steps in it, and `done` those of them that are done; null where not all are known.
    """

    id: str
    kind: str
    parent: str
    status: str
    verified: bool
    members: int
    done: int | None
    attempt: int
    attempts: int
    assistant: str
    age_s: float | None
    tokens: int
    cost_usd: float
    condition: str
    line: str


def builder_view(record: Record, turn: Record | None, lines: Mapping[str, str], now: datetime) -> BuilderView:
    """The builder; `turn` is the progress of its assistant's turn, if one is under way."""
    status = status_of(record)
    proved = 2 if record.get("commit") else 1 if record.get("base_commit") else 0
    return BuilderView(
        title=(record.get("component") or {}).get("title", ""),
        outside=(record.get("reach") or {"outside": 0})["outside"],
        steps=STEPS.get(status, proved),
        branch=record["branch"],
        worktree=record["worktree"],
        **_shared(record, turn, lines, now),
    )


def step_views(
    records: Sequence[Record], turns: Mapping[str, Record], lines: Mapping[str, str], now: datetime
) -> tuple[StepView, ...]:
    """The steps, those in a box behind it; `turns` are the progresses of turns under way, by their job."""
    statuses = {record["id"]: status_of(record) for record in records}
    return tuple(_step_view(each, statuses, turns.get(each.get("job") or ""), lines, now) for each in _in_tree(records))


def _step_view(
    record: Record,
    statuses: Mapping[str, BuilderStatus],
    turn: Record | None,
    lines: Mapping[str, str],
    now: datetime,
) -> StepView:
    members = record.get("members") or ()
    known = [statuses[name] for name in members if name in statuses]
    return StepView(
        kind=record["kind"],
        parent=record.get("parent", ""),
        members=len(members),
        done=sum(status.is_built for status in known) if len(known) == len(members) else None,
        **_shared(record, turn, lines, now),
    )


def _shared(record: Record, turn: Record | None, lines: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """The fields that builders and other steps have in common."""
    status, error = status_of(record), record.get("error") or {}
    said = lines.get(record.get("job") or "", "") if status.is_at_work else ""
    note = "" if record["note"] == status else record["note"]
    reach = record.get("reach") or {"outside": 0, "deleted": 0}
    outside = beyond(reach["outside"], reach["deleted"])
    tokens, cost_usd = used([part for part in (record.get("usage"), turn and turn["usage"]) if part])
    return {
        "id": record["id"],
        "status": status.value,
        "verified": bool(record.get("verified")),
        "attempt": record["attempt"],
        "attempts": record.get("attempts", record["attempt"]),
        "assistant": record["assistant"],
        "age_s": age(record["started_at"], record["ended_at"], now),
        "tokens": tokens,
        "cost_usd": cost_usd,
        "condition": turn["condition"] if turn else "",
        "line": _condition(turn)
        or said
        or error.get("message", "").removeprefix(f"{record['id']}: ")
        or "; ".join(filter(None, (outside, note))),
    }


def _in_tree(records: Sequence[Record]) -> Iterator[Record]:
    """The records with those in a box right behind it; one whose box is not among them is on its own."""
    ids = {record["id"] for record in records}
    within: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        parent = record.get("parent", "")
        within[parent if parent in ids else ""].append(record)

    def walk(box: str) -> Iterator[Record]:
        for record in within[box]:
            yield record
            yield from walk(record["id"])

    return walk("")


def _condition(turn: Record | None) -> str:
    """The condition of a turn that does not simply work, in words."""
    if turn is None or turn["condition"] == "working":
        return ""
    words = {"asking": "asks", "silent": "has been silent for a while"}.get(turn["condition"])
    said = words or turn["condition"].replace("_", " ")
    return f"{said}: {turn['reason']}" if turn["reason"] else said


def age(start: str | None, end: str | None, now: datetime) -> float | None:
    """Seconds from `start` to `end`, or to now; never less than none, as the wall clock may have been set back."""
    if start is None:
        return None
    until = datetime.fromisoformat(end) if end else now
    return max(0.0, round((until - datetime.fromisoformat(start)).total_seconds(), 1))


def used(parts: Sequence[Record]) -> tuple[int, float]:
    """Tokens and US dollars in all."""
    tokens = sum(part["input_tokens"] + part["output_tokens"] for part in parts)
    return tokens, round(sum(part["cost_usd"] for part in parts), 6)
