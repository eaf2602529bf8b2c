"""Crashes between intent and record, pids given out again, trees that resist, resources that run out."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from eventually import WAIT_S, eventually
from spawning import Jobs, jobs_in, pid_in, runs

from lib.process import (
    Exited,
    Lost,
    NotStarted,
    Running,
    alive,
    claimed,
    identify,
    recover,
    revoke,
    running_s,
    stop_trees,
    survivors,
    sweep,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
#: The unit of start times: two processes of one pid are further apart.
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with jobs_in(tmp_path) as started:
        yield started


def times_run(folder: Path) -> int:
    file = folder / "ran"
    return len(file.read_text().splitlines()) if file.exists() else 0


# --- 10: a crash at any moment -------------------------------------------------------------------------------------


def test_a_job_that_is_spawned_and_recovered_at_once_runs_once_or_never_and_recovery_knows_which(jobs: Jobs) -> None:
    seen: Counter[type] = Counter()
    for turn in range(80):
        spec = jobs.spec("/bin/sh", "-c", "echo ran >>ran; exit 3")
        spec.folder.mkdir()
        job = jobs.run(jobs.spec("/bin/sh", "-c", "echo ran >>ran; exit 3", job_id=spec.job_id, folder=spec.folder,
                                 output=spec.folder, cwd=spec.folder))  # fmt: skip
        for _ in range(turn % 40):
            alive(job.shim)
        if turn % 4 == 3:  # however slow the machine is, some have begun
            eventually((job.folder / "claim").exists)
        found = recover(job.folder, job.id)
        seen[type(found)] += 1
        status = job.wait()
        if isinstance(found, NotStarted):
            assert (status, times_run(job.folder), recover(job.folder, job.id)) == (None, 0, NotStarted())
        else:
            assert found in {Running(job.shim), Exited(3)}
            assert (status, times_run(job.folder), recover(job.folder, job.id)) == (3, 1, Exited(3))
    assert seen[NotStarted]
    assert seen[Running] + seen[Exited]


#: Starts jobs without end, each with its intent on record first.
SPAWNER = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from lib.process import SpawnSpec, spawn
root = Path(sys.argv[2])
for number in count():
    folder = root / str(number)
    folder.mkdir()
    print(number, flush=True)
    argv = ("/bin/sh", "-c", "echo ran >>ran; exit 3")
    spawn(SpawnSpec(str(folder), argv, folder, dict(os.environ), folder, folder))
"""


