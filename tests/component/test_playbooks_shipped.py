"""Each shipped playbook, played in the order of its design: the code that it leaves passes its own tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lib.assistants.scripted import assistant
from lib.contracts import Exit, Turn
from lib.design.document import order, parse_design
from lib.jobs import JobResult
from lib.model import Design
from lib.playbook.book import shipped_names

SAMPLES = {"calculator": ("python3 -B -m calculator '2 * (3 - 0.5)'", "5\n"),
           "user_api": ("python3 -B -c 'import user_api.routes; print(7)'", "7\n")}  # fmt: skip


def turn(folder: Path, playbook: str, role: str, builder: str = "") -> JobResult:
    launch = assistant.launch(
        Turn(role=role, prompt="p", worktree=str(folder), scratch="/s", builder=builder, variant=playbook)
    )
    done = subprocess.run(launch.argv, cwd=folder, env={**os.environ, **launch.env}, input=launch.stdin,
                          capture_output=True, text=True, check=False)  # fmt: skip
    events = [event for line in done.stdout.splitlines() for event in assistant.read(line)]
    return assistant.verdict(Exit(done.returncode), events, done.stderr)


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/bin/sh", "-c", line], cwd=folder, capture_output=True, text=True, check=False)


def design_of(folder: Path, playbook: str) -> Design:
    return parse_design(str(turn(folder, playbook, "architect").text))


@pytest.mark.parametrize("name", shipped_names())
def test_playing_it_leaves_code_that_passes_its_own_tests(name: str, tmp_path: Path) -> None:
    design = design_of(tmp_path, name)
    parts = {part.id: part for part in design.components}
    for builder in order(design.components):
        result = turn(tmp_path, name, "builder", builder)
        assert result.ok, result.message
        assert result.text.splitlines()[-1]
        verified = shell(str(parts[builder].verify), tmp_path)
        assert verified.returncode == 0, verified.stderr
    whole = shell("python3 -B -W error -m unittest discover -s tests", tmp_path)
    assert whole.returncode == 0, whole.stderr
    command, answer = SAMPLES[name]
    assert shell(command, tmp_path).stdout == answer
    written = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert written == {path for part in design.components for path in part.files}


@pytest.mark.parametrize("name", shipped_names())
def test_a_component_is_not_verified_by_an_empty_worktree(name: str, tmp_path: Path) -> None:
    for part in design_of(tmp_path, name).components:
        assert shell(str(part.verify), tmp_path).returncode != 0
