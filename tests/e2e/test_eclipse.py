"""A repository where `.project` is a file, as Eclipse has it: runs go on beside that file, which lands like others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import run_git
from driver import QUICK, Relay, playbook

DESCRIPTION = "<projectDescription/>\n"
NAMED = "<projectDescription><name>parts</name></projectDescription>\n"


@pytest.fixture
def eclipse(repo: Path) -> Iterator[Relay]:
    run_git(repo, "branch", "plain")
    (repo / ".project").write_text(DESCRIPTION)
    run_git(repo, "add", "-A")
    run_git(repo, "commit", "-qm", "of Eclipse")
    relay = Relay(repo, own=".relay")
    yield relay
    relay.end()


def book(folder: Path, line: str = "true") -> str:
    return playbook(folder / "book", {"api": [{"write": {".project": NAMED, "api.py": "print()\n"}}, {"run": line}]})


def test_a_run_goes_from_its_gate_to_its_landing_beside_the_file(eclipse: Relay, tmp_path: Path) -> None:
    root = eclipse.root
    said = eclipse.process("start", "--assistant", book(tmp_path), "--land", "ask", "parts", env=QUICK)
    assert said.stderr == ".project is a file here (of Eclipse?): Relay keeps its files in .relay/\n"
    assert "state      .relay/state.json\n" in said.stdout
    run, message = eclipse.asked("approve_design")["run"], eclipse.state()["message"]
    assert f"Read .relay/runs/{run}/design.md" in message
    assert f"Read ../.relay/runs/{run}/design.md" in " ".join(Relay(root / "src")("status").split())
    assert "in ../.relay/state.json does" in Relay(root / "src")("status")

    eclipse.kill()
    eclipse("resume")
    eclipse.edit(action_owner="code")
    builder = eclipse.asked("approve_landing")["builders"][0]
    worktree = root / builder["worktree"]
    assert worktree == root / ".relay" / "worktrees" / run / "api"
    assert "in ../../../../.relay/state.json does" in Relay(worktree)("status")
    found = json.loads(eclipse("status", "--json"))
    assert (found["state_file"], found["folder"]) == (".relay/state.json", f".relay/runs/{run}")
    assert ".project/" not in json.dumps(found)
    assert run_git(root, "status", "--porcelain") == ""

    eclipse("approve")
    eclipse.over()
    assert (root / ".project").read_text() == NAMED
    assert set(run_git(root, "ls-tree", "--name-only", "HEAD").split()) == {".project", "README.md", "api.py", "src"}
    eclipse("clean")
    assert run_git(root, "status", "--porcelain") == ""
    assert not worktree.exists()
    printed = eclipse("logs") + eclipse("show", "--json") + eclipse("config", "explain") + eclipse("init", "--print")
    written = [(eclipse.home / "logs" / name).read_text() for name in ("workflow.log", "events.jsonl")]
    assert ".project/" not in printed + "".join(written)


def test_a_run_goes_on_where_it_is_when_another_branch_is_checked_out(eclipse: Relay, tmp_path: Path) -> None:
    eclipse.begin(book(tmp_path, "mkdir .relay; echo mine > .relay/state.json"))
    eclipse.asked("approve_design")
    eclipse.kill()
    run_git(eclipse.root, "switch", "-q", "plain")
    assert not (eclipse.root / ".project").exists()
    eclipse("resume")
    eclipse("approve")
    builder = eclipse.over()["builders"][0]
    assert ".relay/state.json is Relay's own, and was left out" in builder["note"]
    assert run_git(eclipse.root, "show", "main:.project") == NAMED.strip()
    assert not (eclipse.root / ".project").exists()
    assert run_git(eclipse.root, "status", "--porcelain") == ""


def test_the_configuration_is_written_and_read_there(eclipse: Relay) -> None:
    wrote = eclipse.process("init")
    assert wrote.stderr == ".project is a file here (of Eclipse?): Relay keeps its files in .relay/\n"
    assert "Markdown files of .relay/skills" in (eclipse.dot / "config.yaml").read_text()
    assert eclipse("config", "set", "parallel", "4") == "Set parallel in .relay/config.yaml, from the next run on.\n"
    assert "config.yaml, line" in eclipse("config")
    assert run_git(eclipse.root, "status", "--porcelain") == "?? .relay/"
    assert eclipse.process("start", "--dry-run", "--assistant", "scripted:calculator", "parts").stderr == ""
