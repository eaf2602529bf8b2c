"""Runs that an earlier version left: taken up as they are, and brought to their end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import run_git
from driver import QUICK, Relay
from replaying import stored_and_replayed
from upgrading import bring_to_life, lay_out

#: What the recorded runs ask: the program of their builders, as `tests/upgrades/record.py` has it.
CI = """#!/bin/sh
cat >/dev/null
echo "$RELAY_BUILDER again" >>"$(dirname "$0")/started"
echo "by $RELAY_BUILDER" >"$RELAY_BUILDER.txt"
"""


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that lists the builders that were started after the upgrade."""
    (tmp_path / "ci").write_text(CI)
    (tmp_path / "ci").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "started"


@contextmanager
def taken_up(name: str, tmp_path: Path) -> Iterator[Relay]:
    relay = lay_out(name, tmp_path / "project")
    yield relay
    relay.end()


def files_of(relay: Relay) -> list[str]:
    return run_git(relay.root, "ls-tree", "-r", "--name-only", "main").splitlines()


def test_a_run_at_the_gate(tmp_path: Path, started: Path) -> None:
    with taken_up("0.1-gate", tmp_path) as relay:
        assert "approve" in relay("status")
        relay("resume")
        relay("approve")
        relay.over()
        assert files_of(relay) == ["README.md", "alpha.txt", "beta.txt"]
        assert sorted(started.read_text().splitlines()) == ["alpha again", "beta again"]


def test_a_run_whose_builder_is_at_work(tmp_path: Path, started: Path) -> None:
    with taken_up("0.1-executing", tmp_path) as relay:
        gate = tmp_path / "gate"
        os.mkfifo(gate)
        bring_to_life(relay, "beta", f"read go <'{gate}'; echo 'by beta, from before' >beta.txt")
        relay("resume")
        relay.wait(lambda _: relay.events("orchestrator_started")[-1]["adopted"])
        gate.write_text("go\n")
        relay.over()
        assert run_git(relay.root, "show", "main:beta.txt") == "by beta, from before"
        assert not started.exists()


def test_a_run_whose_builder_was_lost(tmp_path: Path, started: Path) -> None:
    with taken_up("0.1-executing", tmp_path) as relay:
        relay("resume")
        relay.over()
        assert files_of(relay) == ["README.md", "alpha.txt", "beta.txt"]
        assert started.read_text() == "beta again\n"


def test_a_run_in_conflict(tmp_path: Path, started: Path) -> None:
    with taken_up("0.1-conflict", tmp_path) as relay:
        assert relay.state()["action_needed"] == "resolve_conflict"
        merged = relay.root / ".project" / "worktrees" / relay.state()["run"] / "merged"
        assert "<<<<<<<" in (merged / "shared.txt").read_text()
        (merged / "shared.txt").write_text("by alpha\nby beta\n")
        relay("resume")
        relay.edit(action_owner="code")
        relay.over()
        assert run_git(relay.root, "show", "main:shared.txt") == "by alpha\nby beta"
        assert not started.exists()


def test_a_run_that_has_landed(tmp_path: Path, started: Path) -> None:
    with taken_up("0.1-landed", tmp_path) as relay:
        run = relay.state()["run"]
        assert "anded" in relay("status")
        assert run in relay("runs")
        assert run in relay("runs", "alpha")  # what its builders were to do
        assert "alpha" in relay("stats", "build")
        assert "alpha" in relay("show", run)
        relay.begin("ci", "parts again", "--yes", env={"RELAY_ALLOW_NO_CHANGES": "true"})
        relay.wait(lambda state: state["run"] != run)
        del started


@pytest.mark.parametrize("name", ["0.1-gate", "0.1-executing", "0.1-conflict", "0.1-landed"])
def test_the_stored_events_of_an_earlier_version_give_the_same_run(name: str, tmp_path: Path) -> None:
    with taken_up(name, tmp_path) as relay:
        stored, replayed = stored_and_replayed(relay)
        assert stored is not None
        assert replayed is not None
        # No event of that version says which of its changes a checkpoint has.
        replayed.engine = replayed.engine.model_copy(update={"unsaved_mono_s": stored.engine.unsaved_mono_s})
        assert replayed == stored
