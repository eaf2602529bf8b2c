"""Jobs that another orchestrator launched: what the next one knows of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from eventually import eventually
from world import new_run

from lib.config.model import Config
from lib.events import Event, JobEnded, JobSpawned
from lib.jobs import Command, Job
from lib.process import alive
from lib.project.paths import find_project
from lib.scheduling.retries import LOST
from orchestrator.diagnostics import Diagnostics
from orchestrator.jobs.launch import launch
from orchestrator.jobs.supervisor import Workers
from orchestrator.pool import Pool
from orchestrator.wake import Wake
from orchestrator.work import Work


#: Workers live as long as their process, and so does what they watch with.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_was_killed_before_its_launch_was_recorded_is_known_by_its_claim(repo: Path) -> None:
    project, run = find_project(repo), new_run(sandbox="off")
    job = Job(id="0001-run-x", spec=Command(name="x", command="kill -9 $PPID"), attempt=1, dispatch=0,
              started_at=datetime.now(UTC), started_mono_s=0.0)  # fmt: skip
    run.ledger.put_job(job)
    spawned = launch(Work(project, run.state.run, "parts", Config.model_validate({"sandbox": "off"}), job, None))
    assert isinstance(spawned, JobSpawned)
    eventually(lambda: not alive(spawned.process))
    with Wake(()) as wake:
        pool: Pool[Event | None] = Pool(1, wake.ring)
        workers = Workers(project, pool, wake, Diagnostics(run.state.run, run.config.log_level, str))
        assert workers.adopt(run) == ([], [spawned])
        [ended] = eventually(workers.results)
        workers.close(10)
    assert isinstance(ended, JobEnded)
    assert ended.result.code == LOST
