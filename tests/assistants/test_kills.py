"""`kill -9` of Relay and of a real program while that runs a tool: nothing of the tool stays, and the work goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from assistants import parts
from assistants.endpoint.mind import Run, Script, Step, Task, has_history
from assistants.endpoint.talk import Say
from assistants.office import RUN_S, Office
from assistants.pointing import PROGRAMS
from driver import running
from eventually import eventually

pytestmark = pytest.mark.timeout(RUN_S + 60)
#: Found by its argument, which nothing else has.
TOOL = f"sleep 86{os.getpid()}"

#: They keep what they were asked only once they are answered: of a first turn that is killed, nothing is resumed.
FORGETFUL = {"gemini"}


def interrupted(task: Task) -> Sequence[Step]:
    """Runs a tool that takes a day, unless it was here before."""
    if "This is attempt" in task.prompt:
        return parts.built(task)
    return Run(f"touch started.txt; {TOOL}"), Say("never said")


def commands() -> dict[int, list[str]]:
    """Command lines of all running processes on the machine, by process id."""
    found = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and running(int(entry.name)):
            with suppress(OSError):  # gone by now
                found[int(entry.name)] = Path(entry.path, "cmdline").read_bytes().decode(errors="replace").split("\0")
    return found


def tools() -> list[int]:
    """Processes of the tool, and shells that wait for it."""
    return [pid for pid, command in commands().items() if TOOL in " ".join(command)]


def program(name: str, worktree: str) -> list[int]:
    """Processes of an assistant program that works there, and not what contains it."""
    found = []
    for pid, command in commands().items():
        is_it = any(Path(word).name.partition(".")[0] == name for word in command[:2])
        with suppress(OSError):
            if is_it and str(Path(f"/proc/{pid}/cwd").readlink()) == worktree:
                found.append(pid)
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_kill_in_mid_tool(name: str, office: Callable[[Script], Office]) -> None:
    at = office(parts.script({"one": interrupted}))
    at.start_parts(name, {"one": None})
    worktree = at.relay.root / at.relay.wait(lambda state: state["builders"])["builders"][0]["worktree"]
    eventually((worktree / "started.txt").exists, RUN_S)
    assert tools()
    at.relay.kill()
    victims = program(name, str(worktree))
    assert victims
    for pid in victims:
        with suppress(ProcessLookupError):  # it went with the one before
            os.kill(pid, signal.SIGKILL)
    at.relay("resume", env=at.environment)
    at.landed()
    assert not tools()
    assert (at.relay.root / "one.txt").exists()
    first, *_, last = at.model.tasks("builder", "one")
    assert not has_history(first.talk.messages)
    assert has_history(last.talk.messages) or name in FORGETFUL
