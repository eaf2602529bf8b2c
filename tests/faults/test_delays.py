"""A machine that refuses Relay's own work for a while: it is done again, and the turns before it are not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from conftest import run_git
from driver import Relay, playbook
from eventually import eventually
from small_disk import SmallDisk

#: More than the room that `LEAVES` leaves, so that it is written but can't be committed.
BIG = "test -e data.bin || head -c 4000000 /dev/urandom > data.bin"


@pytest.fixture
def disk(small_disk: SmallDisk) -> Path:
    return small_disk("size=24m")


def test_a_finished_turn_is_not_repeated_when_the_disk_is_too_full_to_collect_it(
    disk: Path, repo: Path, tmp_path: Path
) -> None:
    relay = Relay(disk / "project")
    shutil.copytree(repo, relay.root)
    ballast, turns = disk / "ballast", tmp_path / "turns"
    filling = f"free=$(df --output=avail -B1 . | tail -1); head -c $((free - 2500000)) /dev/zero > {ballast}"
    steps = [{"run": f"echo turn >> {turns}; {BIG}; {filling}"}, {"write": {"one.txt": "1\n"}}]
    relay.begin(playbook(tmp_path / "book", {"one": steps}), "parts", "--yes", env={"RELAY_SANDBOX": "off"})
    shown = eventually(lambda: (shown := relay("status")) and "space" in shown.lower() and shown)
    assert "df -h" in shown
    ballast.unlink()
    relay.over()
    assert turns.read_text() == "turn\n"
    assert run_git(relay.root, "show", "main:one.txt") == "1"
    assert run_git(relay.root, "fsck", "--no-dangling") == ""


def test_the_end_of_a_turn_is_recorded_on_a_disk_that_is_full(disk: Path, repo: Path, tmp_path: Path) -> None:
    relay = Relay(disk / "project")
    shutil.copytree(repo, relay.root)
    ballast, turns = disk / "ballast", tmp_path / "turns"
    filling = f"head -c 100M /dev/zero > {ballast} 2>/dev/null"
    steps = [{"write": {"one.txt": "1\n"}}, {"run": f"echo turn >> {turns}; {filling}; true"}]
    relay.begin(playbook(tmp_path / "book", {"one": steps}), "parts", "--yes", env={"RELAY_SANDBOX": "off"})
    records = relay.root / ".git" / "relay" / "jobs"
    eventually(lambda: any(file.read_bytes() for file in records.glob("*/*-one-build/exit")))
    pid = relay.pid()
    assert pid is not None
    os.kill(pid, 9)
    ballast.unlink()
    relay("resume")
    relay.over()
    assert turns.read_text() == "turn\n"
