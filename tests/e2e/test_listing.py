"""`relay list`: the runs of all projects of this user, as their orchestrators leave them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from driver import Relay, environ, playbook
from eventually import WAIT_S

ONE = {"one": [{"write": {"one.txt": "1\n"}}]}


def listed(relay: Relay, *flags: str) -> list[tuple[str, str, str]]:
    rows = json.loads(relay("list", *flags, "--json"))
    return [(row["project"], row["instance"], row["orchestrator"]) for row in rows]


def test_runs_of_this_machine_are_listed_with_what_drives_them(relay: Relay, tmp_path: Path) -> None:
    root = str(relay.root)
    assert listed(relay) == []
    assert "relay start" in relay("list")
    relay.begin(playbook(tmp_path / "book", ONE))
    relay.asked("approve_design")
    assert listed(relay) == [(root, "default", "driven")]
    relay.kill()
    assert listed(relay) == [(root, "default", "stopped")]
    said = relay("list")
    assert "designed; waiting for you; its orchestrator has stopped" in said
    going_on = said.rpartition("has stopped: ")[2].strip()
    assert going_on == f"cd {root} && relay resume"
    subprocess.run(["sh", "-c", going_on], cwd=tmp_path, env=environ(None), check=True, timeout=WAIT_S)
    assert listed(relay) == [(root, "default", "driven")]
    relay("approve")
    relay.over()
    assert listed(relay) == [(root, "default", "over")]
    assert "landed" in relay("list")


def test_a_project_that_is_gone_is_said_to_be_and_taken_off_when_asked(relay: Relay, tmp_path: Path) -> None:
    elsewhere = tmp_path / os.fsdecode(b"caf\xe9")
    shutil.copytree(relay.root, elsewhere)
    other = Relay(elsewhere, "second")
    other.begin(playbook(tmp_path / "book", ONE))
    other.asked("approve_design")
    other("cancel")
    other.over("cancelled")
    other.swept()
    shutil.rmtree(elsewhere)
    assert [row[1:] for row in listed(relay)] == [("second", "gone")]
    said = relay("list")
    assert "caf\\xe9" in said
    assert "its project is gone" in said
    assert listed(relay, "--tidy") == []
    assert listed(relay) == []
