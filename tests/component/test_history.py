"""The history of runs: all that was said in them is found, counted and forgotten as a look at each run has it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from situations import job, state, step

from lib.errors import RelayError
from lib.events import (
    Asked,
    Event,
    Finished,
    JobEnded,
    JobProgressed,
    JobStarted,
    ProblemFound,
    RunStarted,
    StateEdited,
    StepAdded,
    StepChanged,
)
from lib.jobs import Job, JobKind, JobResult, Progress
from lib.model import Base, Component, Edit, Owner, Problem, RunOutcome, Step, Usage
from lib.names import to_json
from lib.project.paths import Project
from lib.steps import StepKind, StepStatus
from lib.store.history import ALL, Wanted
from lib.store.migrations import MIGRATIONS, WITH_VIEWS
from lib.store.rundb import INDEXED_AT_ONCE, JobRow, RunDB, StepRow

ROOT = Path(__file__).resolve().parents[2]
BEGAN = datetime(2026, 1, 2, 10, 0, tzinfo=UTC)
STEPS = (
    step("write", StepKind.PROMPT, StepStatus.DONE, attempt=2, usage=Usage(input_tokens=10, cost_usd=0.5)),
    step("test", StepKind.RUN, StepStatus.FAILED, needs=("write",), error=Problem(code="exit_nonzero", message="exit 1",
                                                                                remedy="relay retry")),
)  # fmt: skip
API = Component(id="api", title="Gooseberry interface", acceptance=("It is tart",))
JOBS = (
    job("turn", "write", prompt={"task": "Describe the marmalade exporter"}),
    job("run", "test", kind=JobKind.COMMAND, command="pytest --walnut"),
)
RESULTS = (
    JobResult(ok=True, text="I described the exporter, in \u00c9clair style."),
    JobResult(ok=False, code="exit_nonzero", message="exit status 1", tail="E   Segfault in libquince"),
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / ".git").mkdir()
    return Project(tmp_path, tmp_path / ".git", tmp_path / ".git")


def events_of(name: str, requirement: str) -> list[Event]:
    problem = Problem(code="disk", message="the disk is full of raisins", remedy="df")
    return [
        RunStarted(run=name, workflow="flow", instance="default", requirement=requirement,
                   base=Base(branch="main", commit="0"), phase="execution", action="execution"),
        StepAdded(step=Step(id="api", component=API)),
        JobStarted(job=JOBS[0]),
        JobProgressed(job=JOBS[0].id, progress=Progress(reason="unheard progress")),
        JobEnded(job=JOBS[0].id, result=RESULTS[0]),
        JobStarted(job=JOBS[1]),
        JobEnded(job=JOBS[1].id, result=RESULTS[1]),
        StepChanged(step="ok", of=StepKind.GATE, changes={"words": "Ship the cherries?", "output": {"by": "Ada Plum"}}),
        StepChanged(step="all", of=StepKind.FAN, changes={"output": ["unheard twice"]}),
        StateEdited(edit=Edit(action_owner=Owner.CODE, feedback="use more cinnamon")),
        ProblemFound(problem=problem),
        Asked(action="fix_failure", message="?", next_action="execution", error=problem.model_copy(
            update={"message": "the kettle is cold", "report": ("line of treacle",)})),
        Finished(outcome=RunOutcome.DONE, message="done", outputs={"fruit": "damson"}),
    ]  # fmt: skip


def record(
    db: RunDB, name: str, *, requirement: str = "a pudding", outcome: str | None = "done", at: datetime = BEGAN,
    workflow: str = "flow", steps: Sequence[Step] = STEPS, progress: int = 0,
) -> None:  # fmt: skip
    """Records a run that took a minute, with `progress` more events than it has otherwise."""
    known = state(run=name, requirement=requirement, outcome=outcome, workflow=workflow, created_at=at,
                  updated_at=at + timedelta(minutes=1))  # fmt: skip
    ended = [each.model_copy(update={"result": result}) for each, result in zip(JOBS, RESULTS, strict=True)]
    events = [*events_of(name, requirement),
              *[JobProgressed(job=JOBS[0].id, progress=Progress())] * progress]  # fmt: skip
    db.commit(
        name, header={**known.model_dump(mode="json"), "engine": {}}, steps=[StepRow(s.id, to_json(s)) for s in steps],
        jobs=[job_row(each) for each in ended],
        events=[(at.isoformat(), event.kind, to_json(event)) for event in events],
    )  # fmt: skip


def job_row(each: Job) -> JobRow:
    return JobRow(each.id, each.dispatch, each.result is not None, to_json(each))


def places(project: Project, words: str, wanted: Wanted = ALL) -> list[tuple[str, str, str]]:
    """The run, step and kind of each text that is found."""
    reader = RunDB.open_readonly(project.database)
    assert reader is not None
    with reader.history() as history:
        return [(each.run.id, each.place.step, each.place.kind) for each in history.search(words, wanted)]


SAID = [
    ("a pudding", "", "requirement"),
    ("gooseberry tart", "api", "prompt"),
    ("marmalade", "write", "prompt"),
    ("ECLAIR", "write", "output"),
    ("walnut", "test", "prompt"),
    ("segfault libquince", "test", "error"),
    ("cherries", "ok", "prompt"),
    ("plum", "ok", "output"),
    ("cinnamon", "", "prompt"),
    ("raisins", "", "error"),
    ("kettle treacle", "", "error"),
    ("damson", "", "output"),
]


@pytest.mark.parametrize("progress", [0, INDEXED_AT_ONCE], ids=["not indexed yet", "indexed"])
def test_all_that_was_said_is_found_with_its_step_and_kind(project: Project, progress: int) -> None:
    with RunDB.open(project) as db:
        record(db, "r", progress=progress)
        for words, of, kind in SAID:
            assert places(project, words) == [("r", of, kind)], words
        for unheard in ("unheard", "raisins damson", "", "* - ?"):
            assert places(project, unheard) == []
    assert places(project, "libquince") == [("r", "test", "error")]  # nobody has the database open


def test_what_is_in_the_index_and_what_is_not_yet_are_one_history(project: Project) -> None:
    with RunDB.open(project) as db:
        record(db, "a", progress=INDEXED_AT_ONCE)
        record(db, "b", requirement="another pudding")
    assert places(project, "pudding") == [("b", "", "requirement"), ("a", "", "requirement")]
    assert places(project, '"a pudding"') == [("a", "", "requirement")]
    assert places(project, "pud") == places(project, "PUDDING")
    with closing(sqlite3.connect(project.database)) as raw:
        (indexed,) = raw.execute("SELECT seq FROM indexed").fetchone()
        assert 0 < indexed < raw.execute("SELECT max(seq) FROM events").fetchone()[0]


def test_a_place_says_where_the_words_are_in_its_text(project: Project) -> None:
    with RunDB.open(project) as db:
        record(db, "r", requirement="one\n two pudding\tthree puddings")
        with db.history() as history:
            (found,) = history.search("pudding")
            assert history.search("pudding") == [found]
    place = found.place
    assert place.text == "one two pudding three puddings"
    assert [place.text[begin:end] for begin, end in place.marks] == ["pudding", "puddings"]
    assert place.at == BEGAN.isoformat()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("written")
    (root / ".git").mkdir()
    made = Project(root, root / ".git", root / ".git")
    with RunDB.open(made) as db:
        record(db, "r", progress=INDEXED_AT_ONCE)
    return made


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.one_of(st.sampled_from("\"*-+^(){}[]:.,\\'%_ \t\nANDORNEAT"), st.characters(codec="utf-8")), max_size=20)
)
@example('"')
@example('pudding AND "')
@example("requirement : pudding")
@example("NEAR(a b, 2) OR NOT *")
def test_nothing_that_is_typed_is_an_operator(written: Project, words: str) -> None:
    assert set(places(written, words)) <= {("r", *where) for _, *where in SAID}
    assert places(written, f"pudding {words.replace(chr(34), '')}") in ([], [("r", "", "requirement")])


def test_runs_are_chosen_by_all_that_is_given(project: Project) -> None:
    with RunDB.open(project) as db:
        record(db, "a", at=BEGAN - timedelta(days=9))
        record(db, "b", outcome="failed", workflow="other", steps=[])
        record(db, "c", outcome=None, steps=STEPS[:1])
        with db.history() as history:

            def chosen(**wanted: Any) -> list[str]:
                return [row.id for row in history.runs(Wanted(**wanted))]

            assert chosen() == ["c", "b", "a"]
            assert [row.id for row in history.runs(limit=1)] == ["c"]
            assert chosen(workflow="other") == ["b"]
            assert chosen(outcome="failed") == ["b"]
            assert chosen(since=(BEGAN - timedelta(days=1)).isoformat()) == ["c", "b"]
            assert chosen(until=(BEGAN - timedelta(days=1)).isoformat()) == ["a"]
            assert chosen(step="write") == ["c", "a"]
            assert chosen(failed=True) == ["b", "a"]
            assert chosen(failed=True, step="write") == []
            assert chosen(failed=True, step="test") == ["a"]
    with RunDB.open(project) as db:
        record(db, "d", outcome="cancelled", steps=[STEPS[1].model_copy(update={"status": StepStatus.CANCELLED})])
        with db.history() as history:
            assert [row.id for row in history.runs(Wanted(failed=True))] == ["d", "b", "a"]
    assert places(project, "segfault", Wanted(step="test")) == [("d", "test", "error"), ("a", "test", "error")]
    assert places(project, "segfault", Wanted(step="write")) == []


def test_the_views_sum_up_runs_steps_workflows_and_failures(project: Project) -> None:
    with RunDB.open(project) as db:
        record(db, "a")
        record(db, "b", outcome="failed", at=BEGAN + timedelta(hours=1))
    with closing(sqlite3.connect(project.database)) as raw:
        raw.row_factory = sqlite3.Row
        run = dict(raw.execute("SELECT * FROM run_summary WHERE run = 'a'").fetchone())
        first = dict(raw.execute("SELECT * FROM step_summary WHERE run = 'a' AND step = 'write'").fetchone())
        (workflow,) = [dict(row) for row in raw.execute("SELECT * FROM workflow_summary")]
        failures = [tuple(row)[:5] for row in raw.execute("SELECT * FROM failure_summary")]
    assert (run["workflow"], run["outcome"], run["steps"], run["done"], run["failed"]) == ("flow", "done", 2, 1, 1)
    assert (run["attempts"], run["retries"], run["retried"], run["retried_done"]) == (3, 1, 1, 1)
    assert (run["input_tokens"], run["cost_usd"], run["most_at_once"]) == (10, 0.5, 2)
    assert run["wall_s"] == pytest.approx(60, abs=0.01)
    assert run["work_s"] == pytest.approx(120, abs=0.01)
    assert run["busy_s"] == pytest.approx(60, abs=0.5)
    assert run["parallel_efficiency"] == pytest.approx(1, abs=0.01)
    assert (first["node"], first["kind"], first["status"], first["attempts"]) == ("write", "prompt", "done", 2)
    assert first["seconds"] == pytest.approx(60, abs=0.01)
    assert (workflow["runs"], workflow["succeeded"], workflow["success_rate"]) == (2, 1, 0.5)
    assert workflow["median_s"] == pytest.approx(60, abs=0.01)
    assert failures == [("flow", "test", "exit_nonzero", 2, 2)]


def test_steps_that_wait_for_one_another_are_not_at_work_at_once(project: Project) -> None:
    spans = {"a": (0, 10), "b": (10, 20), "c": (12, 22)}
    steps = [step(name, StepKind.RUN, StepStatus.DONE, started_at=BEGAN + timedelta(seconds=begin),
                  ended_at=BEGAN + timedelta(seconds=end)) for name, (begin, end) in spans.items()]  # fmt: skip
    with RunDB.open(project) as db:
        record(db, "r", steps=steps)
    with closing(sqlite3.connect(project.database)) as raw:
        row = raw.execute("SELECT most_at_once, busy_s, work_s, parallel_efficiency FROM run_summary").fetchone()
    assert row == pytest.approx((2, 22, 30, 30 / 44), abs=0.01)


@pytest.mark.parametrize("schema", range(1, WITH_VIEWS))
def test_an_older_database_is_searched_and_counted_and_left_as_it_is(project: Project, schema: int) -> None:
    with RunDB.open(project) as db:
        record(db, "r")
    with closing(sqlite3.connect(project.database)) as raw:
        raw.row_factory = sqlite3.Row
        rows = {
            table: [dict(row) for row in raw.execute(f"SELECT * FROM {table}")]  # noqa: S608
            for table in ("runs", "events", "jobs")
        }
    project.database.unlink()
    with closing(sqlite3.connect(project.database)) as raw:
        for statement in (statement for each in MIGRATIONS[:schema] for statement in each):
            raw.execute(statement)
        for table, all_of in rows.items():
            real = {row[1] for row in raw.execute(f"PRAGMA table_info({table})")}
            for row in all_of:
                kept = {name: value for name, value in row.items() if name in real}
                names, marks = ", ".join(kept), ", ".join(f":{name}" for name in kept)
                raw.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", kept)  # noqa: S608
        raw.execute(f"PRAGMA user_version = {schema}")
        raw.commit()
    before = project.database.read_bytes()
    for words, of, kind in SAID:
        assert places(project, words) == [("r", of, kind)], words
    reader = RunDB.open_readonly(project.database)
    assert reader is not None
    with reader.history() as history:
        assert [row["runs"] for row in history.workflows()] == [1]
        assert [row["kind"] for row in history.failures()] == ["exit_nonzero"]
    assert (project.database.read_bytes(), list(project.store.iterdir())) == (before, [project.database])
    RunDB.open(project).close()  # which migrates it
    assert places(project, "libquince") == [("r", "test", "error")]
    with closing(sqlite3.connect(project.database)) as raw:
        assert (
            raw.execute("SELECT seq FROM indexed").fetchone() == raw.execute("SELECT max(seq) FROM events").fetchone()
        )


def test_without_fts5_runs_go_on_and_only_searching_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunDB.open(project) as db:
        record(db, "a", progress=INDEXED_AT_ONCE)
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *args, **more: WITH_FTS5(*args, factory=WithoutFts5, **more))
        with RunDB.open(project) as db:
            record(db, "b", progress=INDEXED_AT_ONCE)
            with db.history() as history:
                assert len(history.runs()) == 2
                assert [row["runs"] for row in history.workflows()] == [2]
        for search in (lambda: places(project, "pudding"), lambda: forget(project, "a")):
            with pytest.raises(RelayError) as caught:
                search()
            assert caught.value.code == "no_search"
    assert [run for run, _, _ in places(project, "pudding")] == ["b", "a"]


WITH_FTS5 = sqlite3.connect


class WithoutFts5(sqlite3.Connection):
    """A connection as of a SQLite that was built without FTS5: it has no such module, and can't use its tables."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.set_authorizer(lambda _action, table, *_: self._allowed(table))

    def _allowed(self, table: str | None) -> int:
        if table == "pragma_module_list":
            return sqlite3.SQLITE_IGNORE
        return sqlite3.SQLITE_DENY if table in {"search", "unindexed"} else sqlite3.SQLITE_OK


