"""`relay diff`: what would land and what has, with and without an orchestrator, and nothing of the tree's is run."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import run_git
from driver import COMMAND, Relay, environ, playbook
from eventually import WAIT_S

ESCAPE = "\x1b]0;owned\x07"
DESIGN = {
    "components": [{"id": "api", "files": ["api/**"]}, {"id": "web", "files": ["web.txt"], "depends_on": ["api"]}]
}
STEPS = {
    "api": [{"write": {"api/a.py": "a = 1\n", "notes.txt": f"{ESCAPE}\n"}}, {"delete": ["README.md"]}],
    "web": [{"write": {"web.txt": "one\ntwo\n"}}],
}


@pytest.fixture
def asked(relay: Relay, tmp_path: Path) -> Relay:
    """A run that waits at the landing: `api` deleted README.md and brought notes.txt, which nobody owns."""
    book = playbook(tmp_path / "book", STEPS, architect={"say": "Parts.", "design": DESIGN})
    relay.begin(book, "parts", "--yes")
    relay.asked("approve_landing")
    return relay


def listed(relay: Relay, *args: str) -> dict[str, dict[str, Any]]:
    return {file["path"]: file for file in json.loads(relay("diff", "--json", *args))["files"]}


def test_at_the_gate_the_combined_change_is_shown_with_what_is_outside_marked(asked: Relay) -> None:
    assert "relay diff" in asked("status")
    files = listed(asked)
    assert {name: (file["status"], file["added"], file["removed"], file["builder"], file["outside"])
            for name, file in files.items()} == {
        "README.md": ("D", 0, 1, "api", True),
        "notes.txt": ("A", 1, 0, "api", True),
        "api/a.py": ("A", 1, 0, "api", False),
        "web.txt": ("A", 2, 0, "web", False),
    }  # fmt: skip
    shown = asked("diff")
    assert "# outside: README.md is not of the files of api\ndiff --git a/README.md b/README.md" in shown
    assert "+a = 1" in shown
    assert "outside: api/a.py" not in shown
    assert "\x1b" not in shown
    assert "+\\x1b]0;owned\\x07" in shown
    row = next(line for line in asked("diff", "--stat").splitlines() if line.endswith("README.md"))
    assert row.split() == ["D", "+0", "-1", "api", "outside", "README.md"]


def test_one_builders_part_is_its_own_alone(asked: Relay) -> None:
    assert set(listed(asked, "web")) == {"web.txt"}
    assert set(listed(asked, "api")) == {"README.md", "notes.txt", "api/a.py"}
    assert "there is no builder wbe; there are api, web" in asked.refused("diff", "wbe")


def test_it_is_shown_with_the_daemon_down_after_landing_and_after_cleaning(asked: Relay) -> None:
    asked("stop")
    before = listed(asked)
    asked("resume")
    (asked.root / "mine.txt").write_text("mine\n")
    run_git(asked.root, "add", "mine.txt")
    run_git(asked.root, "commit", "-qm", "mine")
    asked("approve")
    asked.over()
    asked("clean")
    assert "relay/" not in run_git(asked.root, "branch", "--list")
    assert listed(asked) == before
    assert set(listed(asked, "web")) == {"web.txt"}
    assert set(listed(asked, "--run", asked.state()["run"][:12])) == set(before)


def test_neither_drivers_nor_settings_of_the_user_take_part(asked: Relay, tmp_path: Path) -> None:
    for name in ("driver", "conv"):
        (tmp_path / name).write_text(f'#!/bin/sh\ntouch {tmp_path}/ran-{name}\ncat "$1"\n')
        (tmp_path / name).chmod(0o755)
    (asked.root / ".git" / "info" / "attributes").write_text("* diff=evil\n")
    for key, value in {"diff.external": "driver", "diff.evil.command": "driver", "diff.evil.textconv": "conv"}.items():
        run_git(asked.root, "config", key, str(tmp_path / value))
    for key, value in {"color.ui": "always", "diff.noprefix": "true", "core.pager": "false"}.items():
        run_git(asked.root, "config", key, value)
    shown = asked("diff")
    assert "diff --git a/README.md b/README.md" in shown
    assert "\x1b" not in shown
    asked("diff", "--stat")
    assert not list(tmp_path.glob("ran-*"))


def test_the_patch_can_be_applied(asked: Relay, tmp_path: Path) -> None:
    patch = tmp_path / "api.patch"
    patch.write_text(asked("diff", "web"))
    run_git(asked.root, "apply", str(patch))
    assert (asked.root / "web.txt").read_text() == "one\ntwo\n"
    (asked.root / "web.txt").unlink()


def test_colour_is_for_terminals(asked: Relay) -> None:
    here, there = pty.openpty()
    with os.fdopen(here, "rb", buffering=0) as terminal:
        done = subprocess.Popen([*COMMAND, "diff", "web"], cwd=asked.root, stdout=there, stdin=subprocess.DEVNULL,
                                env=environ({"TERM": "xterm"}))  # fmt: skip
        os.close(there)
        said = b""
        while part := _read(terminal.fileno()):
            said += part
        assert done.wait(WAIT_S) == 0
    assert b"\x1b[32m+one" in said


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # EIO: the last process that had the terminal is gone
        return b""


def test_before_there_is_anything_to_show_it_says_so(relay: Relay, tmp_path: Path) -> None:
    assert "there is no run here yet" in relay.refused("diff")
    book = playbook(tmp_path / "book", {"api": [{"write": {"a": "1"}}]})
    relay.begin(book, "parts")
    relay.asked("approve_design")
    assert "is merged yet" in relay.refused("diff")
    assert "there are none yet" in relay.refused("diff", "api")
    relay("cancel")


def test_commits_that_are_gone_are_said_to_be(asked: Relay) -> None:
    asked("cancel")
    asked.over("cancelled")
    for ref in run_git(
        asked.root, "for-each-ref", "--format=%(refname)", "refs/heads/relay", "refs/relay"
    ).splitlines():
        run_git(asked.root, "update-ref", "-d", ref)
    asked("clean")
    run_git(asked.root, "worktree", "prune")
    for place in run_git(asked.root, "worktree", "list", "--porcelain").split("worktree ")[2:]:
        run_git(asked.root, "worktree", "remove", "--force", "--force", place.splitlines()[0])
    run_git(asked.root, "-c", "gc.reflogExpire=now", "reflog", "expire", "--expire-unreachable=now", "--all")
    run_git(asked.root, "gc", "-q", "--prune=now")
    assert "no longer in the repository" in asked.refused("diff", "web")
    assert "no longer in the repository" in asked.refused("diff")
