"""One orchestrator an instance, one writer of state.json at a time."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from eventually import eventually

from lib.errors import RelayError
from lib.jobs import ProcessIdentity
from lib.project.lock import InstanceLock, holder, refuse_links, remove_pid, state_lock, write_pid
from lib.project.paths import Project, find_project

ROOT = Path(__file__).resolve().parents[2]
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets and /proc are Linux's")

#: Runs a few lines with `project` and `lock`, prints their `said`, and goes on until its standard input ends.
OTHER = """
import os, signal, subprocess, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from lib.errors import RelayError
from lib.project.lock import InstanceLock, state_lock, write_pid
from lib.jobs import ProcessIdentity
from lib.project.paths import find_project
project = find_project(Path(sys.argv[2]))
lock = InstanceLock(project)
said = 0
{lines}
print(said, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def project(repo: Path) -> Project:
    return find_project(repo)


@contextmanager
def other(project: Project, lines: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-c", OTHER.format(lines=lines), ROOT, project.root]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = int(process.stdout.readline())
        try:
            yield process, said
        finally:
            process.stdin.close()


def identity(pid: int) -> ProcessIdentity:
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ProcessIdentity(pid=pid, start_ticks=ticks, boot_id=boot_id)


def refused(project: Project) -> RelayError:
    with pytest.raises(RelayError) as caught:
        InstanceLock(project).acquire()
    return caught.value


def test_a_second_orchestrator_is_refused_by_name_and_let_in_afterwards(project: Project) -> None:
    with other(project, "lock.acquire()") as (first, _):
        write_pid_in_home(project, first.pid)
        error = refused(project)
        assert (error.code, error.remedy) == ("already_running", "relay status")
        assert f"(pid {first.pid})" in error.message
        assert holder(project) == first.pid
    lock = InstanceLock(project)
    lock.acquire()
    lock.release()
    assert holder(project) is None


def test_another_instance_and_another_project_have_locks_of_their_own(project: Project, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    subprocess.run(["git", "worktree", "add", "-q", linked], cwd=project.root, check=True)
    locks = [InstanceLock(one) for one in (project, find_project(project.root, "two"), find_project(linked))]
    for lock in locks:
        lock.acquire()
    for lock in locks:
        lock.release()


@pytest.mark.parametrize("gone", ["pid files", "instance folder", "store"])
@needs_linux
def test_deleting_what_the_lock_stands_on_lets_no_second_one_in(project: Project, gone: str) -> None:
    with other(project, "lock.acquire()") as (first, _):
        write_pid_in_home(project, first.pid)
        if gone == "pid files":
            project.pid_file.unlink()
            (project.instance_dir / "owner.json").unlink()
        else:
            shutil.rmtree(project.instance_dir if gone == "instance folder" else project.store)
        assert refused(project).code == "already_running"
        assert holder(project) == first.pid


def write_pid_in_home(project: Project, pid: int) -> None:
    project.home.mkdir(exist_ok=True)
    write_pid(project, identity(pid))


def test_a_folder_that_was_replaced_is_locked_again(project: Project) -> None:
    lock = InstanceLock(project)
    assert not lock.still_ours()
    lock.acquire()
    assert lock.still_ours()
    descriptors = lock.descriptors
    shutil.rmtree(project.store)
    assert not lock.still_ours()
    lock.keep()
    assert lock.still_ours()
    assert lock.descriptors == descriptors
    lock.release()
    assert lock.descriptors == ()
    assert not lock.still_ours()


@needs_linux
def test_a_folder_that_another_one_locked_meanwhile_is_told(project: Project) -> None:
    """In another network namespace the socket is no hindrance; the lock on the new folder still is."""
    lock = InstanceLock(project)
    lock.acquire()
    shutil.rmtree(project.store)
    (project.instance_dir).mkdir(parents=True)
    with subprocess.Popen(["flock", "-x", project.instance_dir, "cat"], stdin=subprocess.PIPE) as thief:
        while subprocess.run(["flock", "-n", "-s", project.instance_dir, "true"], check=False).returncode == 0:
            pass
        with pytest.raises(RelayError) as caught:
            lock.keep()
        assert caught.value.code == "already_running"
        assert thief.stdin is not None
        thief.stdin.close()
    lock.keep()
    assert lock.still_ours()
    lock.release()


FORKING = """
lock.acquire()
said = os.fork()
if said == 0:
    signal.pause()
lock.release()
"""


def test_the_lock_goes_to_a_forked_daemon_and_with_its_death(project: Project) -> None:
    with other(project, FORKING) as (_, daemon):
        pass
    try:
        assert refused(project).code == "already_running"
        assert holder(project) == daemon
    finally:
        os.kill(daemon, signal.SIGKILL)
    eventually(lambda: holder(project) is None)


def test_while_command_and_daemon_both_have_it_the_daemon_is_the_holder(project: Project) -> None:
    with other(project, FORKING.replace("lock.release()", "")) as (_, daemon):
        try:
            assert holder(project) == daemon
        finally:
            os.kill(daemon, signal.SIGKILL)


def test_what_it_starts_does_not_inherit_it(project: Project) -> None:
    with other(project, "lock.acquire()\nsaid = subprocess.Popen(['sleep', '60']).pid") as (first, started):
        first.kill()
        first.wait()
    try:
        assert holder(project) is None
    finally:
        os.kill(started, signal.SIGKILL)


@pytest.mark.parametrize("killed", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_orchestrator_leaves_the_lock_free(project: Project, killed: int) -> None:
    with other(project, "lock.acquire()") as (first, _):
        first.send_signal(killed)
        first.wait()
    lock = InstanceLock(project)
    lock.acquire()
    lock.release()


LOOKING = """
import threading
from lib.project.lock import holder
def look():
    while True:
        holder(project)
threading.Thread(target=look, daemon=True).start()
"""


def test_a_look_at_the_lock_makes_nothing_and_never_refuses_anyone(project: Project) -> None:
    assert holder(project) is None
    assert not project.store.exists()
    with other(project, LOOKING):
        for _ in range(50):
            lock = InstanceLock(project)
            lock.acquire()
            lock.release()


@needs_linux
def test_a_reused_pid_is_not_taken_for_the_orchestrator(project: Project) -> None:
    with other(project, "lock.acquire()") as (first, _):
        write_pid_in_home(project, os.getpid())
        owner = project.instance_dir / "owner.json"
        owner.write_text(identity(os.getpid()).model_copy(update={"start_ticks": 1}).model_dump_json())
        assert holder(project) == first.pid


@needs_linux
def test_a_holder_that_cannot_be_seen_is_told(project: Project) -> None:
    project.instance_dir.mkdir(parents=True)
    with subprocess.Popen(["flock", "-x", project.instance_dir, "cat"], stdin=subprocess.PIPE) as hidden:
        try:
            with pytest.raises(RelayError) as caught:
                eventually(lambda: holder(project))
            assert caught.value.code == "orchestrator_unknown"
        finally:
            hidden.communicate()


def test_the_pid_is_written_for_people_and_taken_back_by_its_process_alone(project: Project) -> None:
    project.instance_dir.mkdir(parents=True)
    write_pid_in_home(project, os.getppid())
    remove_pid(project)
    assert project.pid_file.read_text() == f"{os.getppid()}\n"
    write_pid_in_home(project, os.getpid())
    assert project.pid_file.read_text() == f"{os.getpid()}\n"
    remove_pid(project)
    assert not project.pid_file.exists()
    remove_pid(project)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "x" * 10_000])
@needs_linux
def test_a_damaged_record_does_not_hide_who_it_is(project: Project, text: str) -> None:
    with other(project, "lock.acquire()") as (first, _):
        (project.instance_dir / "owner.json").write_text(text)
        assert holder(project) == first.pid
        assert refused(project).code == "already_running"


# --- links -----------------------------------------------------------------------------------------------------------

PLACES: dict[str, Callable[[Project], Path]] = {
    ".project": lambda project: project.dot,
    "pid file": lambda project: project.pid_file,
    "store": lambda project: project.store,
    "instances": lambda project: project.instance_dir.parent,
    "instance folder": lambda project: project.instance_dir,
    "state lock": lambda project: project.instance_dir / "state.lock",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_link_in_a_place_of_relays_is_refused_before_anything_is_made(
    project: Project, tmp_path: Path, place: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = PLACES[place](project)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(elsewhere)
    before = sorted(project.root.rglob("*"))
    with pytest.raises(RelayError) as caught, state_lock(project):
        pass
    assert (caught.value.code, caught.value.remedy) == ("state_path_refused", f"rm {path}")
    assert refused(project).code == "state_path_refused"
    assert sorted(project.root.rglob("*")) == before
    assert list(elsewhere.iterdir()) == []


def test_a_file_where_a_folder_should_be_is_refused(project: Project) -> None:
    project.dot.write_text("")
    with pytest.raises(RelayError) as caught:
        refuse_links(project)
    assert caught.value.remedy == f"mv {project.dot} {project.dot}.aside"


def test_the_folders_of_another_instance_are_looked_at_too(project: Project, tmp_path: Path) -> None:
    two = find_project(project.root, "two")
    two.home.parent.mkdir(parents=True)
    two.home.symlink_to(tmp_path)
    with pytest.raises(RelayError):
        refuse_links(two)
    refuse_links(project)


# --- writers of state.json -------------------------------------------------------------------------------------------


def test_a_writer_waits_for_the_other_but_not_for_ever(project: Project) -> None:
    with other(project, "held = state_lock(project)\nheld.__enter__()"):
        with pytest.raises(RelayError) as caught, state_lock(project, timeout_s=0.05):
            pass
        assert caught.value.code == "state_busy"
    with state_lock(project):
        pass


def test_a_writer_that_is_killed_blocks_nobody(project: Project) -> None:
    with other(project, "held = state_lock(project)\nheld.__enter__()") as (first, _):
        first.kill()
    with state_lock(project, timeout_s=0):
        pass


def test_a_folder_that_cannot_be_made_is_told(project: Project) -> None:
    project.store.mkdir()
    (project.store / "instances").touch()
    with pytest.raises(RelayError) as caught, state_lock(project):
        pass
    assert caught.value.code == "state_path_refused"
