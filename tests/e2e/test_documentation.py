"""Examples of the documentation: what can be run is run, contained and not; what is configuration is loaded.

The first word after the fence says what a block is: `yaml` is configuration, `sh` commands to type. A path behind it
makes it that file of a project. A block without one is output.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
import typer
from conftest import ROOT
from driver import Relay, playbook

from lib.assistants import resolve
from lib.config.model import document_of, settings_of
from lib.model import State
from orchestrator.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Callable

FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HANDLERS = ".project/phases/"
#: Read by the unit tests of workflows.
WORKFLOWS = ".project/workflows/"
#: It changes what a person is asked about before it lands.
BOOK = {"one": [{"write": {".claude/settings.json": "{}\n"}}]}
DESIGN = {"summary": "parts", "components": [{"id": "one", "title": "Part one"}]}


@dataclass(frozen=True)
class Block:
    where: str
    language: str
    path: str
    text: str


def blocks() -> list[Block]:
    found = []
    for file in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = file.read_text()
        for match in FENCED.finditer(text):
            language, _, path = match[1].partition(" ")
            found.append(Block(f"{file.name}:{text.count(chr(10), 0, match.start()) + 1}", language, path, match[2]))
    return found


def each(chosen: Callable[[Block], object]) -> pytest.MarkDecorator:
    found = [block for block in blocks() if chosen(block)]
    assert found
    return pytest.mark.parametrize("block", found, ids=[block.where for block in found])


@each(lambda block: block.language == "yaml" and not block.path.startswith(WORKFLOWS))
def test_a_configuration_is_valid(block: Block) -> None:
    file = Path(".project/config.yaml")
    config = settings_of(document_of(block.text, file), file, {}, {}).config
    named = {*config.assistants, *config.assistant, *(name for chain in config.roles.values() for name in chain)}
    for name in named - {"auto"}:
        resolve(name, config.assistants)


@each(lambda block: re.search(r'^\s*"\w+": ', block.text, re.MULTILINE) and not block.path)
def test_fields_of_state_json_are_there(block: Block) -> None:
    assert set(re.findall(r'^\s*"(\w+)": ', block.text, re.MULTILINE)) <= State.model_fields.keys()


@each(lambda block: block.language == "sh" and not block.path and re.search(r"^relay ", block.text, re.MULTILINE))
def test_commands_and_their_options_are_there(block: Block) -> None:
    for line in re.findall(r"^relay (.*)$", block.text, re.MULTILINE):
        command: click.Command = typer.main.get_command(app)
        args = shlex.split(line, comments=True)
        while isinstance(command, click.Group) and args and args[0] in command.commands:
            command = command.commands[args.pop(0)]
        command.make_context("relay", args)


@pytest.mark.parametrize("sandbox", ["auto", "off"])
@each(lambda block: block.path == ".project/config.yaml")
def test_assistants_of_a_configuration_build(
    block: Block, sandbox: str, relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner = tmp_path / "bin" / "my-planner"
    planner.parent.mkdir()
    planner.write_text(f"#!/bin/sh\necho '{json.dumps(DESIGN)}'\n")
    planner.chmod(0o755)
    monkeypatch.setenv("PATH", f"{planner.parent}:{os.environ['PATH']}")
    (relay.root / block.path).parent.mkdir()
    (relay.root / block.path).write_text(block.text)
    relay("trust")
    relay("start", "parts", "--yes", env={"RELAY_SANDBOX": sandbox})
    relay.over()
    assert "Part one" in (relay.root / "asked.txt").read_text()
    assert relay.state()["usage"]["output_tokens"] == 7


@pytest.mark.parametrize("sandbox", ["auto", "off"])
@each(lambda block: block.path.startswith(HANDLERS))
def test_a_handler_does_its_part(block: Block, sandbox: str, relay: Relay, tmp_path: Path) -> None:
    file = relay.root / block.path
    file.parent.mkdir(parents=True)
    file.write_text(block.text)
    if not file.suffix:
        file.chmod(0o755)
    relay("trust")
    run = relay.begin(playbook(tmp_path / "book", BOOK), "parts", env={"RELAY_SANDBOX": sandbox})
    relay.asked("approve_design")
    name, asked = file.stem, 1
    if "merge_build" in block.text:
        relay("approve")
        relay.asked("approve_landing", times=2)
        asked = 2
    relay.edit(action_owner="code", action_needed=name)
    relay.asked("approve_landing", times=asked + 1)
    written = relay.root / ".project" / "runs" / run / "files" / name
    assert written.is_dir()
    assert "changelog" not in block.text or "start" in (written / "changelog.txt").read_text()
    relay("approve")
    relay.over()
