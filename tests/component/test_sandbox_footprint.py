"""Memory and processes that a job takes, measured on real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from spawning import Jobs, jobs_in

from lib.process import footprint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HELD = 60_000_000


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with jobs_in(tmp_path) as started:
        yield started


def test_memory_and_processes_of_a_job_are_counted_without_its_shim(jobs: Jobs) -> None:
    held = f"import time; held = b'x' * {HELD}; print('ready', flush=True); time.sleep(100)"
    big, small = jobs.python(held).says("ready"), jobs.sh("sleep 100 & sleep 100 & echo ready; wait").says("ready")
    found = footprint({job.id: job.shim for job in (big, small)})
    assert HELD < found[big.id].memory_bytes < 3 * HELD
    assert found[big.id].processes == 1
    assert found[small.id].memory_bytes < HELD
    assert found[small.id].processes == 3


def test_what_is_shared_after_a_fork_counts_once_when_it_matters(jobs: Jobs) -> None:
    forked = (
        f"import os, time; held = b'x' * {HELD}; [os.fork() for _ in range(2)]; "
        "os.write(1, b'ready\\n'); time.sleep(100)"
    )
    job = jobs.python(forked).says("ready\nready\nready\nready\n")
    assert footprint({job.id: job.shim})[job.id].memory_bytes > 4 * HELD
    assert footprint({job.id: job.shim}, exact_above_bytes=HELD)[job.id].memory_bytes < 3 * HELD


def test_a_job_that_is_gone_takes_nothing(jobs: Jobs) -> None:
    job = jobs.sh("exit 0")
    job.wait()
    assert footprint({job.id: None}) == {job.id: (0, 0)}
