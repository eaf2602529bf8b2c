"""A configured command and a program called `ci`, as real processes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lib.assistants.ci import assistant as ci
from lib.assistants.command import assistant as command
from lib.contracts import Assistant, Exit, Turn
from lib.jobs import JobResult

PROMPT = "Build it; $(touch pasted) `touch pasted` 'quoted' {{ x }}"


def play(adapter: Assistant, folder: Path, line: str = "", **env: str) -> JobResult:
    """One turn in `folder`, the prompt also in a file of its scratch folder."""
    prompt_file = folder / "prompt"
    prompt_file.write_text(PROMPT)
    settings = {"command": line} if line else {}
    turn = Turn(role="builder", prompt=PROMPT, worktree=str(folder), scratch=str(folder),
                prompt_file=str(prompt_file), settings=settings)  # fmt: skip
    launch = adapter.launch(turn)
    done = subprocess.run(launch.argv, cwd=folder, env={**os.environ, **launch.env, **env}, input=launch.stdin,
                          capture_output=True, text=True, check=False)  # fmt: skip
    events = [event for text in done.stdout.splitlines() for event in adapter.read(text)]
    return adapter.verdict(Exit(done.returncode), events, done.stderr)


def test_a_command_gets_the_prompt_as_data_by_file_and_by_standard_input(tmp_path: Path) -> None:
    for line in ("cat", 'cat "$RELAY_PROMPT_FILE"', 'printf "%s" "$(cat)"'):
        result = play(command, tmp_path, line)
        assert result.ok
        assert result.text == PROMPT
    assert not (tmp_path / "pasted").exists()


def test_a_command_that_is_not_installed_is_told_apart(tmp_path: Path) -> None:
    assert play(command, tmp_path, "no-such-program-here").code == "not_available"
    assert play(command, tmp_path, "echo partly; exit 5").code == "exit_nonzero"


def test_any_program_called_ci_is_an_assistant(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ci").write_text('#!/bin/sh\necho "as $RELAY_ROLE:"\ncat\n')
    (folder / "ci").chmod(0o755)
    result = play(ci, tmp_path, PATH=f"{folder}:{os.environ['PATH']}", RELAY_ROLE="builder")
    assert result.text == f"as builder:\n{PROMPT}"
