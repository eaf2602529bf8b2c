"""Repositories to measure in, with a home of their own, driven as a person drives Relay: by its commands and files."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

CHECKOUT = Path(__file__).resolve().parent.parent
RELAY = (
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); from orchestrator.cli import main; main()",
)
START = (sys.executable, str(CHECKOUT / "start_workflow.py"))
STATUS = (sys.executable, str(CHECKOUT / "status.py"))
BARE_PYTHON = (sys.executable, "-c", "pass")

TIMEOUT_S = 120.0
POLL_S = 0.0005
GITCONFIG = "[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n"
#: What would make the measured processes slower, or lead them to somebody else's files.
FOREIGN = ("GIT_", "RELAY_", "XDG_", "PYTHON")


def become_ordinary_user(home: Path) -> None:
    """Gives this process, and all that it starts, the environment of a user whose home is that new folder."""
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            del os.environ[name]
    os.environ.update({"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"})
    home.mkdir()
    (home / ".gitconfig").write_text(GITCONFIG)


def eventually(check: Callable[[], T], poll_s: float = POLL_S) -> T:
    """The first truthy value of `check`. Raises `TimeoutError`."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (value := check()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing came of it within {TIMEOUT_S:.0f} s")
        time.sleep(poll_s)
    return value


class Scratch:
    """A repository with some files, and Relay's settings for builders that are one shell line."""

    def __init__(
        self,
        root: Path,
        *,
        parts: int = 1,
        builder: str = "sleep 0.2",
        files: int = 20,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.root = root
        root.mkdir(parents=True)
        for number in range(files):
            file = root / f"part{number // 100:03d}" / f"file{number:05d}.txt"
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"{number}\n" * 50)
        self.run("git", "init", "-q")
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", "a start")
        self._configure(parts, f'{builder}; echo "$RELAY_BUILDER" > "$RELAY_BUILDER.txt"', settings or {})

    def _configure(self, parts: int, builder: str, settings: Mapping[str, str]) -> None:
        design = self.root.parent / f"{self.root.name}.json"
        names = [f"b{number:02d}" for number in range(1, parts + 1)]
        design.write_text(json.dumps({"summary": "parts", "components": [{"id": name} for name in names]}))
        lines = {"architect": f"cat {shlex.quote(str(design))}", "builder": builder}
        dot = self.root / ".project"
        dot.mkdir()
        # Jobs are contained where that works, as users' are; the design and what builders note lie beside the project.
        config = {"assistant": "command", "assistants": {"command": lines}, "sandbox_write": [str(self.root.parent)]}
        (dot / "config.yaml").write_text(json.dumps({**config, **settings}))  # JSON is YAML
        self.run(*RELAY, "trust")

    def run(self, *command: str) -> str:
        """Its standard output. Raises `RuntimeError` with what it said if it fails."""
        done = subprocess.run(
            command, cwd=self.root, text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{shlex.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def seconds(self, *command: str) -> float:
        """Seconds that the command takes from its start to its end. Raises `RuntimeError` if it fails."""
        begun = time.perf_counter()
        self.run(*command)
        return time.perf_counter() - begun

    # --- the run -----------------------------------------------------------------------------------------------------

    @property
    def state_file(self) -> Path:
        return self.root / ".project" / "state.json"

    def state(self) -> dict[str, Any]:
        """state.json; empty while there is none."""
        try:
            return dict(json.loads(self.state_file.read_text()))
        except FileNotFoundError:
            return {}

    def wait(self, check: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        def found() -> dict[str, Any]:
            state = self.state()
            return state if state and check(state) else {}

        return eventually(found, 0.005)

    def wait_asked(self, action: str) -> dict[str, Any]:
        """state.json once a person is asked for something. Raises `RuntimeError` if that is not `action`."""
        state = self.wait(lambda state: state["action_owner"] == "ci")
        if state["action_needed"] != action:
            raise RuntimeError(f"asked for {state['action_needed']}: {state['message']}")
        return state

    def orchestrator(self) -> int:
        return int((self.root / ".project" / "orchestrator.pid").read_text())

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        uri = f"{(self.root / '.git' / 'relay' / 'relay.db').as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            yield connection

    def end(self) -> None:
        """Leaves nothing running."""
        state = self.state()
        if state and state["outcome"] is None:
            self.run(*RELAY, "stop", "--builders")


@contextmanager
def scratch(
    root: Path,
    *,
    parts: int = 1,
    builder: str = "sleep 0.2",
    files: int = 20,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Scratch]:
    """A repository whose orchestrator and builders are ended, whatever happens; `settings` are those of Relay."""
    made = Scratch(root, parts=parts, builder=builder, files=files, settings=settings)
    try:
        yield made
    finally:
        made.end()


def in_turns(runs: int, measured: Callable[[], float], floor: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Both so often, one after the other, so that a noisy machine is noisy for both; the first of each is a warm-up."""
    pairs = [(measured(), floor()) for _ in range(runs + 1)][1:]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
