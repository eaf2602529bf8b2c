"""Files below .project and .git/relay that are no plain files: refused or passed over, never waited for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import run_git
from driver import QUICK, Relay, playbook
from eventually import eventually

from lib.files.remove import remove_whole
from lib.project.paths import find_project
from orchestrator.jobs.outcome import ends_of, lines_of

BIG = 50_000_000
ONE = {"one": [{"write": {"one.txt": "1\n"}}]}


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_out(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def big(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(BIG)


def folder(path: Path) -> None:
    path.mkdir()


KINDS: dict[str, Callable[[Path], None]] = {
    "a FIFO": fifo, "a link to a device": device, "a link out": link_out, "50 MB": big, "a folder": folder,
}  # fmt: skip
#: Read or written before anything of a project is trusted.
BEFORE = (
    ".project/config.yaml", ".project/.gitignore", ".project/state.json", ".project/state.schema.json",
    ".project/orchestrator.pid", ".project/phases/mine.py", ".project/phases/mine.sh", ".project/prompts/builder.md.j2",
    ".project/skills/own.md", ".worktreeinclude", ".project/logs/orchestrator.log", ".project/logs/workflow.log",
    ".project/logs/events.jsonl",
)  # fmt: skip
#: Of Relay's own store, made by a run before.
STORED = ("relay.db", "relay.db-wal", "instances/{instance}/state.lock", "instances/{instance}/owner.json",
          "instances/{instance}/hold")  # fmt: skip


def put(path: Path, make: Callable[[Path], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_whole(path)
    make(path)


def run(relay: Relay, *args: str) -> str:
    """The output of a command. It must end in time, without a traceback."""
    done = relay.process(*args, env=QUICK)
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    return said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", BEFORE)
def test_what_a_repository_brings_is_refused_or_passed_over_without_waiting(
    relay: Relay, tmp_path: Path, path: str, kind: str
) -> None:
    put(relay.root / path, KINDS[kind])
    said = run(relay, "start", "--assistant", playbook(tmp_path / "book", ONE), "--verify", "true", "parts")
    run(relay, "status")
    run(relay, "trust")
    run(relay, "logs")
    remove_whole(relay.root / path)
    run(relay, "stop", "--builders")
    assert "error" in said or "status" in said, said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", STORED)
def test_what_stands_in_relays_own_store_is_refused_or_passed_over_without_waiting(
    relay: Relay, tmp_path: Path, name: str, kind: str
) -> None:
    relay.begin(playbook(tmp_path / "book", ONE))
    relay.asked("approve_design")
    relay.kill()
    project = find_project(relay.root)
    kept = tmp_path / "kept"
    shutil.copytree(project.store, kept, symlinks=True)
    put(project.store / name.format(instance=project.instance_dir.name), KINDS[kind])
    for command in ("status", "resume", "approve", "stop"):
        run(relay, command)
    relay.kill()
    shutil.rmtree(project.store)
    shutil.copytree(kept, project.store, symlinks=True)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "50 MB"])
@pytest.mark.parametrize("name", ["output.log", "stderr.log"])
def test_an_output_that_its_builder_replaced_is_passed_over(tmp_path: Path, name: str, kind: str) -> None:
    put(tmp_path / name, KINDS[kind])
    assert list(lines_of(tmp_path / name)) == []
    assert ends_of(tmp_path / name) == ""


@pytest.mark.parametrize("kind", ["a FIFO", "a link to a device", "a link out"])
def test_a_builder_that_replaces_its_own_output_is_judged(relay: Relay, tmp_path: Path, kind: str) -> None:
    odd = {"a FIFO": "mkfifo $f", "a link to a device": "ln -s /dev/zero $f", "a link out": "ln -s /etc/passwd $f"}
    command = f'for f in ../../../runs/*/builders/one/*-build/*.log; do rm $f; {odd[kind]}; done; echo "1" > one.txt'
    relay.begin(playbook(tmp_path / "book", {"one": [{"run": command}]}), "parts", "--yes",
                env={"RELAY_SANDBOX": "off", "RELAY_ATTEMPTS": "1"})  # fmt: skip
    state = relay.wait(lambda state: state["outcome"] or state["action_owner"] == "ci")
    assert state["outcome"] == "landed" or state["action_needed"] == "fix_failure"
    assert "root:" not in run(relay, "logs", "one")


@pytest.mark.parametrize("kind", KINDS)
def test_a_design_that_is_no_plain_file_is_told(relay: Relay, tmp_path: Path, kind: str) -> None:
    run_id = relay.begin(playbook(tmp_path / "book", {"one": [{"write": {"one.txt": "1\n"}}]}))
    relay.asked("approve_design")
    file = relay.root / ".project" / "runs" / run_id / "design.json"
    plain = file.read_bytes()
    put(file, KINDS[kind])
    relay("approve")
    relay.asked("fix_failure", times=2)
    run(relay, "status")
    put(file, lambda path: path.write_bytes(plain) and None)
    relay("retry")
    relay.over()
    assert run_git(relay.root, "show", "main:one.txt") == "1"


def test_the_first_and_the_last_part_of_a_huge_output_are_read(tmp_path: Path) -> None:
    file = tmp_path / "output.log"
    with file.open("wb") as stream:
        stream.write(b"first\n")
        stream.truncate(3_000_000_000)
        stream.seek(0, os.SEEK_END)
        stream.write(b"\nlast\n")
    lines = iter(lines_of(file))
    assert next(lines) == "first"
    assert eventually(lambda: next((line for line in lines if line == "last"), None)) == "last"
