"""Memory and processes of running jobs, looked at now and then where the configuration limits them."""

from __future__ import annotations

from typing import Final

from lib.model import Now
from lib.process import Footprint, footprint
from orchestrator.engine.run import Run

#: Short enough for what takes a gigabyte in a second, and a small part of what a look at a thousand processes takes.
INTERVAL_S: Final = 0.5


class Footprints:
    """The last look. `due_mono_s` is when the next one is due, None without a limit or a job."""

    def __init__(self) -> None:
        self.due_mono_s: float | None = None
        self._seen: dict[str, Footprint] = {}

    def look(self, run: Run, instant: Now) -> dict[str, Footprint]:
        """The footprint of each job, by its id; empty where nothing is limited. Raises `OSError`."""
        config = run.config
        marks = {f"{run.state.run}/{job.id}": job for job in run.ledger.live() if job.process and not job.stopping}
        if not marks or (config.memory_max_mb is None and config.processes_max is None):
            self.due_mono_s, self._seen = None, {}
        elif self.due_mono_s is None or instant.mono_s >= self.due_mono_s:
            limit_bytes = config.memory_max_mb * 1e6 if config.memory_max_mb is not None else float("inf")
            taken = footprint({mark: job.process for mark, job in marks.items()}, exact_above_bytes=limit_bytes)
            self._seen = {marks[mark].id: found for mark, found in taken.items()}
            self.due_mono_s = instant.mono_s + INTERVAL_S
        return self._seen
