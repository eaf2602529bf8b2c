"""The run database: one transaction a tick, readers beside writers, one schema."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from lib.errors import RelayError
from lib.project.paths import Project
from lib.store.migrations import VERSION
from lib.store.rundb import REVISIONS_KEPT, Checkpoint, JobRow, Revision, RunDB, RunRow, StepRow, StoreError

ROOT = Path(__file__).resolve().parents[2]
AT = "2026-01-02T10:02:11Z"

PRELUDE = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from lib.project.paths import Project
from lib.store.rundb import RunDB
root = Path(sys.argv[2])
project = Project(root, root / ".git", root / ".git")
"""
OPENER = f"""{PRELUDE}
print("ready", flush=True)
sys.stdin.read()
RunDB.open(project).close()
"""
FORKER = f"""{PRELUDE}
with RunDB.open(project) as db:
    child = os.fork()
    if child == 0:
        try:
            db.last_seq()
        except RuntimeError:
            os._exit(7)
        os._exit(1)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def header(**changes: object) -> dict[str, Any]:
    return {
        "workflow": "build",
        "requirement": "Add a calculator",
        "phase": "init",
        "action_owner": "code",
        "action_needed": "design",
        "paused": False,
        "outcome": None,
        "rev": 1,
        "created_at": AT,
        "updated_at": AT,
    } | changes


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / ".git").mkdir()
    return Project(tmp_path, tmp_path / ".git", tmp_path / ".git")


def test_all_that_a_tick_decided_comes_back_as_it_was_given(project: Project) -> None:
    revision = Revision(1, "ab" * 32, "init", "code", "design", "words", paused=True)
    problem = {"code": "x", "message": "m"}
    with RunDB.open(project) as db:
        seq = db.commit(
            "run-1",
            events=[(AT, "noted", '{"message":"one"}'), (AT, "noted", '{"message":"two"}')],
            header=header(dispatch=4),
            options={"parallel": 3},
            steps=[StepRow("z", "{}"), StepRow("a", "{}")],
            jobs=[JobRow("j2", 1, False, '{"n":2}'), JobRow("j1", 1, False, '{"n":1}')],
            file_bytes=b'{"rev": 1}\n',
            revision=revision,
            problem=problem,
        )
        db.commit("run-1", steps=[StepRow("z", '{"status":"built"}')], jobs=[JobRow("j2", 1, True, '{"n":3}')])
        with db.look("run-1") as look:
            stored, steps, jobs, revisions = look.stored, look.steps(), look.jobs(), look.revisions()
    assert seq == 2
    assert stored.header == header(dispatch=4)
    assert stored.options == {"parallel": 3}
    assert steps == [StepRow("z", '{"status":"built"}'), StepRow("a", "{}")]
    assert jobs == [JobRow("j2", 1, True, '{"n":3}'), JobRow("j1", 1, False, '{"n":1}')]
    assert revisions == (revision,)
    assert stored.file_bytes == b'{"rev": 1}\n'
    assert (stored.row.id, stored.row.root, stored.row.problem) == ("run-1", str(project.root), problem)


def test_a_transaction_that_fails_leaves_nothing_behind(project: Project) -> None:
    with RunDB.open(project) as db:
        db.commit("run-1", header=header(), events=[(AT, "noted", "{}")])
        with pytest.raises(sqlite3.IntegrityError):
            db.commit(
                "run-1",
                header=header(rev=2),
                events=[(AT, "noted", "{}")],
                jobs=[JobRow("j", 1, False, None)],  # type: ignore[arg-type]
            )
        assert db.load("run-1").header["rev"] == 1
        assert db.last_seq() == 1
        assert db.commit("run-1", events=[(AT, "noted", "{}")]) == 2


def test_a_problem_stands_until_a_header_comes_without_it(project: Project) -> None:
    with RunDB.open(project) as db:
        db.commit("r", header=header(), problem={"code": "c"})
        db.commit("r", events=[(AT, "noted", "{}")])
        assert db.load("r").row.problem == {"code": "c"}
        db.commit("r", header=header())
        assert db.load("r").row.problem is None


def test_the_active_run_is_the_newest_without_an_outcome(project: Project) -> None:
    key = project.instance_dir.name
    with RunDB.open(project) as db:
        assert db.active_run(key) is db.latest_run(key) is None
        for run in ("a", "b", "c"):
            db.commit(run, header=header())
        db.commit("c", header=header(outcome="landed"))
        assert db.active_run(key) == "b"
        assert db.latest_run(key) == "c"
        assert db.active_run("another") is None


def test_runs_of_all_instances_are_listed_the_newest_first(project: Project) -> None:
    other = Project(project.root, project.git_dir, project.common_dir, "second")
    with RunDB.open(project) as db, RunDB.open(other) as second:
        db.commit("a", header=header())
        db.commit("b", header=header(outcome="cancelled"))
        second.commit("c", header=header())

        assert ids(db.runs()) == ["c", "b", "a"]
        assert ids(db.runs(limit=1)) == ["c"]


def ids(rows: list[RunRow]) -> list[str]:
    return [row.id for row in rows]


def test_events_are_read_in_order_after_a_seq_by_kind_or_from_the_end(project: Project) -> None:
    with RunDB.open(project) as db:
        db.commit("a", header=header(), events=[(AT, kind, "{}") for kind in ("noted", "asked", "noted")])
        db.commit("b", header=header(), events=[(AT, "noted", "{}")])
        db.commit("a", events=[(AT, "advanced", '{"phase":"x"}')])
        assert [event.seq for event in db.events("a")] == [1, 2, 3, 5]
        assert [event.seq for event in db.events("a", after_seq=3)] == [5]
        assert [event.seq for event in db.events("a", kinds=("noted", "advanced"))] == [1, 3, 5]
        assert [event.seq for event in db.events("a", newest=2)] == [3, 5]
        assert db.events("a")[-1] == (5, AT, "a", "advanced", '{"phase":"x"}', 0.0)


def test_only_the_last_revisions_are_kept(project: Project) -> None:
    with RunDB.open(project) as db:
        for rev in range(1, REVISIONS_KEPT + 11):
            revision = Revision(rev, "", "init", "code", "design", "", paused=False)
            db.commit("a", header=header(rev=rev), revision=revision)
        revisions = db.revisions("a")
    assert len(revisions) == REVISIONS_KEPT
    assert (revisions[0].rev, revisions[-1].rev) == (11, REVISIONS_KEPT + 10)


def test_a_checkpoint_keeps_what_was_true_in_its_own_transaction(project: Project) -> None:
    with RunDB.open(project) as db:
        db.commit("a", header=header(), options={"verify": "make"}, steps=[StepRow("x", '{"n":1}')])
        db.commit(
            "a",
            header=header(phase="execution"),
            events=[(AT, "noted", "{}")],
            steps=[StepRow("x", '{"n":2}')],
            checkpoint=Checkpoint("designed", AT, {"base": "c0ffee"}, design="{}"),
        )
        db.commit("a", header=header(phase="storage"), steps=[StepRow("x", '{"n":3}')])
        (made,) = db.checkpoints("a")
    assert (made.run, made.event_seq, made.label, made.at) == ("a", 1, "designed", AT)
    assert made.header["phase"] == "execution"
    assert made.steps == (StepRow("x", '{"n":2}'),)
    assert made.commits == {"base": "c0ffee"}
    assert (made.config, made.design) == ({"verify": "make"}, "{}")


def test_a_database_that_may_not_be_made_is_not(project: Project) -> None:
    with pytest.raises(StoreError):
        RunDB.open(project, may_make=False)
    assert not project.store.exists()
    RunDB.open(project).close()
    RunDB.open(project, may_make=False).close()


def test_the_orchestrator_of_a_run_is_recorded_and_cleared(project: Project) -> None:
    identity = {"pid": 7, "start_ticks": 8, "boot_id": "b"}
    with RunDB.open(project) as db:
        db.commit("a", header=header())
        db.set_orchestrator("a", identity)
        assert db.load("a").row.orchestrator == identity
        db.set_orchestrator("a", None)
        assert db.load("a").row.orchestrator is None


def test_lone_surrogates_and_odd_paths_are_stored(tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(b"caf\xe9")
    (root / ".git").mkdir(parents=True)
    project = Project(root, root / ".git", root / ".git")
    with RunDB.open(project) as db:
        db.commit("a", header=header(requirement="odd \ud800"))
        stored = db.load("a")
    assert stored.row.root == str(root)
    assert stored.row.requirement == r"odd \ud800"
    assert stored.header["requirement"] == "odd \ud800"


def test_an_unknown_run_is_refused_with_a_remedy(project: Project) -> None:
    with RunDB.open(project) as db, pytest.raises(RelayError, match="no run nope") as caught:
        db.load("nope")
    assert (caught.value.code, caught.value.remedy) == ("unknown_run", "relay runs")


# --- readers ---------------------------------------------------------------------------------------------------------


def test_reading_where_there_is_no_database_gives_none_and_makes_nothing(project: Project) -> None:
    assert RunDB.open_readonly(project.database) is None
    project.store.mkdir()
    project.database.touch()
    assert RunDB.open_readonly(project.database) is None
    assert list(project.store.iterdir()) == [project.database]


def test_reading_a_database_that_nobody_has_open_makes_no_file(project: Project) -> None:
    with RunDB.open(project) as db:
        db.commit("a", header=header())
    with _reader(project) as reader:
        assert reader.load("a").row.phase == "init"
        assert reader.check() == []
    assert list(project.store.iterdir()) == [project.database]


def test_a_reader_sees_every_commit_of_writers_that_come_and_go(project: Project) -> None:
    with RunDB.open(project) as db:
        db.commit("a", header=header(phase="init"))
    reader = _reader(project)
    assert reader.load("a").row.phase == "init"
    with RunDB.open(project) as db:
        db.commit("a", header=header(phase="design"))
        assert reader.load("a").row.phase == "design"
    with RunDB.open(project) as db:
        db.commit("a", header=header(phase="execution"))
    assert reader.load("a").row.phase == "execution"


def test_a_reader_can_not_write(project: Project) -> None:
    with RunDB.open(project) as db:
        db.commit("a", header=header())
    with _reader(project) as reader, pytest.raises(RuntimeError, match="for reading only"):
        reader.set_orchestrator("a", None)


def test_a_reader_works_while_a_writer_is_in_the_middle_of_a_transaction(project: Project) -> None:
    with RunDB.open(project) as db, closing(sqlite3.connect(project.database, isolation_level=None)) as busy:
        db.commit("a", header=header())
        busy.execute("BEGIN IMMEDIATE")
        busy.execute("UPDATE runs SET phase = 'half'")
        with _reader(project) as reader:
            assert reader.load("a").row.phase == "init"


def _reader(project: Project) -> RunDB:
    reader = RunDB.open_readonly(project.database)
    assert reader is not None
    return reader


# --- schema and safety -----------------------------------------------------------------------------------------------


def test_a_database_of_a_newer_relay_is_refused_and_left_alone(project: Project) -> None:
    RunDB.open(project).close()
    with closing(sqlite3.connect(project.database)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = project.database.read_bytes()
    with pytest.raises(RelayError, match="newer Relay") as caught:
        RunDB.open(project)
    assert caught.value.code == "database_newer"
    with pytest.raises(RelayError, match="newer Relay"):
        RunDB.open_readonly(project.database)
    assert project.database.read_bytes() == before


def test_many_processes_that_open_a_new_database_at_once_all_succeed(project: Project) -> None:
    script = [sys.executable, "-c", OPENER, ROOT, project.root]
    with ExitStack() as stack:
        openers = [
            stack.enter_context(subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            for _ in range(8)
        ]
        for opener in openers:
            assert opener.stdout is not None
            assert opener.stdout.readline() == b"ready\n"
        for opener in openers:
            assert opener.stdin is not None
            opener.stdin.close()
    assert [opener.returncode for opener in openers] == [0] * 8
    with _reader(project) as reader:
        assert reader.runs() == []


def test_a_connection_refuses_to_be_used_after_a_fork(project: Project) -> None:
    done = subprocess.run([sys.executable, "-c", FORKER, ROOT, project.root], check=False)
    assert done.returncode == 7


@pytest.mark.parametrize("name", ["relay.db", "relay.db-wal", "relay.db-shm", ""])
def test_links_are_refused(project: Project, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    if name:
        project.store.mkdir()
        elsewhere.touch()
    else:
        elsewhere.mkdir()
    (project.store / name).symlink_to(elsewhere)
    with pytest.raises(StoreError) as caught:
        RunDB.open(project)
    assert caught.value.code == "store_refused"
    assert not elsewhere.stat().st_size if name else not list(elsewhere.iterdir())


def test_a_fifo_in_the_place_of_the_database_is_refused_without_hanging(project: Project) -> None:
    project.store.mkdir()
    os.mkfifo(project.database)
    with pytest.raises(StoreError) as caught:
        RunDB.open_readonly(project.database)
    assert caught.value.code == "store_refused"


@pytest.mark.parametrize("write", [True, False])
def test_something_that_is_no_database_is_told_with_a_remedy(project: Project, *, write: bool) -> None:
    project.store.mkdir()
    project.database.write_bytes(b"not a database at all" * 400)
    with pytest.raises(StoreError) as caught:
        RunDB.open(project) if write else RunDB.open_readonly(project.database)
    assert (caught.value.code, caught.value.remedy) == ("store_corrupt", "relay doctor")


def test_damage_is_found_by_the_check(project: Project) -> None:
    with RunDB.open(project) as db:
        db.commit("a", header=header(), events=[(AT, "noted", json.dumps({"message": "x" * 500}))] * 200)
    damaged = bytearray(project.database.read_bytes())
    whole = len(damaged) // 2 // 4096 * 4096 + 2048  # a page without its head is refused before it is checked
    damaged[whole:] = b"\xff" * (len(damaged) - whole)
    project.database.write_bytes(damaged)
    with _reader(project) as reader:
        assert reader.check()


def test_a_database_that_another_process_keeps_locked_is_told_and_then_works(project: Project) -> None:
    with (
        RunDB.open(project, busy_timeout_s=0.01) as db,
        closing(sqlite3.connect(project.database, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError) as caught:
            db.commit("a", header=header())
        assert caught.value.code == "store_busy"
        assert caught.value.remedy == f"fuser -v {project.database}"
        other.execute("ROLLBACK")
        db.commit("a", header=header())


def test_a_database_deleted_or_replaced_under_its_writer_is_told_instead_of_written_to_nowhere(
    project: Project,
) -> None:
    with RunDB.open(project) as db:
        db.commit("a", header=header())
        for replace in (project.database.unlink, project.database.touch):
            replace()
            with pytest.raises(StoreError) as caught:
                db.commit("a", header=header(rev=2))
            assert caught.value.code == "store_gone"


def test_reading_costs_no_import_of_pydantic(project: Project) -> None:
    RunDB.open(project).close()
    program = f"{PRELUDE}\nRunDB.open_readonly(project.database).runs()\nsys.exit('pydantic' in sys.modules)"
    subprocess.run([sys.executable, "-c", program, ROOT, project.root], check=True)
