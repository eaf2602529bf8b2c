"""Faults at single system calls of a real process, by strace(1)."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_CALL = re.compile(r"^(\w+)\(")


def python(script: str, *arguments: str | Path) -> list[str]:
    """The command that runs a script which finds Relay's packages."""
    lines = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{script}"
    return [sys.executable, "-c", lines, *map(str, arguments)]


@dataclass(frozen=True)
class Call:
    """A system call of a process: `number` counts those of its name from the start, `text` is strace's line."""

    name: str
    number: int
    text: str

    def fault(self, what: str) -> str:
        return f"{self.name}:{what}:when={self.number}"


@contextmanager
def traced(command: Sequence[str], *faults: str) -> Iterator[subprocess.Popen[str]]:
    """The command at work, with faults such as `fsync:error=EIO:when=1`; without any, it is not traced."""
    options = [option for fault in faults for option in ("-e", f"inject={fault}")]
    names = ",".join(fault.split(":")[0] for fault in faults)
    strace = ["strace", "-o", "/dev/null", "-e", f"trace={names}", *options, "--"] if faults else []
    pipe = subprocess.PIPE
    with subprocess.Popen([*strace, *command], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        yield process


def output(command: Sequence[str], *faults: str) -> str:
    """The output of the command with these faults; to be killed by one of them is no failure."""
    with traced(command, *faults) as process:
        said, errors = process.communicate()
    assert process.returncode in {0, -signal.SIGKILL}, errors
    return said


def calls_between(command: Sequence[str], log: Path, start: str, end: str) -> list[Call]:
    """The system calls after the one whose line contains `start` and before that with `end`."""
    for prefix in ((), ("strace", "-o", log, "--")):  # first without, so that compiled modules are there
        subprocess.run([*prefix, *command], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    counts: Counter[str] = Counter()
    found: list[Call] | None = None
    for line in log.read_text(errors="replace").splitlines():
        call = _CALL.match(line)
        if call is None:
            continue
        counts[call[1]] += 1
        if found is None:
            found = [] if start in line else None
        elif end in line:
            return found
        else:
            found.append(Call(call[1], counts[call[1]], line))
    raise AssertionError(f"{start} and {end} were not seen")
