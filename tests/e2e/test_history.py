"""Past runs by the real command line: found by what was said in them, counted, and forgotten."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import run_git
from driver import QUICK, Relay, playbook

from lib.errors import EXIT_USAGE
from lib.project.paths import find_project

SECRET = "s3cr3t-of-the-registry"  # noqa: S105 - made up
WORKFLOW = """
name: notes
steps:
  - id: collect
    workspace: none
    run: "echo changes of the parser; echo $REGISTRY_TOKEN"
  - id: check
    needs: [collect]
    workspace: none
    retry: {max_attempts: 2, delay_s: 0.01}
    run: "test -e TRIED || { touch TRIED; echo 'ECONNREFUSED by the quince server' >&2; exit 3; }"
"""


@pytest.fixture
def noted(relay: Relay, tmp_path: Path) -> Relay:
    """A project with a run of a workflow one step of which was retried."""
    folder = relay.root / ".project" / "workflows"
    folder.mkdir(parents=True)
    (folder / "notes.yaml").write_text(WORKFLOW.replace("TRIED", str(tmp_path / "tried")))
    relay("trust", "--yes")
    relay("start", "--workflow", "notes", "--assistant", playbook(tmp_path / "book", {"one": []}), "--wait",
          env={**QUICK, "REGISTRY_TOKEN": SECRET, "RELAY_ENV_PASS": "REGISTRY_TOKEN"})  # fmt: skip
    return relay


def found(relay: Relay, *args: str) -> list[Any]:
    rows: list[Any] = json.loads(relay("runs", *args, "--json"))
    return rows


def test_a_run_is_found_by_what_its_steps_printed_and_secrets_are_not(noted: Relay) -> None:
    run = noted.state()["run"]
    (row,) = found(noted, "econnrefused", "quince")
    assert (row["run"], row["found"]["step"], row["found"]["kind"]) == (run, "check", "error")
    assert row["found"]["words"] == ["ECONNREFUSED", "quince"]
    shown = noted("runs", "quince")
    assert run in shown
    assert "check error: " in shown
    assert "[quince]" in shown
    (row,) = found(noted, "masked REGISTRY_TOKEN")
    assert "[masked REGISTRY_TOKEN]" in row["found"]["text"]
    assert found(noted, f'"{SECRET}"') == []
    with closing(sqlite3.connect(find_project(noted.root).database)) as raw:
        assert not [row for row in raw.execute("SELECT * FROM texts") if SECRET in str(tuple(row))]
    assert "has these words" in noted("runs", "marzipan")
    assert [len(found(noted, *words)) for words in (["quince server"], ["server", "quince"])] == [1, 1]
    assert found(noted, "server quince") == []  # an argument in quotes is a phrase


def test_runs_are_filtered_and_what_is_no_date_or_outcome_is_refused(noted: Relay) -> None:
    assert len(found(noted, "--workflow", "notes", "--since", "1h", "--step", "check")) == 1
    for nothing in (
        ["--workflow", "build"],
        ["--until", "1h"],
        ["--step", "other"],
        ["--failed"],
        ["--outcome", "failed"],
    ):
        assert found(noted, *nothing) == []
    assert "No such run" in noted("runs", "--failed")
    assert "relay runs --since 7d" in noted.refused("runs", "--since", "soon", code=EXIT_USAGE)
    assert "landed, stored" in noted.refused("runs", "--outcome", "gone", code=EXIT_USAGE)


def test_stats_say_how_a_workflow_and_its_steps_went(noted: Relay) -> None:
    said = noted("stats")
    assert "notes" in said
    assert "Its steps: relay stats notes" in said
    (row,) = json.loads(noted("stats", "--json"))
    assert (row["workflow"], row["runs"], row["succeeded"], row["retried"], row["retried_done"]) == (
        "notes",
        1,
        1,
        1,
        1,
    )
    said = noted("stats", "notes")
    assert "Usual critical path: collect → check" in said
    assert "exit_nonzero 1" in said
    told = json.loads(noted("stats", "notes", "--json"))
    assert [(step["step"], step["done"], step["retries"], step["failures"]) for step in told["steps"]] == [
        ("collect", 1, 0, {}),
        ("check", 1, 1, {"exit_nonzero": 1}),
    ]
    assert "relay stats" in noted.refused("stats", "other")
    assert noted("stats", "--since", "2099-01-01").startswith("No such run")


def test_runs_of_long_ago_are_forgotten_once_nothing_of_them_is_left(noted: Relay, tmp_path: Path) -> None:
    first = noted.state()["run"]
    second = noted.begin(playbook(tmp_path / "two", {"two": [{"write": {"two.txt": "2\n"}}]}), "two", "--yes", "--wait",
                         "--land", "branch")  # fmt: skip
    noted("start", "--workflow", "notes", "--assistant", "scripted:calculator", "--wait", env=QUICK)
    third = noted.state()["run"]
    with closing(sqlite3.connect(find_project(noted.root).database)) as raw:
        raw.execute("UPDATE runs SET updated_at = '2026-01-01T00:00:00Z'")
        raw.commit()
    drop_checkpoints(noted, first)

    assert f"would forget the history of {first}" in noted("clean", "--history", "30", "--dry-run")
    assert "relay clean --history" in noted.refused("clean", "--dry-run", code=EXIT_USAGE)
    assert {row["run"] for row in found(noted)} == {first, second, third}
    said = noted("clean", "--history", "30")
    assert f"forgot the history of {first}" in said
    assert f"kept    the history of {second}: it has branches left" in said
    assert {row["run"] for row in found(noted)} == {second, third}
    assert {row["run"] for row in found(noted, "quince")} == {third}

    shutil.rmtree(noted.root / ".project" / "worktrees" / second)
    run_git(noted.root, "worktree", "prune")
    branches = run_git(noted.root, "branch", "--format=%(refname:short)", "--list", "relay/*").split()
    run_git(noted.root, "branch", "-D", *branches)
    drop_checkpoints(noted, second)
    noted("config", "set", "keep_history_days", "30")
    noted("trust", "--yes")
    noted("clean")
    assert {row["run"] for row in found(noted)} == {third}  # of which state.json is made
    drop_checkpoints(noted, third)
    said = noted.process(
        "start", "--workflow", "notes", "--assistant", "scripted:calculator", "--wait", env=QUICK
    ).stderr
    assert "keep_history_days: the history of 1 run is forgotten" in said
    assert {row["run"] for row in found(noted)} == {noted.state()["run"]}


def drop_checkpoints(relay: Relay, run: str) -> None:
    for ref in run_git(relay.root, "for-each-ref", "--format=%(refname)", f"refs/relay/checkpoints/{run}/").split():
        run_git(relay.root, "update-ref", "-d", ref)
