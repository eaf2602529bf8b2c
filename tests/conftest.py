"""Fixtures for all tests: real git repositories, a home of their own, and guards against what a test must not do."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from eventually import WAIT_S
from hypothesis import settings

if TYPE_CHECKING:
    from driver import Relay

#: Fixtures that have a file of their own, and where they run.
pytest_plugins = ["apart", "power", "small_disk"]

#: The same examples each time, and none is too slow on a busy machine; to look further: --hypothesis-profile=default.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parent.parent
#: Set for each test, so inherited by every process that it starts, however deep.
MARK = "TEST_OF_RELAY"
#: Its value in commands, which are forked, so show the environment of the process that they were forked from.
FORKED = f"forked-{os.getpid()}"
#: How long a process that was just killed may take to be gone.
GRACE_S = float(os.environ.get("TEST_GRACE_S", WAIT_S))
GITCONFIG = "[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Keeps for `.ci/run` what was skipped, and why."""
    skipped = terminalreporter.stats.get("skipped", [])
    if cache := getattr(config, "cache", None):
        cache.set("cache/skipped", [f"{each.nodeid}: {each.longrepr[2]}" for each in skipped])


@pytest.fixture(autouse=True, scope="session")
def _foreign_environment_removed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps every fixture, of whatever scope, from the developer's home, settings, and the machine's git configuration.

    The home of the session takes the place of the developer's, which other programs may be using meanwhile.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in what a shell runs in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("GIT_", "RELAY_", "XDG_")):
                patch.delenv(name)
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("HOME", str(_new_home(tmp_path_factory)))
        yield


def _new_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text(GITCONFIG)
    return home


@pytest.fixture(autouse=True)
def _isolated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home of its own for the test; fails one that leaves a process, a variable or a file in another home behind."""
    mark = f"{os.getpid()}-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]}"
    session_home = Path.home()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(_new_home(tmp_path_factory)))
        patch.setenv(MARK, mark)
        patch.setenv("PATH", os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)]))  # has `relay`
        patch.setenv("EDITOR", "true")
        before = _surroundings(session_home)
        with _reading():
            yield
        left = _left_running(f"{MARK}={mark}".encode())
        after = _surroundings(session_home)
    assert not left, f"the test left processes behind: {left}"
    for what, value in before.items():
        assert after[what] == value, f"the test changed {what}"


@contextmanager
def _reading() -> Iterator[None]:
    """As in an orchestrator, `lib.git` keeps its reading processes open; none of a test is there in the next one."""
    from lib.git.reading import reading

    with reading():
        yield


def _surroundings(session_home: Path) -> dict[str, object]:
    """The things that a test must leave as they were."""
    return {
        "the environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "the working directory": Path.cwd(),
        "the home of the session": {file: file.lstat().st_mtime_ns for file in session_home.rglob("*")},
    }


def _left_running(mark: bytes) -> list[str]:
    """The command lines of processes that carry `mark` or were forked here; they are killed."""
    deadline = time.monotonic() + GRACE_S
    while pids := _at_work(mark):
        if time.monotonic() > deadline:
            return [_killed(pid) for pid in sorted(pids)]
        time.sleep(0.01)
    return []


def _at_work(mark: bytes) -> set[int]:
    """Processes started with `mark`, and those forked without exec, which show what their origin was started with."""
    if not Path("/proc/self").exists():
        return set()  # only Linux shows the environment of others
    ours = _started_with(os.getpid())
    children = {int(pid) for file in Path("/proc/self/task").glob("*/children") for pid in _read(file).split()}
    everyone = {int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()}
    started = {pid: _started_with(pid) for pid in everyone}
    forked = f"{MARK}={FORKED}".encode()
    return {
        pid
        for pid, env in started.items()
        if mark in env or (pid in children and env == ours) or (pid not in children and forked in env)
    }


def _started_with(pid: int) -> list[bytes]:
    return _read(Path(f"/proc/{pid}/environ")).split(b"\0")


def _read(file: Path) -> bytes:
    with suppress(OSError):  # the process, or the thread, may be gone by now, or be another user's
        return file.read_bytes()
    return b""


def _killed(pid: int) -> str:
    with suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        os.kill(pid, signal.SIGKILL)
        return f"{pid}: {command.strip()}"
    return f"{pid}: gone meanwhile"


def run_git(folder: Path, *args: str, check: bool = True) -> str:
    """The standard output of git in `folder`, stripped."""
    done = subprocess.run(["git", *args], cwd=folder, check=check, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def git() -> Callable[..., str]:
    return run_git


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with one commit on `main` that holds README.md and src/app.py."""
    folder = tmp_path / "project"
    folder.mkdir()
    run_git(folder, "init", "-q", "-b", "main")
    (folder / "README.md").write_text("# Project\n")
    (folder / "src").mkdir()
    (folder / "src" / "app.py").write_text("print('hello')\n")
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-qm", "start")
    return folder


@pytest.fixture
def relay(repo: Path) -> Iterator[Relay]:
    """The command line in `repo`; what it left running is stopped at the end, and its history is replayed."""
    from driver import Relay
    from replaying import stored_and_replayed

    driver = Relay(repo)
    yield driver
    driver.end()
    stored, replayed = stored_and_replayed(driver)
    assert stored == replayed
