"""A person who reads what Relay prints, and types the commands in a shell that has only a home and a path."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from conftest import ROOT
from driver import Relay
from eventually import WAIT_S, eventually

from lib.project.lock import holder
from lib.project.paths import find_project
from lib.spelling import OF_INSTANCE, for_instance

BIN = Path(sys.executable).parent
#: Named where no EDITOR is set; it says which file it was given, as no person is there to use a real one.
EDITOR = '#!/bin/sh\ntest -f "$1" && echo "editing $1"\n'
ASSISTANT = "#!/bin/sh\ncat >/dev/null\n"
#: In prose, a word after a command is its argument if it is a flag, quoted, the name of a builder here, or a run's id.
_COMMAND = (
    r"""(?<![\w./-])%s [a-z]+"""
    r"""(?: (?:-{1,2}[a-z-]+(?: second)?|"[^"\n]*"|'[^'\n]*'|(?:one|two|three|merged|\d{8}-\S+)(?![\w-])))*"""
)


@dataclass(frozen=True)
class Printed:
    """A command, and what the page says that it does; nothing for one that a text names.

    One of the `past` was right when it was printed, and may be refused since.
    """

    text: str
    label: str = ""
    past: bool = False


@dataclass(frozen=True)
class Done:
    code: int
    said: str


class Reader:
    """One who reads in `folder`, with `relay` on the path or without; `run` is the instance that is read of."""

    def __init__(self, run: Relay, folder: Path, *, on_path: bool) -> None:
        self.run = run
        self.folder = folder
        self._program = "relay" if on_path else shlex.quote(str(BIN / "relay"))
        programs = run.root.parent / "programs"
        programs.mkdir(exist_ok=True)
        for name, script in (("sensible-editor", EDITOR), ("ci", ASSISTANT)):
            (programs / name).write_text(script)
            (programs / name).chmod(0o755)
        path = [str(programs), *([str(BIN)] if on_path else []), "/usr/local/bin", "/usr/bin", "/bin"]
        self.env = {"HOME": os.environ["HOME"], "PATH": os.pathsep.join(path)}
        self._flags = [] if run.instance == "default" else ["--instance", run.instance]

    def types(self, command: str) -> Done:
        """Types the command; one that stays, as `--watch` does, is left as soon as it has shown something."""
        process = subprocess.Popen(
            ["sh", "-c", command if "--watch" not in command else f"exec {command}"], cwd=self.folder, env=self.env,
            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        first = ""
        if "--watch" in command and process.stdout is not None:
            first = process.stdout.readline()
            process.send_signal(2)
        said, _ = process.communicate(timeout=WAIT_S)
        return Done(process.returncode, first + said)

    def relay(self, *args: str) -> Done:
        """`relay ARGS`, for the instance where the command takes one."""
        flags = self._flags if args[0] in OF_INSTANCE else []
        return self.types(" ".join([self._program, *map(shlex.quote, [args[0], *flags, *args[1:]])]))

    def page(self) -> str:
        """The status page; of a checkout that is not installed, it is `status.py`."""
        if self._program == "relay":
            return self.relay("status").said
        return self.types(shlex.join([sys.executable, str(ROOT / "status.py"), *self._flags])).said

    def printed(self) -> list[Printed]:
        """The commands of the status page, with their labels, and of the log and the history."""
        page = self.page()
        found = [*_listed(page), *self._named(" ".join(page.split()))]
        past = [each for verb in ("logs", "show") for each in self._named(self.relay(verb).said)]
        return found + [replace(each, past=True) for each in past]

    def remedies(self, *args: str) -> list[Printed]:
        """The commands that Relay says to try, where `relay ARGS` is refused."""
        said = self.relay(*args).said
        lines = [line.removeprefix("  try: ") for line in said.splitlines() if line.startswith("  try: ")]
        assert lines, f"relay {args} was not refused: {said}"
        return [Printed(part) for part in lines[0].split(", or: ")]

    def _named(self, text: str) -> list[Printed]:
        """The commands of Relay in prose, each with the arguments that differ from the words after it."""
        found = [Printed(match[0]) for match in re.finditer(_COMMAND % re.escape(self._program), text)]
        for match in re.finditer(r"to fix it: ([^\n]*?)(?:  #\d+)?$", text, re.MULTILINE):
            found += [Printed(part) for part in match[1].split(", or: ")]
        return found

    def of_state(self) -> list[Printed]:
        """The commands that state.json names, which count from the root; those of Relay itself are on the page, too."""
        if not self.run.state_file.exists():
            return []
        state = self.run.state()
        answers = (Printed(each["command"], each["does"]) for each in state["answers"])
        found = [*self._named(state["message"]), *answers]
        wrong = [each.text for each in found if for_instance(each.text, self.run.instance) != each.text]
        assert not wrong, f"of another instance: {wrong}"
        return [each for each in found if not each.text.startswith("relay ")]


def _listed(page: str) -> list[Printed]:
    """The commands of a page that have a line of their own, with their labels."""
    rows = (re.fullmatch(r"   (\S.*?)  +([a-z].*)", line) for line in page.splitlines())
    return [Printed(row[1], row[2]) for row in rows if row and re.match(r"(\S*relay|git|cd|rm|mv|\S*editor) ", row[1])]


class Snapshot:
    """A project as it was, to be put back at the same place as often as it is needed; its orchestrator is stopped."""

    def __init__(self, run: Relay) -> None:
        self._run = run
        self._kept = run.root.parent / "kept"
        run.process("stop", "--builders")
        run.swept()
        shutil.rmtree(self._kept, ignore_errors=True)
        subprocess.run(["cp", "-a", run.root, self._kept], check=True)

    def put_back(self) -> None:
        self._run.end()
        eventually(lambda: holder(find_project(self._run.root, self._run.instance)) is None)
        self._run.swept()
        shutil.rmtree(self._run.root)
        subprocess.run(["cp", "-a", self._kept, self._run.root], check=True)
