"""Output of commands when nobody reads it, when it can't be written, and when they are not let in."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from apart import NAMESPACES, refused
from driver import COMMAND, QUICK, Relay, environ
from eventually import WAIT_S, eventually

from lib.errors import EXIT_FAILED

PRINTING = ("status", "runs", "list", "show", "logs", "diff", "config explain", "--help")
#: Those that print a table or a page, and so take both ways to ask for JSON.
TABLES = ("status", "runs", "list", "show", "diff", "doctor", "recover", "config", "config explain",
          "config get parallel", "trust --list", "assistants ci",
          "start --dry-run --assistant scripted:calculator x")  # fmt: skip
LONG = "a requirement that is much longer than eighty columns, so that a table of eighty columns would have to cut it"


def run(relay: Relay, shell: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of bash in which "$@" is `relay`."""
    return subprocess.run(
        ["bash", "-c", shell, "bash", *COMMAND], cwd=relay.root, env=environ(None), capture_output=True, text=True,
        timeout=WAIT_S, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_output_that_nobody_takes_is_no_bug(relay: Relay) -> None:
    relay.begin("scripted:calculator", LONG, "--yes", "--wait", env=QUICK)
    for args in PRINTING:
        line = f'"$@" {args}'
        gone = run(relay, f"{line} | true; exit ${{PIPESTATUS[0]}}")
        assert (gone.returncode, gone.stderr) == (0, ""), args
        full = run(relay, f"{line} > /dev/full")
        assert full.returncode == EXIT_FAILED, args
        assert full.stderr.startswith("error: standard output can't be written: No space left on device"), args
        closed = run(relay, f"{line} >&-")
        assert (closed.returncode, closed.stderr) == (0, ""), args


def test_both_ways_to_ask_for_json_give_the_same(relay: Relay) -> None:
    relay.begin("scripted:calculator", LONG, "--yes", "--wait", env=QUICK)
    ages = dict.fromkeys(("age_s", "left_s", "doing_s"))
    for line in TABLES:
        first, second = (relay.process(*line.split(), *how).stdout for how in (["--json"], ["--format", "json"]))
        assert {**_object(first), **ages} == {**_object(second), **ages}, line


def _object(text: str) -> dict[str, object]:
    data = json.loads(text)
    return data if isinstance(data, dict) else {"data": data}


def test_what_is_piped_is_never_cut(relay: Relay) -> None:
    relay.begin("scripted:calculator", LONG, "--yes", "--wait")
    assert LONG in relay("runs")
    assert LONG in relay("list")
    assert "…" not in relay("status") + relay("runs") + relay("assistants") + relay("config", "explain")


@pytest.fixture
def foreign(relay: Relay) -> list[str]:
    """Words to put before a command so that the finished run's project is another user's, who lets nobody in."""
    relay.begin("scripted:calculator", LONG, "--yes", "--wait", env=QUICK)
    (relay.root / ".git" / "relay").chmod(0o700)
    if os.geteuid():
        (relay.root / ".git" / "relay").chmod(0)
        return []
    eventually(lambda: not list(relay.root.glob(".project/worktrees/.removed-*")))
    for path in (relay.root, *relay.root.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]


def test_another_users_project_is_told_in_a_sentence(relay: Relay, foreign: list[str]) -> None:
    try:
        for args in (["status"], ["runs"], ["show"], ["logs", "add"], ["diff"], ["approve"], ["resume"], ["clean"],
                     ["start", "x"], ["config", "set", "parallel", "3"]):  # fmt: skip
            done = subprocess.run(
                [*foreign, *COMMAND, *args], cwd=relay.root, env=environ(None), capture_output=True, text=True,
                timeout=WAIT_S, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            assert done.returncode not in {0, 70}, (args, done)
            assert "Traceback" not in done.stderr
            assert done.stderr.startswith("error: "), (args, done)
            assert "No runs" not in done.stdout
    finally:
        (relay.root / ".git" / "relay").chmod(0o700)


def test_a_file_system_that_is_read_only_is_told_in_a_sentence(relay: Relay, tmp_path: Path) -> None:
    relay.begin("scripted:calculator", LONG, "--yes", "--wait", env=QUICK)
    inside = f"mount --bind {relay.root} {relay.root} && mount -o remount,ro,bind {relay.root} && cd {relay.root}"
    for args, code in (
        (["status"], 0),
        (["runs"], 0),
        (["show"], 0),
        (["logs", "add"], 0),
        (["diff", "--stat"], 0),
        (["list"], 0),
        (["approve"], 4),
        (["init"], 1),
        (["start", "--assistant", "scripted:calculator", "x"], 1),
        (["config", "set", "parallel", "3"], 1),
    ):
        done = subprocess.run(
            [*NAMESPACES, "bash", "-c", f'{inside} && "$@"', "bash", *COMMAND, *args],
            cwd=tmp_path, env=environ(None), capture_output=True, text=True, timeout=WAIT_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert not refused(done.stderr)
        assert done.returncode == code, (args, done)
        assert "Traceback" not in done.stderr
