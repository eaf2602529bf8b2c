"""Stopping, freezing and sweeping whole process trees, and leaving everybody else alone."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from eventually import WAIT_S, eventually
from spawning import Jobs, jobs_in, pid_in, runs

from lib.process import alive, claimed, exit_status, freeze, identify, reap, stop_trees, survivors, sweep, thaw
from lib.process.table import environ_of, mark_in, row
from lib.process.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with jobs_in(tmp_path) as started:
        yield started


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def pids(job_id: str) -> set[int]:
    return {identity.pid for identity in survivors([job_id]).get(job_id, [])}


def test_a_job_that_heeds_term_ends_by_itself_and_is_recorded(jobs: Jobs) -> None:
    job = jobs.sh("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done").says("ready")
    assert stop_trees({job.id: job.shim}, 20) == {}
    assert (exit_status(job.folder), job.output) == (5, "ready\nbye\n")
    assert survivors([job.id]) == {}


def test_each_process_is_told_to_end_only_once(jobs: Jobs) -> None:
    script = "trap 'echo told' TERM; echo ready; while :; do sleep 0.01; done"
    job = jobs.sh(script).says("ready")
    stop_trees({job.id: job.shim}, 0.5)
    assert job.output == "ready\ntold\n"


def test_a_job_stopped_at_its_start_does_not_miss_the_signal(jobs: Jobs) -> None:
    for turn in range(60):
        job = jobs.start("sleep", "100")
        for _ in range(turn):
            alive(job.shim)
        assert stop_trees({job.id: job.shim}, 20) == {}
        # KILL would have left a claim without an exit.
        assert exit_status(job.folder) == (128 + signal.SIGTERM if claimed(job.folder) else None)


def test_many_jobs_share_one_deadline_and_others_are_left_alone(jobs: Jobs) -> None:
    stubborn = "trap '' TERM; echo ready; while :; do sleep 0.01; done"
    stopped = [jobs.sh(stubborn).says("ready") for _ in range(3)]
    other = jobs.sh("echo ready; exec sleep 100").says("ready")
    assert stop_trees({job.id: job.shim for job in stopped}, 0.2) == {}
    assert survivors(job.id for job in [*stopped, other]).keys() == {other.id}


def test_jobs_that_started_at_the_same_instant_are_all_stopped(jobs: Jobs) -> None:
    started = [jobs.start("sleep", "100") for _ in range(12)]
    assert stop_trees({job.id: job.shim for job in reversed(started)}, 20) == {}
    assert not any(alive(job.shim) for job in started)


def test_a_job_is_stopped_by_its_mark_alone(jobs: Jobs) -> None:
    job = jobs.sh("echo ready; exec sleep 100").says("ready")
    assert stop_trees({job.id: None}, 20) == {}
    assert not pids(job.id)


def test_survivors_are_told_by_job(jobs: Jobs) -> None:
    one, two = (jobs.sh("echo ready; exec sleep 100").says("ready") for _ in range(2))
    found = survivors([one.id, two.id, "nobody"])
    assert {job: {identity.pid for identity in each} for job, each in found.items()} == {
        one.id: pids(one.id),
        two.id: pids(two.id),
    }
    assert one.shim in found[one.id]
    assert len(found[one.id]) == 2


@pytest.mark.parametrize(
    "leave",
    [
        "setsid sh keep &",
        "sh -c 'setsid sh keep & exit'",
        "(setsid sh -c '(setsid sh keep &) &' &)",
        "env -i PATH=$PATH sh keep &",
        "sh -c 'env -i PATH=$PATH sh keep & exit'",
        "env -i PATH=$PATH setsid sh keep &",
    ],
    ids=["own session", "orphan", "twice orphan", "no mark", "no mark, orphan", "no mark, own session"],
)
def test_whatever_a_program_starts_is_stopped_with_it(jobs: Jobs, tmp_path: Path, leave: str) -> None:
    (tmp_path / "keep").write_text("echo $$ >pid; exec sleep 100")
    job = jobs.sh(f"{leave}\nsleep 100")
    left = pid_in(tmp_path / "pid")
    assert left in pids(job.id)
    assert stop_trees({job.id: job.shim}, 5) == {}
    assert not runs(left)


def test_what_is_left_behind_is_found_and_swept(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.sh(f"setsid sh -c 'echo $$ >{tmp_path}/pid; exec sleep 100' & exit 0")
    left = pid_in(tmp_path / "pid")
    assert job.wait() == 0
    for jobs_left in ([job.id], {job.id: None}, {job.id: job.shim}):
        assert {identity.pid for identity in survivors(jobs_left)[job.id]} == {left}
    assert sweep({job.id: job.shim}) == {}
    assert not runs(left)


def test_what_sheds_the_mark_is_swept_by_its_session_until_the_shim_is_reaped(jobs: Jobs, tmp_path: Path) -> None:
    (tmp_path / "keep").write_text("echo $$ >pid; exec sleep 100")
    job = jobs.sh("env -i PATH=$PATH sh keep & exit")
    left = pid_in(tmp_path / "pid")
    eventually(lambda: exit_status(job.folder) == 0 and not alive(job.shim))
    assert sweep({job.id: job.shim}) == {}
    assert not runs(left)


def test_a_frozen_tree_stands_still_and_goes_on_when_thawed(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.sh(f"setsid sh -c 'echo $$ >{tmp_path}/pid; exec sleep 100' & wait")
    left = pid_in(tmp_path / "pid")
    freeze({job.id: job.shim})
    tree = pids(job.id)
    assert left in tree
    eventually(lambda: {state_of(pid) for pid in tree} == {"T"})
    thaw({job.id: job.shim})
    eventually(lambda: "T" not in {state_of(pid) for pid in tree})
    assert pids(job.id) == tree


def test_a_frozen_job_hears_the_stop(jobs: Jobs) -> None:
    job = jobs.sh("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done").says("ready")
    freeze({job.id: job.shim})
    assert stop_trees({job.id: job.shim}, 20) == {}
    assert (exit_status(job.folder), job.output) == (5, "ready\nbye\n")


def test_a_job_that_stops_jobs_spares_itself_and_those_that_wait_for_it(jobs: Jobs, tmp_path: Path) -> None:
    script = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
import os
from lib.process import stop_trees
print(stop_trees({{os.environ["RELAY_JOB"]: None}}, 0.1))
"""
    (tmp_path / "keep").write_text("trap '' TERM; echo $$ >pid; while :; do sleep 0.01; done")
    (tmp_path / "stop.py").write_text(script)
    job = jobs.sh(f"sh keep & until test -s pid; do sleep 0.01; done; {sys.executable} stop.py; echo alive")
    left = pid_in(tmp_path / "pid")
    assert (job.wait(), job.output) == (0, "{}\nalive\n")
    assert not runs(left)


def test_a_process_of_another_start_is_not_touched() -> None:
    with subprocess.Popen(["sleep", "100"], start_new_session=True) as bystander:
        identity = identify(bystander.pid)
        assert identity is not None
        for change in ({"start_ticks": identity.start_ticks - 1}, {"boot_id": "earlier"}):
            mistaken = identity.model_copy(update=change)
            for act in (lambda targets: stop_trees(targets, 0), freeze):
                act({"somebody": mistaken})
        assert state_of(bystander.pid) == "S"
        assert stop_trees({"somebody": identity}, 5) == {}
        assert bystander.wait(WAIT_S) == -signal.SIGTERM


def test_one_that_is_not_ours_is_not_a_member_however_it_is_called(jobs: Jobs) -> None:
    job = jobs.sh("exec sleep 100")
    with subprocess.Popen(["sleep", "100"], env={"RELAY_JOB": f"{job.id}0", "X": f"RELAY_JOB={job.id}"}) as other:
        assert other.pid not in pids(job.id)
        other.kill()


def test_an_environment_is_never_taken_for_empty_while_the_program_is_replaced(tmp_path: Path) -> None:
    program = tmp_path / "again"
    program.write_text(f"#!/bin/sh\nexec {program}\n")
    program.chmod(0o755)
    with subprocess.Popen([program], env={"RELAY_JOB": "mine"}) as process:
        looks = [environ_of(found) for _ in range(20_000) if (found := row(process.pid))]
        process.kill()
    seen = {None if environ is None else mark_in(environ) for environ in looks}
    assert seen <= {None, b"mine"}
    assert b"mine" in seen


def test_an_environment_that_is_empty_is_known_to_be() -> None:
    with subprocess.Popen(["sleep", "100"], env={}) as process:
        eventually(lambda: (found := row(process.pid)) and environ_of(found) == b"")
        process.kill()


def test_a_look_that_nothing_disturbed_is_known_to_be_certain(jobs: Jobs) -> None:
    job = jobs.sh("exec sleep 100")
    tree = Tree({job.id: job.shim})
    eventually(lambda: tree.scan() and tree.is_certain)


def test_a_shim_that_is_our_unreaped_child_does_not_hold_up_the_stop(jobs: Jobs) -> None:
    job = jobs.sh("exec sleep 100")
    assert stop_trees({job.id: job.shim}, 5) == {}
    assert reap(job.shim.pid) is not None