@pytest.mark.parametrize("seed", range(8))
def test_a_killed_orchestrators_jobs_are_each_known_and_none_runs_later(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - repeatable
    command = [sys.executable, "-c", SPAWNER, str(ROOT), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as orchestrator:
        assert orchestrator.stdout is not None
        for _ in range(rng.randrange(1, 12)):
            orchestrator.stdout.readline()
        for _ in range(rng.randrange(300)):
            identify(orchestrator.pid)
        orchestrator.kill()
    folders = [folder for folder in tmp_path.iterdir() if folder.is_dir()]
    found = {folder: recover(folder, str(folder)) for folder in folders}
    eventually(lambda: not survivors(str(folder) for folder in folders))
    for folder, was in found.items():
        expected = (0, NotStarted()) if isinstance(was, NotStarted) else (1, Exited(3))
        assert (times_run(folder), recover(folder, str(folder))) == expected


def test_a_claim_that_its_dead_shim_did_not_fill_in_means_not_started(tmp_path: Path) -> None:
    (tmp_path / "claim").touch()
    assert recover(tmp_path, "job") == NotStarted()
    assert not revoke(tmp_path)


@pytest.mark.parametrize("torn", ["", "2663"])
def test_a_claim_that_a_living_shim_has_not_filled_in_is_judged_by_the_mark(jobs: Jobs, torn: str) -> None:
    job = jobs.sh("echo ready; exec sleep 100").says("ready")
    (job.folder / "claim").write_text(torn)
    assert recover(job.folder, job.id) == Running(job.shim)


def test_a_job_whose_records_were_deleted_while_it_runs_is_not_run_again(jobs: Jobs) -> None:
    job = jobs.sh("echo ready; exec sleep 100").says("ready")
    shutil.rmtree(job.folder)
    assert recover(job.folder, job.id) == Running(job.shim)


def test_a_killed_shim_is_lost_and_what_it_left_is_swept(jobs: Jobs) -> None:
    job = jobs.sh("echo ready; exec sleep 100").says("ready")
    os.kill(job.shim.pid, signal.SIGKILL)
    job.wait()
    assert recover(job.folder, job.id) == Lost()
    assert survivors([job.id])
    assert sweep([job.id]) == {}
    assert not survivors([job.id])


# --- 11, 12, 13: trees that resist -------------------------------------------------------------------------------


def test_a_grandchild_that_called_setsid_and_forked_twice_is_dead_after_stop(jobs: Jobs, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    script = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        open({str(file)!r}, "w").write(f"{{os.getpid()}}\\n")
        time.sleep(100)
    os._exit(0)
os.wait()
time.sleep(100)
"""
    job = jobs.python(script)
    left = pid_in(file)
    assert stop_trees({job.id: job.shim}, 5) == {}
    assert not runs(left)
    assert not alive(job.shim)


@pytest.mark.parametrize("resist", ["trap '' TERM INT HUP;", "kill -STOP $$;", "trap '' TERM; kill -STOP $$;"])
def test_one_that_ignores_term_or_stands_still_is_gone_by_the_deadline(jobs: Jobs, resist: str) -> None:
    job = jobs.sh(f"echo ready; {resist} while :; do sleep 0.01; done").says("ready")
    assert stop_trees({job.id: job.shim}, 0.3) == {}
    assert survivors([job.id]) == {}


def test_a_grandchild_that_holds_standard_output_open_does_not_hide_the_end(jobs: Jobs) -> None:
    job = jobs.sh("sleep 100 & echo done; exit 4")
    assert (job.wait(), job.output) == (4, "done\n")
    assert len(survivors([job.id])[job.id]) == 1
    assert sweep([job.id]) == {}
    assert survivors([job.id]) == {}


#: Each generation lives 5 ms, ignores signals, and starts the next.
CHAIN = """#!/bin/sh
trap '' TERM INT HUP
echo x >>"$1/generations"
sleep 0.005
{session} "$0" "$1" &
"""


@pytest.mark.parametrize("session", ["", "setsid", "env -i PATH=$PATH"])
def test_a_chain_that_forks_every_5_ms_is_ended(jobs: Jobs, tmp_path: Path, session: str) -> None:
    program = tmp_path / "chain"
    program.write_text(CHAIN.format(session=session))
    program.chmod(0o755)
    for number in range(20):  # a look falls between the last fork of a process and its end once in a while only
        folder = tmp_path / str(number)
        folder.mkdir()
        generations = folder / "generations"
        job = jobs.start(str(program), str(folder))
        eventually(lambda file=generations: file.exists() and file.stat().st_size > 20)
        assert stop_trees({job.id: job.shim}, 0.05) == {}
        last = generations.stat().st_size
        assert survivors([job.id]) == {}
        assert generations.stat().st_size == last


def test_a_tree_that_grows_every_5_ms_is_ended(jobs: Jobs) -> None:
    job = jobs.sh("trap '' TERM; while :; do setsid sleep 100 & sleep 0.005; echo x; done").says("x\n" * 20)
    assert stop_trees({job.id: job.shim}, 0.2) == {}
    assert survivors([job.id]) == {}


# --- 14: a pid that belongs to another program -------------------------------------------------------------------


def test_a_claim_whose_pid_was_given_out_again_is_not_adopted_and_not_killed(jobs: Jobs) -> None:
    with subprocess.Popen(["sleep", "100"], start_new_session=True) as stranger:
        identity = identify(stranger.pid)
        assert identity is not None
        eventually(lambda: running_s(identity) > 2 * TICK_S)
        job = jobs.start("true")
        job.wait()
        (job.folder / "exit").unlink()
        text = (job.folder / "claim").read_text()
        (job.folder / "claim").write_text(text.replace(f" {job.shim.pid} ", f" {stranger.pid} "))
        forged = claimed(job.folder)
        assert forged is not None
        assert forged.pid == stranger.pid
        assert recover(job.folder, job.id) == Lost()
        assert stop_trees({job.id: forged}, 0.1) == {}
        assert stranger.poll() is None
        stranger.kill()


def test_a_claim_of_an_earlier_boot_is_lost_even_if_the_process_looks_the_same(jobs: Jobs) -> None:
    job = jobs.sh("exec sleep 100")
    eventually(lambda: claimed(job.folder))
    claim = job.folder / "claim"
    claim.write_text(claim.read_text().replace(job.shim.boot_id, "00000000-0000-0000-0000-000000000000"))
    assert recover(job.folder, job.id) == Lost()


@pytest.mark.parametrize("claim", ["x\n", "\n", "\xff\xfe\n", "boot 12 (sh\n", "boot -\n"])
def test_a_claim_that_no_shim_wrote_is_nobodys(tmp_path: Path, claim: str) -> None:
    (tmp_path / "claim").write_text(claim, encoding="latin-1")
    assert claimed(tmp_path) is None
    assert recover(tmp_path, "job") in {Lost(), NotStarted()}


# --- 17: resources run out -----------------------------------------------------------------------------------------

STARTER = f"""
import errno, os, resource, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
import lib.model
from lib.process import SpawnFailed, SpawnSpec, claimed, exit_status, reap, spawn, survivors
root = Path(sys.argv[1])

def start(name, shell="/bin/sh"):
    folder = root / name
    spec = SpawnSpec(str(folder), ("/bin/echo", "ran"), Path("/"), dict(os.environ), folder, folder, shell=shell)
    try:
        return spawn(spec)
    except SpawnFailed as failure:
        print(name, failure.code, failure.remedy)

def finish(name, shim):
    os.waitpid(shim.pid, 0)
    output = (root / name / "output.log").read_text().strip()
    print(name, exit_status(root / name), output or "nothing")
"""


def outcome(script: str, folder: Path) -> list[str]:
    done = subprocess.run([sys.executable, "-c", STARTER + script, str(folder)], check=False, capture_output=True,
                          text=True, timeout=WAIT_S)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_without_a_free_descriptor_that_job_fails_and_the_next_one_starts(tmp_path: Path) -> None:
    lines = outcome("""
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
for free in range(4):
    held = []
    while True:
        try:
            held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            break
    for _ in range(free):
        os.close(held.pop())
    shim = start(f"with {free}")
    for descriptor in held:
        os.close(descriptor)
    if shim:
        finish(f"with {free}", shim)
    elif survivors([str(root / f"with {free}")]):
        print("left a process")
finish("with all", start("with all"))
""", tmp_path)  # fmt: skip
    assert lines[0] == "with 0 spawn_failed ulimit -n 4096"
    for free, line in enumerate(lines[1:4], 1):
        assert line in {f"with {free} spawn_failed ulimit -n 4096", f"with {free} 0 ran"}
    assert lines[4:] == ["with all 0 ran"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user can reach."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def test_without_a_free_process_that_job_fails_and_the_next_one_starts(open_folder: Path) -> None:
    wrapper = open_folder / "limited"
    wrapper.write_text('#!/bin/sh\nexec prlimit --nproc=0 /bin/sh "$@"\n')
    wrapper.chmod(0o755)
    lines = outcome("""
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)  # root has no such limit
hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
resource.setrlimit(resource.RLIMIT_NPROC, (0, hard))
start("none")
resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))
finish("only a shim", start("only a shim", str(root / "limited")))
finish("all", start("all"))
print(os.access(sys.executable, os.X_OK))
""", open_folder)  # fmt: skip
    assert lines[0] == "none spawn_failed ulimit -u unlimited"
    assert re.fullmatch("only a shim [1-9][0-9]* nothing", lines[1])
    # Where that other user can't start our Python, nobody writes what the job prints: it counts as killed.
    assert lines[2:] in (["all 0 ran", "True"], ["all 137 nothing", "False"])
