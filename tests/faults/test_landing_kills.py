"""git killed while it lands, and several instances at once: as if nothing had been, and one after the other."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import run_git
from driver import Relay, playbook
from eventually import eventually

from lib.git.alone import alone
from lib.git.run import Repo
from lib.project.paths import find_project

#: Found before git on the path: ends each landing, leaves a lock as a killed git may, and then does as the test says.
WRAPPER = """#!/bin/sh
case " $* " in
*" merge --ff-only "*)
    if [ ! -e "$FAULTY/done" ]; then
        touch "$FAULTY/done"
        "$FAULTY_GIT" "$@"
        touch .git/HEAD.lock .git/refs/heads/main.lock
        {deed}
        kill -9 $$
    fi;;
esac
[ -e "$FAULTY/dead" ] && kill -9 $$
exec "$FAULTY_GIT" "$@"
"""
PARTS = {"one": [{"write": {"one.txt": "1\n"}}]}


def faulty(folder: Path, deed: str) -> dict[str, str]:
    """The environment in which git is killed at the end of the first landing, after `deed`."""
    program = folder / "bin" / "git"
    program.parent.mkdir()
    program.write_text(WRAPPER.replace("{deed}", deed))
    program.chmod(0o755)
    real = shutil.which("git")
    assert real is not None
    return {"FAULTY": str(folder), "FAULTY_GIT": real, "PATH": f"{program.parent}:{os.environ['PATH']}"}


def landed(relay: Relay) -> None:
    relay.over()
    assert (relay.root / "one.txt").read_text() == "1\n"
    assert run_git(relay.root, "status", "--porcelain") == ""
    assert [file for name in ("*.lock", "refs/**/*.lock") for file in (relay.root / ".git").glob(name)] == []


@pytest.mark.parametrize("deed", [":", "kill -9 $PPID"], ids=["git alone", "the orchestrator too"])
def test_a_git_that_is_killed_at_the_end_of_a_landing_costs_nothing(relay: Relay, tmp_path: Path, deed: str) -> None:
    relay.begin(playbook(tmp_path / "book", PARTS), "parts", "--yes", env=faulty(tmp_path, deed))
    if deed != ":":
        eventually(lambda: (tmp_path / "done").exists() and relay.pid() is None)
        relay("resume")
    landed(relay)
    assert relay.events("asked") == []


def test_what_relay_landed_itself_is_known_though_no_git_works_any_more(relay: Relay, tmp_path: Path) -> None:
    relay.begin(playbook(tmp_path / "book", PARTS), "parts", "--yes", env=faulty(tmp_path, 'touch "$FAULTY/dead"'))
    relay.over()
    assert relay.events("asked") == []
    (tmp_path / "dead").unlink()
    landed(relay)


def test_instances_that_land_at_the_same_moment_all_land(relay: Relay, tmp_path: Path) -> None:
    names, gate = ("a", "b", "c", "d"), tmp_path / "gate"
    instances = [Relay(relay.root, name) for name in names]
    for name, instance in zip(names, instances, strict=True):
        steps: list[dict[str, Any]] = [{"write": {f"{name}{number}.txt": f"{name}\n" for number in range(60)}}]
        steps.append({"run": f"touch {gate}.{name}; while [ ! -e {gate} ]; do sleep 0.02; done"})
        instance.begin(playbook(tmp_path / name, {"one": steps}), "parts", "--yes")
    try:
        for name in names:
            eventually(Path(f"{gate}.{name}").exists)
        gate.touch()
        for instance in instances:
            instance.over()
            assert instance.events("asked") == []
    finally:
        for instance in instances:
            instance.end()
    for name in names:
        assert all((relay.root / f"{name}{number}.txt").read_text() == f"{name}\n" for number in range(60))
    assert run_git(relay.root, "status", "--porcelain") == ""
    assert not (relay.root / ".git" / "relay-landing").exists()


def test_a_cancel_that_comes_when_the_branch_is_about_to_move_is_told_to_be_too_late(
    relay: Relay, tmp_path: Path
) -> None:
    waits = 'until [ -e "$FAULTY/go" ]; do sleep 0.1; done; rm .git/HEAD.lock .git/refs/heads/main.lock; exit 0'
    relay.begin(playbook(tmp_path / "book", PARTS), "parts", "--yes", env=faulty(tmp_path, waits))
    eventually((tmp_path / "done").exists, 60)
    assert "unless your branch has moved" in relay("cancel")
    relay.wait(lambda state: state["action_needed"] == "merge_build" and relay.events("job_stopping"))
    (tmp_path / "go").touch()
    landed(relay)
    assert "it was too late to cancel" in relay.state()["message"]
    assert "it was too late to cancel" in relay("status")


def test_a_run_that_is_cancelled_while_another_one_lands_does_not_land(relay: Relay, tmp_path: Path) -> None:
    with alone(Repo.of(find_project(relay.root))):
        relay.begin(playbook(tmp_path / "book", PARTS), "parts", "--yes")
        eventually(lambda: any(job["job"]["spec"]["name"] == "land" for job in relay.events("job_started")))
        base = relay.state()["base"]["commit"]
        relay("cancel")
        relay.wait(lambda state: state["outcome"] == "cancelled")
    eventually(lambda: relay.pid() is None)
    assert relay.head() == base
    assert not (relay.root / "one.txt").exists()
    assert not (relay.root / ".git" / "relay-landing").exists()