def forget(project: Project, *runs: str) -> list[str]:
    with RunDB.open(project) as db:
        return db.forget(runs)


@pytest.mark.parametrize("progress", [0, INDEXED_AT_ONCE], ids=["not indexed yet", "indexed"])
def test_a_run_is_forgotten_with_what_is_searched_of_it(project: Project, progress: int) -> None:
    with RunDB.open(project) as db:
        record(db, "a", progress=progress)
        record(db, "b", outcome=None)
        record(db, "c", requirement="no pudding", progress=progress)
    assert forget(project, "a", "b", "none") == ["a"]
    assert [run for run, _, _ in places(project, "pudding")] == ["c", "b"]
    with closing(sqlite3.connect(project.database)) as raw:
        tables = ("runs", "events", "jobs", "steps", "checkpoints", "revisions", "unpinned")
        left = {
            row[0]
            for table in tables
            for row in raw.execute(f"SELECT {'id' if table == 'runs' else 'run'} FROM {table}")  # noqa: S608
        }
        assert left == {"b", "c"}
        if progress:
            raw.execute("INSERT INTO search (search) VALUES ('integrity-check')")


def test_status_imports_nothing_of_it(project: Project) -> None:
    RunDB.open(project).close()
    program = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from lib.project.paths import Project
from orchestrator.status.query import look
root = Path(sys.argv[2])
look(Project(root, root / ".git", root / ".git"))
print(*(name for name in sys.modules if name in {"lib.store.views", "lib.store.search", "lib.store.history"}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, ROOT, project.root], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == []
