"""The runs of this machine."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lib.jobs import ProcessIdentity
from lib.model import Base, Owner, State
from lib.project.paths import Project, user_state_dir
from lib.project.registry import RegistryEntry, entries, forget, record

ENTRY = RegistryEntry(
    project="/home/ada/app",
    instance="default",
    run="r1",
    requirement="A calculator",
    process={"pid": 7, "start_ticks": 8, "boot_id": "b"},
    phase="design",
    owner="ci",
    action="approve_design",
    outcome=None,
    updated_at="2026-01-02T10:02:11+00:00",
)


def test_an_entry_says_where_a_run_stands(tmp_path: Path) -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    state = State(
        rev=1,
        run="r",
        requirement="x" * 1000,
        phase="init",
        action_owner=Owner.CODE,
        action_needed="design",
        base=Base(branch="main", commit="c"),
        created_at=at,
        updated_at=at,
    )
    project = Project(tmp_path, tmp_path, tmp_path, "second")
    entry = RegistryEntry.of(project, state, ProcessIdentity(pid=7, start_ticks=8, boot_id="b"))
    assert (entry.project, entry.instance, entry.run) == (str(tmp_path), "second", "r")
    assert (entry.phase, entry.owner, entry.action, entry.outcome) == ("init", "code", "design", None)
    assert entry.requirement == "x" * 200
    assert entry.process == {"pid": 7, "start_ticks": 8, "boot_id": "b"}
    record(entry)
    assert entries() == ([entry], [])


def test_each_project_and_instance_has_one_entry_and_the_last_updated_comes_first() -> None:
    second = replace(ENTRY, instance="second", updated_at="2026-01-03T00:00:00+00:00")
    elsewhere = replace(ENTRY, project=os.fsdecode(b"/home/ada/caf\xe9"), updated_at="2026-01-04T00:00:00+00:00")
    for entry in (ENTRY, second, elsewhere, replace(ENTRY, run="r2")):
        assert record(entry) is None
    assert entries() == ([elsewhere, second, replace(ENTRY, run="r2")], [])
    assert not list(user_state_dir().rglob("*.tmp"))


def test_a_forgotten_run_is_gone_and_may_be_forgotten_twice() -> None:
    record(ENTRY)
    forget(ENTRY)
    forget(ENTRY)
    assert entries() == ([], [])


@pytest.mark.parametrize(
    "broken",
    [b"", b"{", b"[]", b"{}", b'{"project": 1}', b"\xff\xfe", b"[" * 60_000, b" " * 70_000,
     *(json.dumps(asdict(ENTRY) | {"process": process}).encode() for process in (7, {"pid": "7"}))],
    ids=range(10),
)  # fmt: skip
def test_a_broken_entry_is_skipped_with_a_note(broken: bytes) -> None:
    record(ENTRY)
    (user_state_dir() / "runs" / "aa.json").write_bytes(broken)
    os.mkfifo(user_state_dir() / "runs" / "bb.json")
    found, notes = entries()
    assert found == [ENTRY]
    assert ["aa.json" in notes[0], "bb.json" in notes[1]] == [True, True]


def test_a_home_that_can_not_be_written_costs_only_a_warning() -> None:
    user_state_dir().parent.mkdir(parents=True)
    user_state_dir().write_text("in the way")
    assert "relay list can't show this run" in str(record(ENTRY))
    assert entries() == ([], [])
