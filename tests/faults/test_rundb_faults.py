"""The run database under `kill -9`, on a full disk, and on one that can't be written."""

from __future__ import annotations

import inspect
import random
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from small_disk import SmallDisk

from lib.project.paths import Project
from lib.store.rundb import JobRow, RunDB, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parents[2]
AT = "2026-01-02T10:02:11Z"


def commit(db: RunDB, number: int) -> None:
    header: dict[str, Any] = {
        "workflow": "build",
        "requirement": "r",
        "phase": "execution",
        "action_owner": "code",
        "action_needed": "execution",
        "paused": False,
        "outcome": None,
        "rev": number,
        "created_at": AT,
        "updated_at": AT,
    }
    db.commit(
        "run",
        header=header,
        events=[(AT, "noted", "{}")],
        jobs=[JobRow(f"job-{number}", number, ended=True, data="x" * 500)],
        file_bytes=b"%d" % number,
    )


#: Commits without end; after each has returned, its number is printed.
WRITER = f"""
from __future__ import annotations
import sys
from itertools import count
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from lib.project.paths import Project
from lib.store.rundb import JobRow, RunDB
AT = {AT!r}
{inspect.getsource(commit)}
root = Path(sys.argv[2])
with RunDB.open(Project(root, root, root)) as db:
    for number in count(db.last_seq() + 1):
        commit(db, number)
        print(number, flush=True)
"""


def commit_all(db: RunDB, numbers: Iterable[int]) -> None:
    for number in numbers:
        commit(db, number)


def committed(db: RunDB) -> int:
    """The number of commits; each must be there as a whole."""
    with db.look("run") as look:
        stored, count = look.stored, len(look.jobs())
    assert stored.file_bytes == b"%d" % count
    assert stored.header["rev"] == db.last_seq() == len(db.events("run")) == count
    return count


def test_every_acknowledged_commit_survives_kill_9_at_any_moment(tmp_path: Path) -> None:
    project = Project(tmp_path, tmp_path, tmp_path)
    moments = random.Random(20)  # noqa: S311 - which moments does not matter, only that a failure can be had again
    for _ in range(12):
        command = [sys.executable, "-c", WRITER, ROOT, tmp_path]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            acknowledged = [writer.stdout.readline() for _ in range(moments.randint(1, 60))]
            writer.kill()
            acknowledged += writer.stdout.readlines()
        last = int(acknowledged[-1])
        reader = RunDB.open_readonly(project.database)
        assert reader is not None
        assert last <= committed(reader) <= last + 1
        with RunDB.open(project) as db:
            assert last <= committed(db) <= last + 1
            assert db.check() == []


@pytest.fixture
def disk(small_disk: SmallDisk) -> Path:
    """A file system of 1 MB."""
    return small_disk("size=1m")


def fill(folder: Path) -> Path:
    ballast = folder / "ballast"
    with pytest.raises(OSError, match="No space"):
        ballast.write_bytes(bytes(2_000_000))
    return ballast


def test_a_full_disk_leaves_what_was_there_and_the_same_connection_goes_on_when_mended(disk: Path) -> None:
    with RunDB.open(Project(disk, disk, disk)) as db:
        commit(db, 1)
        ballast = fill(disk)
        with pytest.raises(StoreError) as caught:
            commit_all(db, range(2, 1000))
        assert caught.value.code in {"store_full", "store_io"}
        assert caught.value.remedy == f"df -h {disk / 'relay'}"
        kept = committed(db)
        ballast.unlink()
        commit(db, kept + 1)
        assert committed(db) == kept + 1
        assert db.check() == []


def test_a_database_that_finds_no_space_to_be_made_is_made_when_there_is_some(disk: Path) -> None:
    project = Project(disk, disk, disk)
    ballast = fill(disk)
    with pytest.raises(StoreError) as caught:
        RunDB.open(project)
    assert caught.value.code in {"store_full", "store_io"}
    assert RunDB.open_readonly(project.database) is None
    ballast.unlink()
    with RunDB.open(project) as db:
        commit(db, 1)
        assert committed(db) == 1


def test_a_read_only_disk_is_told_and_can_still_be_read(disk: Path) -> None:
    project = Project(disk, disk, disk)
    with RunDB.open(project) as db:
        commit(db, 1)
    subprocess.run(["mount", "-o", "remount,bind,ro", disk], check=True)
    with pytest.raises(StoreError) as caught, RunDB.open(project) as db:
        commit(db, 2)
    assert caught.value.code == "store_readonly"
    reader = RunDB.open_readonly(project.database)
    assert reader is not None
    assert committed(reader) == 1


def test_a_write_that_the_system_refuses_is_told_and_works_again_later(tmp_path: Path) -> None:
    """As for a full disk, for those who may not mount one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with RunDB.open(Project(tmp_path, tmp_path, tmp_path)) as db:
        commit(db, 1)
        size = (tmp_path / "relay" / "relay.db-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            with pytest.raises(StoreError) as caught:
                commit(db, 2)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert caught.value.code in {"store_full", "store_io"}
        assert committed(db) == 1
        commit(db, 2)
        assert committed(db) == 2
