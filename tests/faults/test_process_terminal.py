"""The terminal closes, standard output breaks, the starter waits for the end of a pipe: the orchestrator lives."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from eventually import WAIT_S, eventually
from spawning import pid_in, runs

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]

#: Takes a lock, detaches, and in the background prints once now and once when it gets SIGUSR1.
DAEMON = """
import fcntl, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from lib.process import detach, occupy_stdio
folder = Path(sys.argv[2])
occupy_stdio()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR)
fcntl.flock(lock, fcntl.LOCK_EX)
print("in the foreground")
pid = detach(folder / "log")
if pid:
    (folder / "pid").write_text(f"{pid}\\n")
    os._exit(0)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
print("one", os.getpid(), os.getsid(0) == os.getpid(), flush=True)
signal.sigwait({signal.SIGUSR1})
print("two", flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder in which the daemon runs; it is ended with the test."""
    yield tmp_path
    pid = pid_in(tmp_path / "pid")
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not runs(pid))


def start(folder: Path, *before: str, **options: int | IO[bytes] | bool | tuple[int, ...]) -> subprocess.Popen[bytes]:
    command = [*before, sys.executable, "-c", DAEMON, str(ROOT), str(folder)]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.Popen(command, env=environ, **options)  # type: ignore[call-overload,no-any-return]


def is_locked(folder: Path) -> bool:
    with (folder / "lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def goes_on(folder: Path) -> bool:
    """True if the daemon still holds its lock; fails if it does not answer."""
    pid = pid_in(folder / "pid")
    eventually(lambda: f"one {pid} False\n" in (folder / "log").read_text())
    locked = is_locked(folder)
    os.kill(pid, signal.SIGUSR1)
    eventually(lambda: (folder / "log").read_text().endswith("two\n"))
    return locked


def test_a_terminal_that_closes_does_not_end_it(folder: Path) -> None:
    ours, theirs = pty.openpty()
    with start(folder, "setsid", "--ctty", stdin=theirs, stdout=theirs, stderr=theirs) as foreground:
        os.close(theirs)
        assert b"in the foreground" in os.read(ours, 1000)
        assert foreground.wait(WAIT_S) == 0
    os.close(ours)
    assert goes_on(folder)


def test_a_broken_standard_output_does_not_end_it(folder: Path) -> None:
    hear, tell = os.pipe()
    os.close(hear)
    with start(folder, stdout=tell, stderr=tell) as foreground:
        os.close(tell)
        assert foreground.wait(WAIT_S) == 0
    assert goes_on(folder)


def test_closed_standard_descriptors_do_not_cost_it_the_lock(folder: Path) -> None:
    with start(folder, "/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh") as foreground:
        assert foreground.wait(WAIT_S) == 0
    assert goes_on(folder)


def test_it_keeps_no_pipe_of_its_starter_open(folder: Path) -> None:
    hear, tell = os.pipe()
    with start(folder, pass_fds=(tell,)):
        os.close(tell)
        with os.fdopen(hear, "rb") as pipe:
            assert pipe.read() == b""
    assert goes_on(folder)


def test_a_log_that_can_not_be_opened_is_told_to_the_caller(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    with start(tmp_path, stderr=subprocess.PIPE) as foreground:
        assert foreground.stderr is not None
        assert b"NotPlainError: a folder" in foreground.stderr.read()
    assert foreground.returncode == 1
    assert not (tmp_path / "pid").exists()
