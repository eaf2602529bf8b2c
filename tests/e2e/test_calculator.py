"""The main job as a newcomer rehearses it: a shipped playbook, from one sentence to code that runs on the branch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import run_git
from driver import Relay
from eventually import eventually

from lib.playbook.book import shipped_names


@pytest.mark.parametrize("book", shipped_names())
def test_a_run_lands_code_that_passes_its_own_tests_and_leaves_nothing_else(relay: Relay, book: str) -> None:
    relay("start", "--assistant", f"scripted:{book}", "--yes", "--wait", "what the playbook builds")
    state = relay.over()
    assert state["phase"] == "storage"
    assert {line["status"] for line in state["builders"]} == {"landed"}
    assert run_git(relay.root, "status", "--porcelain") == ""
    assert run_git(relay.root, "branch", "--list", "--format=%(refname:short)") == "main"
    assert run_git(relay.root, "worktree", "list", "--porcelain").count("worktree ") == 1
    eventually(lambda: not list((relay.root / ".project" / "worktrees").iterdir()))  # a quiet process removes them
    assert run_git(relay.root, "fsck", "--no-dangling") == ""
    trailers = run_git(relay.root, "log", "--format=%(trailers:key=Relay-Run,valueonly,separator=)", "HEAD^..HEAD")
    assert set(trailers.split()) == {state["run"]}

    done = subprocess.run(
        [sys.executable, "-B", "-m", "unittest", "discover", "-s", "tests"],
        cwd=relay.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Ran 0 tests" not in done.stderr


def test_the_calculator_that_was_built_calculates(relay: Relay) -> None:
    relay("start", "--yes", "--wait", "--assistant", "scripted", "a calculator")
    done = subprocess.run([sys.executable, "-B", "-m", "calculator", "3 + 4 * 2"], cwd=relay.root, capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == "11"


def test_it_works_in_a_folder_with_spaces_and_other_scripts(tmp_path: Path, repo: Path) -> None:
    relay = Relay(repo.rename(tmp_path / "mein Prøject 计"))
    relay("start", "--assistant", "scripted:calculator", "--yes", "--wait", "a calculator")
    assert (relay.root / "calculator" / "add.py").is_file()
    relay.over()
