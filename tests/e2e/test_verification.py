"""Verified work and what is only built differ, and a verification that looked at other code is none."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from pathlib import Path

import pytest
from conftest import run_git
from driver import Relay, playbook

TEST = "import pkg\nassert pkg.f() == 1\n"
BROKEN = [{"write": {"src/pkg/__init__.py": "def f(): return 2\n"}}]


@pytest.fixture
def installed(relay: Relay, tmp_path: Path) -> dict[str, str]:
    """The project is a package with a test, and installed as editable in the environment that this variable names."""
    for name, text in (("src/pkg/__init__.py", "def f(): return 1\n"), ("tests/t.py", TEST)):
        (relay.root / name).parent.mkdir(parents=True, exist_ok=True)
        (relay.root / name).write_text(text)
    run_git(relay.root, "add", "-A")
    run_git(relay.root, "commit", "-qm", "a package")
    venv = tmp_path / "venv"
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(venv)}))
    packages.mkdir(parents=True)
    (packages / "__editable__.pkg.pth").write_text(f"{relay.root}/src\n")
    (venv / "bin").mkdir()
    (venv / "pyvenv.cfg").write_text(f"home = {Path(sys.base_prefix) / 'bin'}\n")
    (venv / "bin" / "python").symlink_to(Path(sys.base_prefix) / "bin" / Path(sys.executable).resolve().name)
    return {"PATH": f"{venv / 'bin'}:{os.environ['PATH']}"}


def test_tests_that_import_the_checkout_verify_nothing_and_that_is_told(
    relay: Relay, tmp_path: Path, installed: dict[str, str]
) -> None:
    relay.begin(playbook(tmp_path / "book", {"one": BROKEN}), "parts", "--yes", "--verify", "python tests/t.py",
                env=installed)  # fmt: skip
    state = relay.asked("approve_landing")
    assert "merged and not verified" in state["message"]
    assert [line["verified"] for line in state["builders"]] == [False]
    assert "__editable__.pkg.pth makes Python import" in state["builders"][0]["note"]
    assert "merged, unverified" in relay("status")
    assert "__editable__.pkg.pth makes Python import this project from your checkout (src)" in state["message"]
    warned = [event["message"] for event in relay.events("noted") if event["level"] == "warning"]
    assert any('env: {PYTHONPATH: "src"}' in words for words in warned)
    assert "__editable__.pkg.pth" in relay("doctor", code=None, env=installed)
    relay("approve")
    assert ", not verified" in relay.over()["message"]


def test_with_the_remedy_the_tests_see_what_was_built(relay: Relay, tmp_path: Path, installed: dict[str, str]) -> None:
    remedied = {**installed, "RELAY_ENV": json.dumps({"PYTHONPATH": "src"})}
    relay.begin(playbook(tmp_path / "book", {"one": BROKEN}), "parts", "--yes", "--verify", "python tests/t.py",
                env={**remedied, "RELAY_ATTEMPTS": "1"})  # fmt: skip
    assert "exit status 1" in relay.asked("fix_failure")["message"]


def test_a_file_that_does_not_parse_lands_as_not_verified(relay: Relay, tmp_path: Path) -> None:
    broken = [{"write": {"one.py": "def (:\n"}}]
    relay.begin(playbook(tmp_path / "book", {"one": broken}), "parts")
    assert "nothing verifies this" in relay.asked("approve_design")["message"]
    relay("approve")
    state = relay.over()
    assert state["message"].partition(", ")[2].startswith("not verified: ")
    assert [line["verified"] for line in state["builders"]] == [False]
    assert "landed, unverified" in relay("status")
    assert "not verified" in relay("show")


def test_both_commands_must_pass_the_configured_one_first(relay: Relay, tmp_path: Path) -> None:
    book = playbook(
        tmp_path / "book", {"one": [{"write": {"one.txt": "1\n"}}]}, verify="test -f one.txt && test -f two"
    )
    relay.begin(book, "parts", "--yes", "--verify", "test -f README.md", env={"RELAY_ATTEMPTS": "1"})
    assert "exit status 1" in relay.asked("fix_failure")["message"]
    assert relay.state()["base"]["commit"] == relay.head()
