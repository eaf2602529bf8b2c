"""Tests that fail before anything is built: told at once, and what goes on failing so lands only when asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import run_git
from driver import Relay, playbook
from eventually import eventually

ONE = {"one": [{"write": {"one.txt": "1\n"}}]}
OLD = "echo 3 passed, 1 failed: test_old; false"


def commands(relay: Relay) -> list[str]:
    """The commands that were run on the tree that the run started from."""
    specs = [event["job"]["spec"] for event in relay.events("job_started")]
    return [spec["command"] for spec in specs if spec.get("command") and spec["worktree"] == "_base"]


def test_a_red_tree_is_told_at_the_gate_and_what_fails_as_before_lands_only_when_asked_for(
    relay: Relay, tmp_path: Path
) -> None:
    relay.begin(playbook(tmp_path / "book", ONE), "parts", "--verify", OLD)
    state = relay.asked("approve_design")
    assert f"the tests fail before anything is built: {OLD}: exit status 1: " in state["message"]
    assert "the tests fail before anything is built" in " ".join(relay("status").split())
    assert "3 passed, 1 failed: test_old" in relay("logs", "base")
    relay.kill()
    relay("approve")
    state = relay.asked("approve_landing", times=2)
    assert [(line["attempt"], line["verified"]) for line in state["builders"]] == [(2, False)]
    assert "verify fails just as it did before anything was built" in state["message"]
    assert len(commands(relay)) == 1
    relay("approve")
    assert ", not verified" in relay.over()["message"]
    assert ".project/worktrees" not in run_git(relay.root, "worktree", "list")


def test_a_tree_that_the_work_makes_green_asks_nothing(relay: Relay, tmp_path: Path) -> None:
    relay.begin(playbook(tmp_path / "book", ONE), "parts", "--yes", "--verify", "ls one.txt")
    assert ", verified" in relay.over()["message"]


@pytest.mark.parametrize("verify", ["", "test -e README.md"])
def test_a_green_tree_or_none_to_look_at_asks_nothing(relay: Relay, tmp_path: Path, verify: str) -> None:
    relay.begin(playbook(tmp_path / "book", ONE), "parts", "--yes", *(["--verify", verify] if verify else []))
    relay.over()
    assert commands(relay) == ([verify] if verify else [])


def test_an_orchestrator_that_is_killed_meanwhile_does_not_begin_again(relay: Relay, tmp_path: Path) -> None:
    ran, go = tmp_path / "ran", tmp_path / "go"
    verify = f"test -e one.txt || {{ echo + >> {ran}; until test -e {go}; do sleep 0.1; done; }}"
    relay.begin(playbook(tmp_path / "book", ONE), "parts", "--yes", "--verify", verify)
    relay.wait(lambda _: ran.exists())
    eventually(lambda: "before anything is built" in relay("status"))
    relay.kill()
    go.write_text("")
    relay("resume")
    relay.over()
    assert ran.read_text() == "+\n"
