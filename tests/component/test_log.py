"""The logs: each event exactly once, whatever happens to the files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lib.logs.sinks import Sinks
from lib.project.paths import Project
from lib.secrets.masking import Masker
from lib.store.rows import EventRow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, tmp_path / ".git", tmp_path / ".git")


def row(seq: int, message: str = "hello") -> EventRow:
    return EventRow(seq, "2026-01-02T10:02:11.5+00:00", "r", "noted", json.dumps({"message": f"{message} {seq}"}))


def rows(first: int, last: int) -> list[EventRow]:
    return [row(seq) for seq in range(first, last + 1)]


def seqs(project: Project) -> tuple[list[int], list[int]]:
    """The events in events.jsonl and in workflow.log."""
    machine = [json.loads(line)["seq"] for line in (project.logs / "events.jsonl").read_bytes().splitlines()]
    human = [int(seq) for seq in re.findall(r"#(\d+)$", (project.logs / "workflow.log").read_text(), re.MULTILINE)]
    return machine, human


def test_an_event_is_one_line_for_machines_and_one_for_people(project: Project) -> None:
    with Sinks(project) as sinks:
        assert sinks.catch_up([row(41)]) is None
    line = {
        "seq": 41,
        "at": "2026-01-02T10:02:11.5+00:00",
        "mono_s": 0.0,
        "run": "r",
        "kind": "noted",
        "data": {"message": "hello 41"},
    }
    assert json.loads((project.logs / "events.jsonl").read_text()) == line
    assert (project.logs / "workflow.log").read_text() == "2026-01-02T10:02:11Z hello 41  #41\n"


def test_each_event_is_written_once_by_any_number_of_orchestrators_in_turn(project: Project) -> None:
    with Sinks(project) as first:
        first.catch_up(rows(1, 3))
        first.catch_up(rows(2, 5))
    with Sinks(project) as second:
        assert second.last_seq == 5
        second.catch_up(rows(1, 7))
    assert seqs(project) == ([1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7])


def test_an_event_that_says_nothing_to_people_does_not_hold_their_log_back(project: Project) -> None:
    silent = EventRow(2, "2026-01-02T10:02:11Z", "r", "job_spawned", "{}")
    with Sinks(project) as sinks:
        sinks.catch_up([row(1), silent])
        assert sinks.last_seq == 2
    assert seqs(project) == ([1, 2], [1])
    with Sinks(project) as again:
        again.catch_up([row(1), silent, row(3)])
    assert seqs(project) == ([1, 2, 3], [1, 3])


@pytest.mark.parametrize("name", ["events.jsonl", "workflow.log"])
def test_a_torn_last_line_is_replaced_by_the_whole_one(project: Project, name: str) -> None:
    with Sinks(project) as sinks:
        sinks.catch_up(rows(1, 3))
    log = project.logs / name
    whole = log.read_bytes()
    for size in range(len(whole) + 1):
        log.write_bytes(whole[:size])
        with Sinks(project) as sinks:
            sinks.catch_up(rows(1, 3))
        assert log.read_bytes() == whole


def test_a_tail_that_a_power_cut_filled_with_nothing_is_passed_over(project: Project) -> None:
    with Sinks(project) as sinks:
        sinks.catch_up(rows(1, 3))
    for name in ("events.jsonl", "workflow.log"):
        with (project.logs / name).open("ab") as file:
            file.write(bytes(100_000) + b"\n" + bytes(100_000))
    with Sinks(project) as sinks:
        assert sinks.last_seq == 3


@pytest.mark.parametrize("remove", ["events.jsonl", "workflow.log", "."])
def test_logs_deleted_meanwhile_are_remade(project: Project, remove: str) -> None:
    with Sinks(project) as sinks:
        sinks.catch_up(rows(1, 2))
        if remove == ".":
            project.dot.rename(project.root / "gone")
        else:
            (project.logs / remove).unlink()
        assert sinks.catch_up(rows(3, 4)) is None
    machine, human = seqs(project)
    assert machine[-2:] == human[-2:] == [3, 4]


def test_a_log_that_grew_large_is_put_aside_and_its_events_are_not_repeated(project: Project) -> None:
    with Sinks(project, rotate_bytes=1000) as sinks:
        for seq in range(1, 31):
            sinks.catch_up([row(seq)])
    assert (project.logs / "events.jsonl").stat().st_size <= 1000
    assert (project.logs / "events.jsonl.1").stat().st_size <= 1000
    (project.logs / "events.jsonl").write_text("")
    (project.logs / "workflow.log").unlink()
    kept = json.loads((project.logs / "events.jsonl.1").read_text().splitlines()[-1])["seq"]
    with Sinks(project) as sinks:
        assert 0 < sinks.last_seq <= kept


def test_a_log_of_a_database_that_was_deleted_is_put_aside(project: Project) -> None:
    with Sinks(project) as sinks:
        sinks.catch_up(rows(1, 50))
    with Sinks(project, newest_seq=2) as sinks:
        assert sinks.last_seq == 0
        sinks.catch_up(rows(1, 2))
    assert seqs(project) == ([1, 2], [1, 2])
    assert (project.logs / "workflow.log.1").read_text().endswith("#50\n")


def test_nothing_foreign_can_forge_a_line_or_drive_a_terminal(project: Project) -> None:
    hostile = "ok  #9\n2026-01-02T10:02:12Z finished\r\x1b[2J\u202e\x9b\u2028\ud800"
    event = EventRow(1, "2026-01-02T10:02:11Z", "r", "noted", json.dumps({"message": hostile}))
    with Sinks(project) as sinks:
        sinks.catch_up([event])
    for name in ("events.jsonl", "workflow.log"):
        text = (project.logs / name).read_bytes().decode("ascii")
        assert text.count("\n") == 1
        assert text[:-1].isprintable()
    assert json.loads((project.logs / "events.jsonl").read_text())["data"]["message"] == hostile
    with Sinks(project) as sinks:
        assert sinks.last_seq == 1


def test_secrets_are_masked_in_both_logs(project: Project) -> None:
    with Sinks(project, Masker({"API_KEY": 'quo"ted-secret'})) as sinks:
        sinks.catch_up([row(1, 'key quo"ted-secret')])
    for name in ("events.jsonl", "workflow.log"):
        assert "key [masked API_KEY] 1" in (project.logs / name).read_text()


@pytest.mark.parametrize("name", ["events.jsonl", "workflow.log"])
def test_a_log_that_is_a_link_or_a_fifo_is_refused_without_hanging(project: Project, name: str, tmp_path: Path) -> None:
    project.logs.mkdir(parents=True)
    target = tmp_path / "precious"
    target.write_text("kept")
    for make in (lambda path: path.symlink_to(target), os.mkfifo):
        make(project.logs / name)
        with Sinks(project) as sinks:
            problem = sinks.catch_up([row(1)])
            assert problem is not None
            assert name in problem
            assert sinks.last_seq == 0
            (project.logs / name).unlink()
            assert sinks.catch_up([row(1)]) is None
        (project.logs / name).unlink()
    assert target.read_text() == "kept"


def test_a_log_folder_that_leads_elsewhere_is_refused(project: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    project.dot.mkdir()
    project.logs.symlink_to(elsewhere)
    with Sinks(project) as sinks:
        assert "symbolic link" in str(sinks.catch_up([row(1)]))
    assert not list(elsewhere.iterdir())


def test_nothing_is_imported_or_made_before_the_first_event(project: Project) -> None:
    program = """
import sys
from pathlib import Path
from lib.logs.sinks import Sinks
from lib.project.paths import Project
root = Path(sys.argv[1])
sinks = Sinks(Project(root, root, root))
sys.exit(any(name in sys.modules for name in ("structlog", "pydantic")) or any(root.iterdir()))
"""
    subprocess.run([sys.executable, "-c", program, project.root], cwd=ROOT, check=True)
