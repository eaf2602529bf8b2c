"""Drives Relay as a person would: the real command line, in a real repository, with real processes."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, Any

import yaml
from conftest import FORKED, MARK, ROOT, run_git
from eventually import WAIT_S, eventually
from forking import Origin

from lib.errors import EXIT_REFUSED
from lib.files.rubbish import sweep
from lib.project.paths import find_project
from lib.store.rundb import RunDB

#: Pauses that a test has no reason to wait for.
QUICK = {"RELAY_RETRY_DELAY_S": "0.05", "RELAY_STOP_GRACE_S": "0.5"}
COMMAND = [sys.executable, "-c", "from orchestrator.cli import main; main()"]


def environ(more: dict[str, str] | None) -> dict[str, str]:
    """The environment of a command that runs this checkout's code, whatever its folder."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **(more or {})}


def process_state(pid: int) -> str:
    """The letter of proc_pid_stat(5): R, S, T for a stopped one …; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def running(pid: int) -> bool:
    """True if the process still does anything; a zombie does not."""
    return process_state(pid) not in {"", "Z"}


@cache
def origin() -> Origin:
    """The process from which this one forks commands."""
    made = Origin(environ({MARK: FORKED}))
    atexit.register(made.end)
    return made


class Relay:
    """One project. Every command runs as a process of its own, from the checkout's code."""

    def __init__(self, root: Path, instance: str = "default", own: str = ".project") -> None:
        self.root = root
        self.instance = instance
        self.dot = root / own

    @property
    def home(self) -> Path:
        return self.dot if self.instance == "default" else self.dot / "instances" / self.instance

    @property
    def state_file(self) -> Path:
        return self.home / "state.json"

    def __call__(self, *args: str, code: int | None = 0, env: dict[str, str] | None = None) -> str:
        """The standard output of `relay ARGS`; its exit code must be `code`, unless None."""
        done = self.process(*args, env=env)
        assert code is None or done.returncode == code, f"relay {args}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if done.returncode == 0 else done.stdout + done.stderr

    def refused(self, *args: str, code: int = EXIT_REFUSED, env: dict[str, str] | None = None) -> str:
        """The output, in one line, of a command that must be refused: an error without a traceback."""
        said = self(*args, code=code, env=env)
        assert "Traceback" not in said
        return " ".join(said.split())

    def process(
        self, *args: str, env: dict[str, str] | None = None, stdout: int | IO[str] = subprocess.PIPE
    ) -> subprocess.CompletedProcess[str]:
        command, given = self._command(args), environ(self._granted() | (env or {}))
        if (source := origin()).fits(given):
            return source.run(command[len(COMMAND) :], self.root, given, stdout, WAIT_S)
        return subprocess.run(
            command, cwd=self.root, env=given, text=True, stdout=stdout, stderr=subprocess.PIPE, timeout=WAIT_S,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def popen(self, *args: str) -> subprocess.Popen[bytes]:
        """A command that runs beside others; nobody reads what it says."""
        return subprocess.Popen(
            self._command(args), cwd=self.root, env=environ(self._granted()), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def _granted(self) -> dict[str, str]:
        """Jobs may write the test's own folder, outside of the project: there they tell tests what they did."""
        config = self.dot / "config.yaml"
        if config.is_file() and "sandbox_write" in config.read_text():
            return {}
        return {"RELAY_SANDBOX_WRITE": json.dumps([str(self.root.parent)])}

    def _command(self, args: tuple[str, ...]) -> list[str]:
        return [*COMMAND, *args, *(["--instance", self.instance] if self.instance != "default" else [])]

    def begin(self, assistant: str, requirement: str = "parts", *flags: str, env: dict[str, str] | None = None) -> str:
        """The id of the run that was started."""
        self("start", "--assistant", assistant, *flags, requirement, env=QUICK | (env or {}))
        return str(self.state()["run"])

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.state_file.read_text())
        return state

    def wait(self, check: Callable[[dict[str, Any]], Any], timeout_s: float = WAIT_S) -> dict[str, Any]:
        """state.json once `check` holds for it."""

        def found() -> dict[str, Any] | None:
            try:
                state = self.state()
            except (FileNotFoundError, ValueError):
                return None
            return state if check(state) else None

        try:
            return eventually(found, timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.told()}") from error

    def told(self) -> str:
        """The ends of the state file and the logs, for a person to look at when something is wrong."""
        logs = (self.home / "logs" / name for name in ("workflow.log", "orchestrator.log"))
        return "\n".join(file.read_text()[-4000:] for file in (self.state_file, *logs) if file.exists())

    def asked(self, action: str, timeout_s: float = WAIT_S, *, times: int = 1) -> dict[str, Any]:
        """state.json once ci was asked so many `times`; the last time must be for `action`."""
        state = self.wait(
            lambda s: (s["action_owner"] == "ci" and len(self.events("asked")) >= times) or s["outcome"], timeout_s
        )
        assert state["action_needed"] == action, self.told()
        return state

    def over(self, outcome: str = "landed", timeout_s: float = WAIT_S) -> dict[str, Any]:
        """state.json once the run is over and its orchestrator has gone."""
        state = self.wait(lambda s: s["action_owner"] == "ci" or s["outcome"], timeout_s)
        assert state["outcome"] == outcome, self.told()
        eventually(lambda: self.pid() is None, timeout_s)
        return state

    def pid(self) -> int | None:
        """The pid of the orchestrator that drives this instance, if it is alive."""
        try:
            pid = int((self.home / "orchestrator.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if running(pid) else None

    def kill(self) -> None:
        """`kill -9` of the orchestrator."""
        if (pid := self.pid()) is not None:
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: self.pid() is None)

    def end(self) -> None:
        """Leaves nothing running."""
        if self.pid() is not None or not self.is_over():
            self.process("stop", "--builders")

    def swept(self) -> None:
        """Waits for quiet cleaning, which outlives its orchestrator: nothing vanishes while the project is copied."""
        sweep(self.dot / "worktrees", patient=True)

    def is_over(self) -> bool:
        """True if nothing was started here, or what was has come to its end."""
        try:
            return self.state()["outcome"] is not None
        except (OSError, ValueError):
            return not self.root.joinpath(".git", "relay").exists()

    def edit(self, **fields: Any) -> None:
        """An edit in place, as a careless script would make it: truncated, then written."""
        state = self.state() | fields
        with self.state_file.open("w") as stream:
            stream.write(json.dumps(state, indent=2))

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        """The events of the newest run in the run database, oldest first: of one kind, or all."""
        project = find_project(self.root, self.instance)
        db = RunDB.open_readonly(project.database)
        run = db.latest_run(project.instance_dir.name) if db else None
        rows = db.events(run) if db and run else []
        return [json.loads(row.data) for row in rows if kind in {"", row.kind}]

    def head(self, branch: str = "main") -> str:
        return run_git(self.root, "rev-parse", branch)


def playbook(folder: Path, builders: dict[str, Any], *, depends: dict[str, list[str]] | None = None,
             verify: str | None = None, architect: Any = None, **roles: Any) -> str:  # fmt: skip
    """An `--assistant` for a playbook in which each builder takes the given steps, and `reviewer` or `resolver` too."""
    components = [
        {"id": name, "title": f"Part {name}", "depends_on": (depends or {}).get(name, []), "verify": verify}
        for name in builders
    ]
    book = {
        "name": "test",
        "description": "a test's own",
        "requirement": "parts",
        "match": ["parts"],
        "architect": architect or {"say": "Parts.", "design": {"summary": "parts", "components": components}},
        "builders": builders,
        **roles,
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump(book, sort_keys=False))
    return f"scripted:{file}"
