"""The duration of the commands that a person or an assistant types most."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from benchmarks.report import Goal, Row
from benchmarks.scratch import BARE_PYTHON, START, STATUS, Scratch, eventually, in_turns, scratch

FLOOR = "python3 -c pass"


def status(folder: Path, runs: int) -> list[Row]:
    """`status.py` while a person is asked to approve a design of 10 components, the orchestrator running."""
    with scratch(folder / "status", parts=10) as project:
        project.run(*START, "parts")
        project.wait_asked("approve_design")
        measured, floors = in_turns(
            runs, lambda: project.seconds(*STATUS) * 1000, lambda: project.seconds(*BARE_PYTHON) * 1000
        )
    return [Row("status.py, whole process", "ms", measured, [Goal("ratio", 10)], FLOOR, floors)]


def start(folder: Path, runs: int) -> list[Row]:
    """`start_workflow.py` in a new repository each time; then when its first handler was asked, as its event says."""
    dispatched: list[float] = []
    numbers = iter(range(runs + 1))

    def once() -> float:
        with scratch(folder / f"start{next(numbers)}") as project:
            begun = time.time()
            seconds = project.seconds(*START, "parts")
            dispatched.append(_first_action(project) - begun)
            project.wait_asked("approve_design")
            return seconds * 1000

    with scratch(folder / "floor") as other:
        measured, floors = in_turns(runs, once, lambda: other.seconds(*BARE_PYTHON) * 1000)
    return [
        Row("start_workflow.py to its return", "ms", measured, [Goal("ratio", 20)], FLOOR, floors),
        Row("start_workflow.py to the first handler dispatched", "s", dispatched[1:], [Goal("max", 0.5)]),
    ]


def _first_action(project: Scratch) -> float:
    """Seconds since the epoch at the tick that asked the first handler."""
    with project.database() as database:
        query = "SELECT at FROM events WHERE kind = 'action_started' ORDER BY seq LIMIT 1"
        (at,) = eventually(lambda: database.execute(query).fetchone())
    return datetime.fromisoformat(at).timestamp()
