"""Watching and following a run as it goes on: on a terminal, which is left as it was found, and in a pipe."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from eventually import WAIT_S, eventually
from situations import RUN, builder, state, store, waiting

from lib.events import Asked, Event, Finished, Noted
from lib.model import RunOutcome, Step
from lib.project.paths import Project, find_project
from lib.steps import BuilderStatus

WATCH = (sys.executable, str(ROOT / "status.py"), "--watch")
FOLLOWING = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path; "
    "from lib.project.paths import find_project; "
    f"from orchestrator.status.watch import follow; sys.exit(follow(find_project(Path.cwd()), {RUN!r}))"
)
FOLLOW = (sys.executable, "-c", FOLLOWING)
#: In the place of an orchestrator: it holds the lock until its standard input ends.
HOLD = (
    f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path; from lib.project.lock import *; "
    "from lib.project.paths import find_project; from lib.process import identify; project = find_project(Path.cwd()); "
    "lock = InstanceLock(project); lock.acquire(); write_pid(project, identify(os.getpid())); "
    "print('held', flush=True); sys.stdin.read()"
)
ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?25h\x1b[?1049l"
LANDED: dict[str, Any] = {"outcome": "landed", "phase": "storage", "message": "Landed on main at 1a2b3c4d5e"}


@pytest.fixture
def project(repo: Path) -> Project:
    found = find_project(repo)
    store(found, state(), [builder("a")], events=[Noted(message="it begins")])
    return found


@contextmanager
def process(project: Project, *argv: str, **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program in the project's folder that is killed at the end of the block."""
    env = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(argv, cwd=project.root, env=env, **streams) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.fixture
def orchestrator(project: Project) -> Iterator[subprocess.Popen[bytes]]:
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with process(project, sys.executable, "-c", HOLD, **streams) as running:
        assert running.stdout
        assert running.stdout.readline() == b"held\n"
        yield running


