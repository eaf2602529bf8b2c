"""Locks that the orchestrator needs and somebody else has: limits and stop work all the same."""

from __future__ import annotations

import fcntl
import resource
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from containing import World
from driver import Relay, playbook, running
from eventually import WAIT_S, eventually

from lib.project.paths import find_project
from lib.sandbox import probe

SLEEP = "touch {told}; exec sleep 600"
#: A builder that takes both locks of its instance as soon as the orchestrator is gone.
TAKER = """
import fcntl, glob, hashlib, os, socket, sys, time
folder = glob.glob("../../../../.git/relay/instances/*")[0]
place = os.stat("../../../../.git")
key = f"{place.st_dev}:{place.st_ino}:{os.path.basename(folder)}"
name = "\\0relay-" + hashlib.sha256(key.encode()).hexdigest()[:32]
descriptor = os.open(folder, os.O_RDONLY)
bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
open(sys.argv[1], "w").close()
def until(call):
    while True:
        try:
            return call()
        except OSError:
            time.sleep(0.005)
until(lambda: fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB))
until(lambda: bound.bind(name))
open(sys.argv[1] + ".taken", "w").close()
time.sleep(600)
"""


@contextmanager
def state_held(relay: Relay) -> Iterator[None]:
    file = find_project(relay.root).instance_dir / "state.lock"
    with file.open("r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextmanager
def database_held(relay: Relay) -> Iterator[None]:
    with closing(sqlite3.connect(find_project(relay.root).database, isolation_level=None, timeout=WAIT_S)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield


Held = Callable[[Relay], AbstractContextManager[None]]
HELD: dict[str, Held] = {"state.json": state_held, "the run database": database_held}


def begun(relay: Relay, tmp_path: Path, command: str, **env: str) -> int:
    """The pid of a builder's shim, once the `command` that it runs has made the file `{told}`."""
    told = tmp_path / "told"
    book = playbook(tmp_path / "book", {"one": [{"run": command.replace("{told}", str(told))}]})
    relay.begin(book, "parts", "--yes", "--poll", "0.3", env={"RELAY_ATTEMPTS": "1", **env})
    eventually(told.exists)
    return int(relay.wait(lambda state: state["builders"][0]["pid"])["builders"][0]["pid"])


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
def test_a_builder_is_ended_at_its_time_limit_while_another_program_keeps_a_lock(
    relay: Relay, tmp_path: Path, held: Held
) -> None:
    builder = begun(relay, tmp_path, SLEEP, RELAY_TIMEOUT_S="6")
    with held(relay):
        eventually(lambda: not running(builder))
    asked = relay.asked("fix_failure")
    assert "time limit" in asked["message"]
    assert "timeout" in [event["reason"] for event in relay.events("job_stopping")]


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
def test_stop_is_obeyed_while_another_program_keeps_a_lock(relay: Relay, tmp_path: Path, held: Held) -> None:
    builder = begun(relay, tmp_path, SLEEP)
    with held(relay):
        relay("stop")
        assert relay.pid() is None
    assert running(builder)
    relay("stop", "--builders")
    assert not running(builder)


def test_a_builder_that_keeps_the_database_locked_is_ended_by_stop(relay: Relay, tmp_path: Path) -> None:
    script = tmp_path / "lock.py"
    script.write_text(
        "import sqlite3, sys, time\n"
        "db = sqlite3.connect('../../../../.git/relay/relay.db', isolation_level=None, timeout=60)\n"
        "db.execute('BEGIN IMMEDIATE')\n"
        "open(sys.argv[1], 'w').close()\n"
        "time.sleep(600)\n"
    )
    builder = begun(relay, tmp_path, f"exec {sys.executable} {script} {{told}}", RELAY_SANDBOX="off")
    relay("stop", "--builders")
    assert not running(builder)
    assert relay.pid() is None
    stopped = [event["reason"] for event in relay.events("job_stopping")]
    assert stopped == ["stopped"]


def test_a_job_that_took_the_locks_of_a_killed_orchestrator_does_not_keep_the_next_one_out(
    relay: Relay, tmp_path: Path
) -> None:
    script, taken = tmp_path / "take.py", tmp_path / "told.taken"
    script.write_text(TAKER)
    command = f"exec {sys.executable} {script} {{told}}"
    builder = begun(relay, tmp_path, command, RELAY_SANDBOX="off", RELAY_TIMEOUT_S="30")
    relay.kill()
    eventually(taken.exists)
    assert "running already" not in relay("resume")
    assert relay.pid() is not None
    assert relay.refused("start", "another")
    assert f"pid {relay.pid()}" in relay("status")
    eventually(lambda: not running(builder))
    relay.asked("fix_failure")


def test_nothing_of_relays_store_is_seen_by_a_contained_job(tmp_path: Path) -> None:
    assert probe().works, probe()
    world = World.made_in(tmp_path)
    try:
        store = world.project.store
        assert sorted(path.name for path in store.iterdir())
        done = world.run(f"ls -A {store}; test -r {store}/relay.db || git log --oneline")
        assert done.returncode == 0, done.stderr
        assert done.stdout.split(maxsplit=1)[1].strip() == "start"
        world.run(f"echo x > {store}/new")
        assert not (store / "new").exists()
    finally:
        world.end()


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit(2) is Linux's")
def test_an_orchestrator_without_a_free_descriptor_lives_and_goes_on(relay: Relay, tmp_path: Path) -> None:
    go = tmp_path / "go"
    waits = f"touch {{told}}; until test -e {go}; do sleep 0.1; done; echo 1 > one.txt"
    begun(relay, tmp_path, waits)
    pid = relay.pid()
    assert pid is not None
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE, (4, before_hard(pid)))
    go.touch()
    turns = waits_of(pid)
    eventually(lambda: not running(pid) or waits_of(pid) > turns + 10)
    assert running(pid)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    relay.over()
    assert (relay.root / "one.txt").read_text() == "1\n"
    assert [event["attempt"] for event in builds(relay)] == [1]


def before_hard(pid: int) -> int:
    return resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]


def waits_of(pid: int) -> int:
    """The number of times that a process has waited for something."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def builds(relay: Relay) -> list[dict[str, int]]:
    return [event["job"] for event in relay.events("job_started") if event["job"]["spec"]["name"] == "build"]
