"""Verify commands that a project's manifests speak of, and the configuration file that proposes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from lib.config.model import Config, load_config
from lib.project.templates import shipped
from orchestrator.commands.verify_proposals import proposals, with_proposals

TEXT = (shipped("project") / "config.yaml").read_text()


def project(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "command", "source"),
    [
        ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, "python3 -m pytest -q", "pyproject.toml"),
        ({"pyproject.toml": '[project.optional-dependencies]\ndev = ["pytest>=8"]\n'}, "python3 -m pytest -q",
         "pyproject.toml"),
        ({"setup.cfg": "[tool:pytest]\n"}, "python3 -m pytest -q", "setup.cfg"),
        ({"tox.ini": "[tox]\n[testenv:py311]\n"}, "tox", "tox.ini"),
        ({"package.json": '{"scripts": {"test": "vitest run"}}'}, "npm test", "package.json"),
        ({"package.json": '{"scripts": {"test": "vitest run"}}', "pnpm-lock.yaml": ""}, "pnpm test", "package.json"),
        ({"Cargo.toml": "[package]\n"}, "cargo test", "Cargo.toml"),
        ({"go.mod": "module x\n"}, "go test ./...", "go.mod"),
        ({"Makefile": "all:\n\ttrue\n\ntest: all\n\ttrue\n"}, "make test", "Makefile"),
        ({"pom.xml": "<project/>"}, "mvn -q test", "pom.xml"),
        ({"build.gradle.kts": "", "gradlew": ""}, "./gradlew test", "build.gradle.kts"),
        ({"tests/test_x.py": ""}, "python3 -m unittest discover -s tests", "tests/test_*.py"),
    ],
)  # fmt: skip
def test_each_manifest_proposes_its_command_in_a_comment_that_can_be_taken(
    tmp_path: Path, files: dict[str, str], command: str, source: str
) -> None:
    found = proposals(project(tmp_path, files))
    assert found[0].command == command
    written = with_proposals(TEXT, found)
    assert yaml.safe_load(written) is None
    line = next(line for line in written.splitlines() if source in line)
    taken = tmp_path / "config.yaml"
    taken.write_text(written.replace(line, line.removeprefix("# ")))
    assert load_config(taken, {}, {}) == Config(verify=command)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'},
        {"package.json": "[1"},
        {"package.json": '{"scripts": 3}'},
        {"pyproject.toml": "= ["},
        {"Makefile": "test := 1\ntests:\n"},
        {"pyproject.toml": "tool = 3"},
    ],
)
def test_where_there_is_nothing_or_nonsense_nothing_is_proposed(tmp_path: Path, files: dict[str, str]) -> None:
    found = proposals(project(tmp_path, files))
    assert found == []
    assert with_proposals(TEXT, found) == TEXT


def test_all_that_is_found_is_listed_once(tmp_path: Path) -> None:
    files = {"pyproject.toml": '[tool.pytest]\nx = "pytest"\n', "pytest.ini": "[pytest]\n", "Makefile": "check:\n"}
    assert [found.command for found in proposals(project(tmp_path, files))] == ["python3 -m pytest -q", "make check"]
    assert "#   or: make check" in with_proposals(TEXT, proposals(tmp_path))


@pytest.mark.parametrize("name", ["Makefile", "package.json", "pyproject.toml"])
def test_a_manifest_that_is_no_plain_file_is_left_alone(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert proposals(tmp_path) == []
