"""Number of git processes that a builder takes, those that git starts itself included, by git's own trace of each."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from benchmarks.builders import BY_HAND
from benchmarks.report import Goal, Row
from benchmarks.scratch import START, scratch

FEW, MANY = 2, 10


def measure(folder: Path, runs: int) -> list[Row]:
    numbers = count()

    def relay(**settings: str) -> list[float]:
        command = (*START, "--yes", "--wait", "parts")
        return [_each(folder / f"{next(numbers)}", command, command, settings) for _ in range(runs)]

    few, many = (("sh", BY_HAND, str(parts)) for parts in (FEW, MANY))
    by_hand = [_each(folder / f"{next(numbers)}", few, many, {})]
    floor = "plain git commands"
    return [
        Row("git processes a builder", "", relay(), [Goal("max", 12)], floor, by_hand),
        Row("the same, with a setup and a verify command", "", relay(setup="true", verify="true"),
            [Goal("max", 12)], floor, by_hand),
    ]  # fmt: skip


def _each(root: Path, few: tuple[str, ...], many: tuple[str, ...], settings: dict[str, str]) -> float:
    """The processes that each further builder adds, so that what a run takes once is left out."""
    runs = ((FEW, few), (MANY, many))
    less, more = (_traced(root / str(parts), parts, command, settings) for parts, command in runs)
    return (more - less) / (MANY - FEW)


def _traced(root: Path, parts: int, command: tuple[str, ...], settings: dict[str, str]) -> int:
    with (
        scratch(root, parts=parts, settings=settings) as project,
        _trace(root.with_name(f"{root.name}.trace")) as folder,
    ):
        project.run(*command)
        return sum(1 for _ in folder.iterdir())


@contextmanager
def _trace(folder: Path) -> Iterator[Path]:
    """Each git process meanwhile writes a file of its own in the folder."""
    folder.mkdir()
    setting = ("git", "config", "--global", "trace2.eventTarget")
    subprocess.run([*setting, str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["git", "config", "--global", "--unset", "trace2.eventTarget"], check=True)
