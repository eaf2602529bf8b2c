"""Memory and processes of running jobs, looked at now and then where they are limited."""

from __future__ import annotations

from typing import Final

from lib.config.model import Config
from lib.model import Now
from lib.process import Footprint, footprint
from lib.scheduling.step_limits import limited
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
        live = [job for job in run.ledger.live() if job.process and not job.stopping]
        settings = {job.id: limited(run.config, job.spec) for job in live}
        marks = {f"{run.state.run}/{job.id}": job for job in live if _has_limit(settings[job.id])}
        if not marks:
            self.due_mono_s, self._seen = None, {}
        elif self.due_mono_s is None or instant.mono_s >= self.due_mono_s:
            most = [config.memory_max_mb for config in settings.values() if config.memory_max_mb is not None]
            limit_bytes = min(most, default=float("inf")) * 1e6
            taken = footprint({mark: job.process for mark, job in marks.items()}, exact_above_bytes=limit_bytes)
            self._seen = {marks[mark].id: found for mark, found in taken.items()}
            self.due_mono_s = instant.mono_s + INTERVAL_S
        return self._seen


def _has_limit(config: Config) -> bool:
    return config.memory_max_mb is not None or config.processes_max is not None
