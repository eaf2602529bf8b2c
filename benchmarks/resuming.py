"""`kill -9` of an orchestrator with 10 builders at work, and the next one."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

from benchmarks.report import Goal, Row
from benchmarks.scratch import BARE_PYTHON, RELAY, START, Scratch, eventually, in_turns, scratch

PARTS = 10


def measure(folder: Path, runs: int) -> list[Row]:
    """From the start of `relay resume` until an orchestrator has committed that it adopted all builders."""
    repeated: list[float] = []
    numbers = iter(range(runs + 1))

    def once() -> float:
        seconds, again = _once(folder / f"resume{next(numbers)}")
        repeated.append(again)
        return seconds

    with scratch(folder / "floor") as other:
        measured, floors = in_turns(runs, once, lambda: other.seconds(*BARE_PYTHON))
    return [
        Row(
            f"resume after kill -9: {PARTS} builders adopted",
            "s",
            measured,
            [Goal("max", 2)],
            "python3 -c pass",
            floors,
        ),
        Row("steps repeated by that", "", repeated[1:], [Goal("max", 0)]),
    ]


def _once(root: Path) -> tuple[float, int]:
    """Builders note that they begin, and end when the named pipe is opened and closed."""
    root.parent.mkdir(parents=True, exist_ok=True)
    gate, begun = root.with_suffix(".gate"), root.with_suffix(".begun")
    os.mkfifo(gate)
    builder = f'echo "$RELAY_BUILDER" >> {begun}; cat {gate}'
    with scratch(root, parts=PARTS, builder=builder) as project:
        project.run(*START, "--yes", "parts")
        project.wait(lambda state: len([line for line in state["builders"] if line["pid"]]) == PARTS)
        eventually(lambda: begun.exists() and len(begun.read_text().split()) == PARTS)
        os.kill(project.orchestrator(), signal.SIGKILL)
        seconds = _resumed(project)
        gate.open("w").close()
        project.wait(lambda state: state["outcome"] == "landed")
        return seconds, _repeated(project, begun)


def _resumed(project: Scratch) -> float:
    """Seconds."""
    query = "SELECT data FROM events WHERE kind = 'orchestrator_started' ORDER BY seq DESC LIMIT 1"
    with project.database() as database:
        (before,) = database.execute(query).fetchone()
        start = time.perf_counter()
        project.run(*RELAY, "resume")
        (told,) = eventually(lambda: [text for (text,) in database.execute(query) if text != before])
        seconds = time.perf_counter() - start
    adopted = json.loads(told)["adopted"]
    assert len(adopted) == PARTS, f"adopted: {adopted}"
    return seconds


def _repeated(project: Scratch, begun: Path) -> int:
    """Programs that began more often than once, and jobs that were made more often than once for a builder."""
    with project.database() as database:
        jobs = [json.loads(data)["spec"] for (data,) in database.execute("SELECT data FROM jobs")]
    programs = Counter(begun.read_text().split())
    steps = Counter((spec["step"], spec["name"]) for spec in jobs if spec["step"])
    return sum(times - 1 for counted in (programs, steps) for times in counted.values())
