"""The program behind the scripted assistant: carries out the steps that follow the prompt on its standard input.

Run as a file, by an isolated Python without site packages, so that it starts in a few milliseconds and imports nothing
from the folder it works in. The steps were checked by `lib.playbook`; they are JSON after the last record separator.
"""
# pathlib would take as long to import as all the rest:
# ruff: noqa: PTH103, PTH107, PTH120, PTH123

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

SEPARATOR = b"\x1e"
FLOOD_LINE = "x" * 1023 + "\n"


def main() -> int:
    """Plays each step in the current directory; the exit status is that of the first one that fails."""
    steps = json.loads(sys.stdin.buffer.read().rpartition(SEPARATOR)[2])
    for action, value in steps:
        if status := _ACTIONS[action](value):
            return status
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _write(files: Mapping[str, str], mode: str = "w") -> None:
    for path, content in files.items():
        _say(f"::write {path}")
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, mode, encoding="utf-8", newline="") as stream:
            stream.write(content)


def _append(files: Mapping[str, str]) -> None:
    _write(files, "a")


def _delete(paths: list[str]) -> None:
    for path in paths:
        os.remove(path)


def _run(line: str) -> int:
    import subprocess

    _say(f"::run {line}")
    return subprocess.run(["/bin/sh", "-c", line], check=False).returncode


def _commit(message: str) -> int:
    import subprocess

    author = ["-c", "user.name=scripted", "-c", "user.email=scripted@localhost"]
    commands = (["git", "add", "-A"], ["git", *author, "commit", "-q", "--no-gpg-sign", "-m", message])
    return next((status for command in commands if (status := subprocess.run(command, check=False).returncode)), 0)


def _usage(usage: Mapping[str, float]) -> None:
    _say(f"::usage {json.dumps(usage)}")


def _exit(status: int) -> NoReturn:
    sys.exit(status)


def _fail(message: str) -> None:
    sys.stderr.write(f"{message}\n")


def _hang(_on: bool) -> NoReturn:
    while True:
        time.sleep(3600)


def _ignore_term(_on: bool) -> None:
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _fork_away(seconds: float) -> None:
    """Leaves a process behind that has a session of its own and no parent here, and holds standard output open."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork() == 0:
        time.sleep(seconds)
    os._exit(0)


def _flood(megabytes: float) -> None:
    for _ in range(int(megabytes * 1024)):
        sys.stdout.write(FLOOD_LINE)
    sys.stdout.flush()


def _edit_outside(path: str) -> None:
    with open(path, "a", encoding="utf-8") as stream:
        stream.write("written by a builder outside of its worktree\n")


_ACTIONS: Mapping[str, Callable[[Any], int | None]] = {
    "say": _say,
    "write": _write,
    "append": _append,
    "delete": _delete,
    "run": _run,
    "sleep": time.sleep,
    "commit": _commit,
    "usage": _usage,
    "exit": _exit,
    "fail": _fail,
    "hang": _hang,
    "ignore_term": _ignore_term,
    "fork_away": _fork_away,
    "flood": _flood,
    "edit_outside": _edit_outside,
}

if __name__ == "__main__":
    sys.exit(main())