class Terminal:
    """The other side of a pseudo-terminal of 80 columns and 30 rows."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        termios.tcsetwinsize(self.slave, (30, 80))
        os.set_blocking(self.master, False)
        self.seen = b""
        self.modes = termios.tcgetattr(self.slave)

    def shows(self, *parts: str | bytes) -> Callable[[], bool]:
        def check() -> bool:
            try:
                self.seen += os.read(self.master, 65_536)
            except BlockingIOError:
                return False
            return all((part.encode() if isinstance(part, str) else part) in self.seen for part in parts)

        return check

    def was_left_as_found(self) -> bool:
        return self.seen.count(ENTER) == self.seen.count(LEAVE) == 1 and termios.tcgetattr(self.slave) == self.modes

    def close(self) -> None:
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    opened.close()


@contextmanager
def on(terminal: Terminal, project: Project, *argv: str) -> Iterator[subprocess.Popen[bytes]]:
    with process(project, *argv, stdin=terminal.slave, stdout=terminal.slave, stderr=terminal.slave) as running:
        eventually(terminal.shows(ENTER, "Building: 0 of 1 built"))
        yield running


def goes_on(project: Project, event: Event, part: Step | None = None, **fields: Any) -> None:
    store(project, state(**{"rev": 8, **fields}), [part or builder("a", BuilderStatus.LANDED)], events=[event])


LAND = Finished(outcome=RunOutcome.LANDED, message="Landed on main at 1a2b3c4d5e", phase="storage")


def ends(orchestrator: subprocess.Popen[bytes]) -> None:
    assert orchestrator.stdin
    orchestrator.stdin.close()


@pytest.mark.parametrize("argv", [WATCH, FOLLOW])
def test_a_terminal_is_redrawn_until_the_run_is_over_and_keeps_the_last_screen(
    project: Project, orchestrator: subprocess.Popen[bytes], terminal: Terminal, argv: tuple[str, ...]
) -> None:
    with on(terminal, project, *argv) as running:
        goes_on(project, Noted(message="built"), builder("a", BuilderStatus.BUILT))
        eventually(terminal.shows("Building: 1 of 1 built"))
        goes_on(project, LAND, **LANDED)
        ends(orchestrator)
        assert running.wait(WAIT_S) == 0
    eventually(terminal.shows(LEAVE))
    assert terminal.was_left_as_found()
    assert b"Landed on main" in terminal.seen.partition(LEAVE)[2]


@pytest.mark.usefixtures("orchestrator")
def test_a_key_leaves_the_watch(project: Project, terminal: Terminal) -> None:
    with on(terminal, project, *WATCH) as running:
        os.write(terminal.master, b"xq")
        assert running.wait(WAIT_S) == 0
    eventually(terminal.shows(LEAVE))
    assert terminal.was_left_as_found()


@pytest.mark.usefixtures("orchestrator")
@pytest.mark.parametrize(
    ("argv", "number", "code"),
    [(WATCH, signal.SIGINT, 0), (WATCH, signal.SIGTERM, 143), (FOLLOW, signal.SIGTERM, 143)],
)
def test_a_signal_leaves_the_terminal_as_it_was_found(
    project: Project, terminal: Terminal, argv: tuple[str, ...], number: int, code: int
) -> None:
    with on(terminal, project, *argv) as running:
        running.send_signal(number)
        assert running.wait(WAIT_S) == code
    eventually(terminal.shows(LEAVE))
    assert terminal.was_left_as_found()


def test_a_screen_that_goes_on_without_its_orchestrator_says_so(
    project: Project, orchestrator: subprocess.Popen[bytes], terminal: Terminal
) -> None:
    with on(terminal, project, *WATCH) as running:
        ends(orchestrator)
        eventually(terminal.shows("Stopped", "relay resume"))
        assert running.poll() is None


def test_in_a_pipe_each_event_is_a_line_once_and_the_last_screen_follows(
    project: Project, orchestrator: subprocess.Popen[bytes]
) -> None:
    with process(project, *FOLLOW, stdout=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stdout.readline().decode().endswith("  it begins\n")
        goes_on(project, Noted(message="halfway \x1b[2J"), builder("a", BuilderStatus.BUILT))
        assert running.stdout.readline().decode().endswith("  halfway \\x1b[2J\n")
        goes_on(project, LAND, **LANDED)
        ends(orchestrator)
        rest = running.stdout.read().decode()
        assert running.wait(WAIT_S) == 0
    assert orchestrator.poll() is not None  # it was waited for, so that the next run can start
    assert "finished, landed" in rest
    assert rest.count("halfway") == 0
    assert "✓ Landed on main at 1a2b3c4d5e" in rest
    assert "\x1b" not in rest


def test_a_question_to_ci_ends_the_wait_with_a_code_of_its_own(
    project: Project, orchestrator: subprocess.Popen[bytes]
) -> None:
    with process(project, *FOLLOW, stdout=subprocess.PIPE) as running:
        assert running.stdout
        running.stdout.readline()
        asked = waiting("resolve_conflict", "a conflicts", rev=8, next_action="merge_build")
        event = Asked(action="resolve_conflict", message="a conflicts", next_action="merge_build")
        store(project, asked, [builder("a", BuilderStatus.BUILT)], events=[event])
        assert "Waiting for you: resolve a conflict" in running.stdout.read().decode()
        assert running.wait(WAIT_S) == 3
    assert orchestrator.poll() is None


def test_a_cancelled_run_is_a_failure(project: Project, orchestrator: subprocess.Popen[bytes]) -> None:
    with process(project, *FOLLOW, stdout=subprocess.DEVNULL) as running:
        goes_on(project, Finished(outcome=RunOutcome.CANCELLED, message="no"), outcome="cancelled")
        ends(orchestrator)
        assert running.wait(WAIT_S) == 1


def test_an_orchestrator_that_dies_ends_the_wait_and_the_way_on_is_told(
    project: Project, orchestrator: subprocess.Popen[bytes]
) -> None:
    with process(project, *FOLLOW, stdout=subprocess.PIPE) as running:
        assert running.stdout
        running.stdout.readline()
        orchestrator.kill()
        assert "\n   relay resume " in running.stdout.read().decode()
        assert running.wait(WAIT_S) == 1


@pytest.mark.usefixtures("orchestrator")
def test_a_watch_for_machines_is_a_line_of_json_for_each_change(project: Project) -> None:
    with process(project, *WATCH, "--json", stdout=subprocess.PIPE) as running:
        assert running.stdout
        assert json.loads(running.stdout.readline())["built"] == 0
        goes_on(project, LAND, **LANDED)
        assert [json.loads(line)["outcome"] for line in running.stdout] == ["landed"]
        assert running.wait(WAIT_S) == 0


def test_a_run_that_is_over_is_not_watched(project: Project) -> None:
    goes_on(project, LAND, **LANDED)
    done = subprocess.run(WATCH, cwd=project.root, capture_output=True, check=True)
    assert b"Landed on main" in done.stdout
