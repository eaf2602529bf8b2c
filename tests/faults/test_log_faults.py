"""The logs when the disk is full, and when their writer is killed."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

from lib.logs.sinks import Sinks
from lib.project.paths import Project
from lib.store.rows import EventRow

ROOT = Path(__file__).resolve().parents[2]
AT = "2026-01-02T10:02:11Z"


def row(seq: int) -> EventRow:
    return EventRow(seq, AT, "r", "noted", json.dumps({"message": "x" * 300}))


def written(project: Project) -> list[int]:
    return [json.loads(line)["seq"] for line in (project.logs / "events.jsonl").read_text().splitlines()]


def test_a_full_disk_is_reported_and_what_was_missing_is_written_when_mended(tmp_path: Path) -> None:
    project = Project(tmp_path, tmp_path, tmp_path)
    events = [row(seq) for seq in range(1, 11)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Sinks(project) as sinks:
        assert sinks.catch_up(events[:2]) is None
        size = (project.logs / "events.jsonl").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
        try:
            problem = sinks.catch_up(events[2:5])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert "can't be written: File too large" in str(problem)
        assert written(project) == [1, 2]
        assert sinks.last_seq == 2
        assert sinks.catch_up(events[2:]) is None
    assert written(project) == list(range(1, 11))
    assert len((project.logs / "workflow.log").read_text().splitlines()) == 10


WRITER = """
import sys
from itertools import count
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from lib.logs.sinks import Sinks
from lib.project.paths import Project
from lib.store.rows import EventRow
root = Path(sys.argv[2])
with Sinks(Project(root, root, root)) as sinks:
    for seq in count(sinks.last_seq + 1):
        assert sinks.catch_up([EventRow(seq, "2026-01-02T10:02:11Z", "r", "noted", '{"message": "m"}')]) is None
        print(seq, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_no_gap_and_no_repetition(tmp_path: Path) -> None:
    project = Project(tmp_path, tmp_path, tmp_path)
    for events in (1, 3, 50, 211):
        with subprocess.Popen([sys.executable, "-c", WRITER, ROOT, tmp_path], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            acknowledged = [writer.stdout.readline() for _ in range(events)]
            writer.kill()
            acknowledged += writer.stdout.readlines()
        with Sinks(project) as sinks:
            done = sinks.last_seq + 2
            assert done > int(acknowledged[-1])
            assert sinks.catch_up([row(seq) for seq in range(1, done + 1)]) is None
        assert written(project) == list(range(1, done + 1))
        lines = (project.logs / "workflow.log").read_text().splitlines()
        assert [line.rpartition("#")[2] for line in lines] == [str(seq) for seq in range(1, done + 1)]
