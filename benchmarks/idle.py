"""The cost of an orchestrator while a person thinks."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.report import Goal, Row
from benchmarks.scratch import START, Scratch, scratch

REST_S = 2.0
SPAN_S = 30.0
#: As often as the orchestrator by default, a Python that looks at one file.
LOOKER = "import os, time\nwhile True: time.sleep(5); os.stat('.project/state.json')"


def measure(folder: Path, _runs: int) -> list[Row]:
    """Processor time by schedstat, in nanoseconds, of both processes over the same 30 s."""
    with scratch(folder / "idle") as project, _looker(project) as floor:
        project.run(*START, "parts")
        project.wait_asked("approve_design")
        time.sleep(REST_S)
        pids = (project.orchestrator(), floor)
        before, begun = [_busy_s(pid) for pid in pids], time.perf_counter()
        time.sleep(SPAN_S)
        span = time.perf_counter() - begun
        used = [(_busy_s(pid) - busy) / span * 100 for pid, busy in zip(pids, before, strict=True)]
        resident = [_resident_mb(pid) for pid in pids]
    named = "bare Python, one stat each 5 s"
    return [
        Row("idle orchestrator: share of one core", "%", used[:1], [Goal("max", 0.2)], named, used[1:]),
        Row("idle orchestrator: resident", "MB", resident[:1], [Goal("max", 45)], named, resident[1:]),
    ]


@contextmanager
def _looker(project: Scratch) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", LOOKER], cwd=project.root) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def _busy_s(pid: int) -> float:
    """Seconds on a processor of all threads (Documentation/scheduler/sched-stats.rst of Linux)."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024 / 1e6
