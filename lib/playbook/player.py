"""The program behind the scripted assistant: carries out the steps that follow the prompt on its standard input.

Run as a file, by an isolated Python without site packages, so that it starts about as fast as Python itself and imports
nothing from the folder it works in. The steps were checked by `lib.playbook.reader`; each is an action and its values,
which are text, divided by ASCII's own separators.
"""
# pathlib, typing and json would take longer to import than all the rest:
# ruff: noqa: PTH103, PTH120, PTH123

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

#: Between the prompt and the steps, between two steps, and between the values of one.
GROUP, RECORD, UNIT = "\x1d", "\x1e", "\x1f"
FLOOD_LINE = "x" * 1023 + "\n"


def main() -> int:
    """Plays each step in the current directory; the exit status is that of the first one that fails."""
    plan = sys.stdin.buffer.read().decode().rpartition(GROUP)[2]
    for record in plan.split(RECORD) if plan else ():
        action, *values = record.split(UNIT)
        if status := _ACTIONS[action](*values):
            return status
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _write(path: str, content: str, mode: str = "w") -> None:
    _say(f"::write {path}")
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, mode, encoding="utf-8", newline="") as stream:
        stream.write(content)


def _append(path: str, content: str) -> None:
    _write(path, content, "a")


def _run(line: str) -> int:
    import signal
    import subprocess

    _say(f"::run {line}")
    asked_to_end = []

    def pass_on(number: int, _frame: object) -> None:
        asked_to_end.append(number)
        child.terminate()

    with subprocess.Popen(["/bin/sh", "-c", line]) as child:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, pass_on)  # a sandbox ends with its program: the command is to end before
        status = child.wait()
    return 128 + asked_to_end[0] if asked_to_end else status


def _commit(message: str) -> int:
    import subprocess

    author = ["-c", "user.name=scripted", "-c", "user.email=scripted@localhost"]
    commands = (["git", "add", "-A"], ["git", *author, "commit", "-q", "--no-gpg-sign", "-m", message])
    return next((status for command in commands if (status := subprocess.run(command, check=False).returncode)), 0)


def _usage(used: str) -> None:
    _say(f"::usage {used}")


def _sleep(seconds: str) -> None:
    time.sleep(float(seconds))


def _fail(status: str, message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return int(status)


def _exit(status: str) -> NoReturn:
    sys.exit(int(status))


def _hang() -> NoReturn:
    while True:
        time.sleep(3600)


def _ignore_term() -> None:
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _fork_away(seconds: str) -> None:
    """Leaves a process behind that has a session of its own and no parent here, and holds standard output open."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork() == 0:
        time.sleep(float(seconds))
    os._exit(0)


def _flood(megabytes: str) -> None:
    for _ in range(int(float(megabytes) * 1024)):
        sys.stdout.write(FLOOD_LINE)
    sys.stdout.flush()


def _edit_outside(path: str) -> None:
    with open(path, "a", encoding="utf-8") as stream:
        stream.write("written by a builder outside of its worktree\n")


_ACTIONS: Mapping[str, Callable[..., int | None]] = {
    "say": _say,
    "write": _write,
    "append": _append,
    "delete": os.remove,
    "run": _run,
    "sleep": _sleep,
    "commit": _commit,
    "usage": _usage,
    "fail": _fail,
    "exit": _exit,
    "hang": _hang,
    "ignore_term": _ignore_term,
    "fork_away": _fork_away,
    "flood": _flood,
    "edit_outside": _edit_outside,
}

if __name__ == "__main__":
    sys.exit(main())
