"""Output of a job on its way to its files: secrets masked, nothing else changed, nothing lost that can be kept."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from small_disk import SmallDisk
from spawning import Jobs, as_sh, jobs_in, runs, shells

from lib.process import SpawnFailed, await_written, environment, reap, sweep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spawning import Started

KEY = "hunter2-is-not-a-good-one"
LOST = 128 + signal.SIGKILL
MEGABYTES = 20


@pytest.fixture(params=shells())
def jobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Jobs]:
    with jobs_in(tmp_path, as_sh(request.param, tmp_path)) as started:
        yield started


def scribe(job: Started) -> int:
    """The process that writes the output of `job`."""
    file = (job.folder / "output.log").resolve()
    return eventually(lambda: next((pid for pid in _pids() if file in _files(pid)), None))


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _files(pid: int) -> set[Path]:
    try:
        return {file.readlink() for file in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:  # it has ended
        return set()


def test_secrets_of_the_job_and_of_relay_are_masked_in_both_files(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAYS_TOKEN", "correct-horse-battery")
    script = f'printf "$JOBS_KEY, {KEY[:9]}"; printf "{KEY[9:]}!"; echo "a correct-horse-battery" >&2; printf hunter2'
    job = jobs.sh(script, env=environment(os.environ, {"JOBS_KEY": KEY}))
    assert (job.wait(), job.output) == (0, "[masked JOBS_KEY], [masked JOBS_KEY]!hunter2")
    assert job.errors == "a [masked RELAYS_TOKEN]\n"


def test_a_secret_as_large_as_a_variable_can_be_is_masked(jobs: Jobs) -> None:
    key = "".join(f'{number:07}"\n' for number in range(12_000))
    job = jobs.sh('echo "$JOBS_KEY" | head -n 2; echo end', env=environment(os.environ, {"JOBS_KEY": key}))
    assert (job.wait(), job.output) == (0, "[masked JOBS_KEY]\n[masked JOBS_KEY]\nend\n")


def test_half_a_secret_is_not_in_the_file_and_a_prompt_is(jobs: Jobs) -> None:
    script = f'printf "Key? [y/N] {KEY[:9]}"; while [ ! -e go ]; do sleep 0.02; done; echo "{KEY[9:]}"'
    job = jobs.sh(script, env=environment(os.environ, {"JOBS_KEY": KEY})).says("[y/N]")
    assert job.output == "Key? [y/N] "
    shown = [Path(f"/proc/{scribe(job)}/{name}").read_bytes() for name in ("cmdline", "environ")]
    assert not any(KEY.encode() in each for each in shown)
    (jobs.root / "go").touch()
    assert (job.wait(), job.output) == (0, "Key? [y/N] [masked JOBS_KEY]\n")


def test_bytes_of_any_kind_and_number_arrive_unchanged(jobs: Jobs, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(os.urandom(1 << 20) * MEGABYTES)
    job = jobs.start("cat", str(data))
    assert job.wait() == 0
    digests = [hashlib.sha256(file.read_bytes()).digest() for file in (data, job.folder / "output.log")]
    assert digests[0] == digests[1]


def test_a_signal_to_all_processes_of_the_program_leaves_what_it_printed(jobs: Jobs) -> None:
    job = jobs.sh("echo before; kill -KILL 0")
    job.wait()
    await_written(job.folder)
    assert job.output == "before\n"


def test_what_a_job_printed_before_it_was_ended_by_force_is_there(jobs: Jobs) -> None:
    job = jobs.python("import sys, time; sys.stdout.write('x' * 50_000); sys.stdout.flush(); open('said', 'w'); "
                      "time.sleep(600)")  # fmt: skip
    eventually((jobs.root / "said").exists)
    sweep({job.id: job.shim})
    reap(job.shim.pid)
    await_written(job.folder)
    assert len(job.output) == 50_000


def test_output_that_is_lost_with_its_scribe_counts_as_killed(jobs: Jobs) -> None:
    job = jobs.sh("echo begun; while [ ! -e go ]; do sleep 0.02; done").says("begun")
    os.kill(scribe(job), signal.SIGKILL)
    (jobs.root / "go").touch()
    assert job.wait() == LOST


def test_signals_that_ask_it_to_end_do_not_end_the_scribe(jobs: Jobs) -> None:
    job = jobs.sh("echo begun; while [ ! -e go ]; do sleep 0.02; done; echo ended").says("begun")
    pid = scribe(job)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    (jobs.root / "go").touch()
    assert (job.wait(), job.output) == (0, "begun\nended\n")


def test_output_beyond_a_full_disk_counts_as_lost_and_does_not_stop_the_program(
    tmp_path: Path, small_disk: SmallDisk
) -> None:
    with jobs_in(tmp_path) as jobs:
        job = jobs.sh("head -c 1000000 /dev/zero; touch through", output=small_disk("size=200k") / "job")
        assert job.wait() == LOST
        assert (tmp_path / "through").exists()


def test_the_scribe_of_a_job_that_could_not_be_started_ends(tmp_path: Path) -> None:
    with jobs_in(tmp_path, shell=str(tmp_path / "no-shell")) as jobs:
        spec = jobs.spec("true")
        with pytest.raises(SpawnFailed):
            jobs.run(spec)
        file = (spec.output / "output.log").resolve()
        eventually(lambda: not any(file in _files(pid) for pid in _pids()))


def test_the_scribe_gets_no_descriptor_of_ours(jobs: Jobs, tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        job = jobs.sh("while [ ! -e go ]; do sleep 0.02; done")
        assert tmp_path / "lock" not in _files(scribe(job))
        (jobs.root / "go").touch()
        job.wait()


def test_a_grandchild_that_goes_on_does_not_keep_the_scribe(jobs: Jobs) -> None:
    job = jobs.sh("sleep 600 & while [ ! -e go ]; do sleep 0.02; done; echo ended")
    pid = scribe(job)
    (jobs.root / "go").touch()
    assert (job.wait(), job.output) == (0, "ended\n")
    eventually(lambda: not runs(pid))
