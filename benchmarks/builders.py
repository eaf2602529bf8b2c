"""Whole runs of builders that take 0.2 s each, against a shell script of plain git commands."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path

from benchmarks.report import Goal, Row
from benchmarks.scratch import START, Scratch, in_turns, scratch
from lib.files.rubbish import sweep

BY_HAND = str(Path(__file__).with_name("by_hand.sh"))


def ten(folder: Path, runs: int) -> list[Row]:
    return [_row(folder, 10, runs)]


def fifty(folder: Path, runs: int) -> list[Row]:
    return [_row(folder, 50, runs)]


def large(folder: Path, runs: int) -> list[Row]:
    return [_row(folder, 6, runs, files=30_000, goal=1.3)]


def _row(folder: Path, parts: int, runs: int, *, files: int = 20, goal: float = 1.5) -> Row:
    relay = (*START, "--yes", "--wait", "parts")
    by_hand = ("sh", BY_HAND, str(parts))
    numbers = count()
    measured, floors = in_turns(
        runs,
        lambda: _once(folder / f"relay{next(numbers)}", parts, files, relay),
        lambda: _once(folder / f"by-hand{next(numbers)}", parts, files, by_hand),
    )
    what = f"{parts} builders, 10 at once, {files:,} files: start, build, merge, land, clean"
    return Row(what, "s", measured, [Goal("ratio", goal)], "plain git commands, xargs -P10", floors)


def _once(root: Path, parts: int, files: int, command: tuple[str, ...]) -> float:
    """Seconds; what was built has to be there and in the branch's history, or they would mean nothing."""
    with scratch(root, parts=parts, files=files) as project:
        seconds = project.seconds(*command)
        _check(project, parts)
        sweep(root / ".project" / "worktrees", patient=True)  # quiet removal would slow what is measured next
    shutil.rmtree(root)
    return seconds


def _check(project: Scratch, parts: int) -> None:
    committed = set(project.run("git", "ls-tree", "--name-only", "HEAD").split())
    wanted = {f"b{number:02d}.txt" for number in range(1, parts + 1)}
    present = {file.name for file in project.root.glob("b*.txt")}
    assert wanted <= committed, f"not landed: {sorted(wanted - committed)}"
    assert wanted == present, f"not checked out: {sorted(wanted - present)}"
