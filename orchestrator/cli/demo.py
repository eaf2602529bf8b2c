"""The main job, rehearsed: a scratch repository, the calculator's playbook, and the landed code's own tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import typer

from lib.config.model import Config, Gate, Gates
from lib.errors import EXIT_OK, RelayError
from lib.names import quote
from lib.project.paths import find_project
from lib.spelling import called
from orchestrator.cli.starting import begin
from orchestrator.status.screen import paint

REQUIREMENT = "Build a calculator with add, subtract, multiply and divide, and a command-line front"
PLAYBOOK = "scripted:calculator"
TEST = ("-B", "-m", "unittest", "discover", "-s", "tests")


def run_demo(folder: Path | None, *, gate: bool) -> int:
    """Runs the demonstration; the exit code. Raises `RelayError` (`folder_not_empty`)."""
    root = _scratch_repository(folder)
    _say(f"A scratch repository: {root}")
    project = find_project(root)
    config = Config(assistant=PLAYBOOK, gates=Gates(design=Gate.PERSON if gate else Gate.NONE))
    _say(f'relay start "{REQUIREMENT}" --assistant {PLAYBOOK} --yes --wait')
    code = begin(project, REQUIREMENT, config, wait=True, foreground=False, as_json=False)
    if code != EXIT_OK:
        return code
    _say(f"python {' '.join(TEST)}    (the landed calculator's own tests)")
    tests = _run(root, sys.executable, *TEST)
    _say("python -m calculator 6 x 7")
    _run(root, sys.executable, "-B", "-m", "calculator", "6", "x", "7")
    _say("git log --graph")
    _run(root, "git", "--no-pager", "log", "--graph", "--oneline", "--no-decorate", "-n", "24")
    _what_next(root)
    return tests


def _scratch_repository(folder: Path | None) -> Path:
    root = (folder or Path(tempfile.mkdtemp(prefix="relay-demo-"))).resolve()
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()):
        raise RelayError(f"{root} is not empty", remedy="relay demo --dir a-new-folder", code="folder_not_empty")
    (root / "README.md").write_text("# A scratch repository of `relay demo`\n")
    _git(root, "init", "-q", "-b", "main")
    _git(root, "add", "README.md")
    _git(root, "-c", "user.name=You", "-c", "user.email=you@example.org", "-c", "commit.gpgsign=false",
         "commit", "-qm", "An empty project")  # fmt: skip
    return root


def _git(root: Path, *args: str) -> None:
    done = _clean(root, "git", *args, quiet=True)
    if done.returncode:
        message = f"git {args[0]} failed: {done.stderr.strip()}"
        raise RelayError(message, remedy="relay doctor", code="git_failed")


def _run(root: Path, *argv: str) -> int:
    sys.stdout.flush()
    return _clean(root, *argv, quiet=False).returncode


def _clean(root: Path, *argv: str, quiet: bool) -> subprocess.CompletedProcess[str]:
    """Runs a program in `root`, out of reach of the git variables of whoever called us."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return subprocess.run(list(argv), cwd=root, env=env, text=True, check=False, capture_output=quiet)


def _say(line: str) -> None:
    typer.echo(f"\n{paint('▸', 'cyan')} {paint(line, 'bold')}")


def _what_next(root: Path) -> None:
    relay = called()
    _say("What to try next")
    typer.echo(f"  cd {quote(root)}")
    typer.echo(f"  {relay} status      how far the run is")
    typer.echo(f"  {relay} show        what happened, event by event")
    typer.echo(f"  {relay} doctor      which assistants are installed here")
    typer.echo("And the same again with the gate, for you to approve or reject the design:")
    typer.echo(f'  {relay} start "a REST API for users" --assistant scripted:user_api\n')
