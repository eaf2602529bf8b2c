"""Commands that are printed can be typed where they are read."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from conftest import ROOT
from texts import literals

from lib.config.origins import editing as opening
from lib.spelling import OF_INSTANCE, for_instance, spelled
from orchestrator.cli.app import app

#: A command in a text, up to where the text goes on.
PRINTED = re.compile(r"(?<![\w./-])relay ([a-z]+)((?: -{1,2}[a-z-]+)*)")
#: Words that follow "relay" in sentences that name no command.
PROSE = frozenset({"from", "to", "itself", "builder"})


COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
FOUND = sorted({(place, found[1], found[2]) for place, text in literals() for found in PRINTED.finditer(text)})


def test_there_are_commands_to_look_at() -> None:
    assert len(FOUND) > 50


@pytest.mark.parametrize(("place", "verb", "flags"), FOUND)
def test_each_printed_command_exists_with_its_flags(place: str, verb: str, flags: str) -> None:
    if verb in PROSE:
        return
    assert verb in COMMANDS, place
    known = {name for option in COMMANDS[verb].params for name in option.opts}
    if verb != "status":  # it reads its arguments itself
        assert {flag for flag in flags.split() if flag != "--help"} <= known, place


def test_the_commands_that_take_an_instance_are_known() -> None:
    taking = {name for name, command in COMMANDS.items() if any("--instance" in one.opts for one in command.params)}
    assert taking | {"status"} == OF_INSTANCE


@pytest.mark.parametrize(
    ("command", "typed"),
    [
        ("relay approve", "relay approve --instance second"),
        ('relay retry "a hint"', 'relay retry --instance second "a hint"'),
        ("relay show 2026", "relay show 2026"),
        ("relay status --instance web", "relay status --instance web"),
        ("git status", "git status"),
    ],
)
def test_a_command_is_for_the_instance_that_it_is_about(command: str, typed: str) -> None:
    assert for_instance(command, "second") == typed
    assert for_instance(command, "default") == command


def test_texts_are_spelled_with_the_program_and_the_editor_that_are_there() -> None:
    text = "cd x && relay stop; relay resume, or: $EDITOR .project/relay/state.json # relay/r1/merged"
    assert spelled(text, "relay", "$EDITOR") == text
    assert spelled(text, "/opt/relay", "nano") == (
        "cd x && /opt/relay stop; /opt/relay resume, or: nano .project/relay/state.json # relay/r1/merged"
    )


def test_without_relay_on_the_path_the_printed_command_can_be_typed_all_the_same(repo: Path) -> None:
    folder = repo / "src"
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if not Path(part, "relay").exists())
    env = {**os.environ, "PATH": path}
    env.pop("EDITOR")
    shown = subprocess.run(
        [sys.executable, ROOT / "status.py"], cwd=folder, env=env, capture_output=True, text=True, check=True
    ).stdout
    (line,) = (line.strip() for line in shown.splitlines() if "start" in line)
    program, verb, *_ = shlex.split(line)
    assert Path(program).is_absolute()
    assert verb == "start"
    done = subprocess.run([program, "runs"], cwd=folder, env=env, capture_output=True, text=True, check=True)
    assert f'{program} start "what you want built"' in done.stdout


def test_without_an_editor_set_one_is_named_that_is_there() -> None:
    program, file = shlex.split(opening(Path("/a b/config.yaml"), {}))
    assert file == "/a b/config.yaml"
    assert program != "$EDITOR"
