"""Whole runs of builders that take 0.2 s each, against a shell script of plain git commands."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from benchmarks.report import Goal, Row
from benchmarks.scratch import START, Scratch, in_turns, scratch

BY_HAND = str(Path(__file__).with_name("by_hand.sh"))


def ten(folder: Path, runs: int) -> list[Row]:
    return [_row(folder, 10, runs)]


def fifty(folder: Path, runs: int) -> list[Row]:
    return [_row(folder, 50, runs)]


def _row(folder: Path, parts: int, runs: int) -> Row:
    relay = (*START, "--yes", "--wait", "parts")
    by_hand = ("sh", BY_HAND, str(parts))
    numbers = count()
    measured, floors = in_turns(
        runs,
        lambda: _once(folder / f"relay{next(numbers)}", parts, relay),
        lambda: _once(folder / f"by-hand{next(numbers)}", parts, by_hand),
    )
    what = f"{parts} builders, 10 at once: start, build, merge, land, clean"
    return Row(what, "s", measured, [Goal("ratio", 1.5)], "plain git commands, xargs -P10", floors)


def _once(root: Path, parts: int, command: tuple[str, ...]) -> float:
    """Seconds; what was built has to be there and in the branch's history, or they would mean nothing."""
    with scratch(root, parts=parts) as project:
        seconds = project.seconds(*command)
        _check(project, parts)
    return seconds


def _check(project: Scratch, parts: int) -> None:
    committed = set(project.run("git", "ls-tree", "--name-only", "HEAD").split())
    wanted = {f"b{number:02d}.txt" for number in range(1, parts + 1)}
    present = {file.name for file in project.root.glob("b*.txt")}
    assert wanted <= committed, f"not landed: {sorted(wanted - committed)}"
    assert wanted == present, f"not checked out: {sorted(wanted - present)}"
