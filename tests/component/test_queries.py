"""Narrow questions on a run are answered as a look at all of its rows answers them, in each schema that there was."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from situations import builder, job, state

from lib.config.model import Config
from lib.jobs import Job, JobResult
from lib.ledger import Ledger
from lib.model import Step, Usage
from lib.names import to_json
from lib.process import now
from lib.project.paths import Project
from lib.steps import BuilderStatus, StepStatus, status_of
from lib.store.migrations import MIGRATIONS, VERSION
from lib.store.queries import Queries
from lib.store.rundb import RunDB
from orchestrator.engine.run import Run
from orchestrator.persistence.run_store import restore, save

RUN = state().run
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = [f"s{number}" for number in range(12)]

Record = dict[str, Any]


@st.composite
def steps(draw: st.DrawFn) -> list[Step]:
    found = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        status = draw(st.sampled_from(BuilderStatus))
        took = timedelta(milliseconds=draw(st.integers(0, 10**7)))
        is_ended = not (status.is_at_work or status in {BuilderStatus.PENDING, BuilderStatus.RETRYING})
        usage = Usage(input_tokens=draw(st.integers(0, 9)), output_tokens=draw(st.integers(0, 9)),
                      cost_usd=draw(st.integers(0, 10**6)) / 10**6)  # fmt: skip
        found.append(builder(name, status, verified=draw(st.booleans()), usage=usage, started_at=BEGAN,
                             assistant=draw(st.sampled_from(["a", "b"])),
                             ended_at=BEGAN + took if is_ended else None))  # fmt: skip
    return found


@st.composite
def jobs(draw: st.DrawFn, of: Sequence[str | None]) -> list[Job]:
    found = []
    for number in range(draw(st.integers(0, 12))):
        made = job(draw(st.sampled_from(["build", "verify"])), draw(st.sampled_from(of)))
        text = draw(st.sampled_from(["", f"said {number}"]))
        result = draw(st.sampled_from([None, JobResult(ok=True, text=text), JobResult(ok=False, text=text)]))
        found.append(made.model_copy(update={"id": f"{number:04d}", "result": result}))
    return found


def laid_out(project: Project, schema: int, of: list[Step], with_jobs: list[Job]) -> None:
    """A database of that schema, as the version that made it wrote it."""
    run = Run(state(), Config(), ledger=Ledger(of, with_jobs))
    with RunDB.open(project) as db:
        save(db, None, run, [], now(), file_bytes=b"{}")
    if schema == VERSION:
        return
    with closing(sqlite3.connect(project.database)) as db:
        (row,) = db.execute("SELECT id, instance_key, instance, root, header, options FROM runs")
    project.database.unlink()
    with closing(sqlite3.connect(project.database)) as db:
        for statement in (statement for step in MIGRATIONS[:schema] for statement in step):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {schema}")
        written = {"format": 2} if schema > 1 else {}
        whole = dict(zip(("id", "instance_key", "instance", "root", "header", "options"), row, strict=True))
        insert(db, "runs", {**whole, "workflow": "build", "phase": "execution", "owner": "code", "action": "execution",
                            "paused": 0, "rev": 7, "created_at": "", "updated_at": "", "requirement": "r",
                            **written})  # fmt: skip
        for step in of:
            data = to_json(step) if schema > 1 else json.dumps(as_builder(step))
            insert(db, "steps" if schema > 1 else "builders", {"run": RUN, "id": step.id, "data": data, **written})
        for each in with_jobs:
            data = to_json(each) if schema > 1 else json.dumps(as_of_builder(each))
            row = {"run": RUN, "id": each.id, "dispatch": 1, "ended": each.result is not None, "data": data}
            insert(db, "jobs", row | written)
        db.commit()


def insert(db: sqlite3.Connection, table: str, row: Record) -> None:
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", row)  # noqa: S608 - names of ours


def as_builder(step: Step) -> Record:
    """The record of a builder as version 0.1 wrote it."""
    record: Record = json.loads(to_json(step))
    for later in ("stage", "merged", "landed", "reach"):
        del record[later]
    return record | {"status": step.shown.value, "tip": record.pop("commit")}


def as_of_builder(each: Job) -> Record:
    record: Record = json.loads(to_json(each))
    return record | {"spec": record["spec"] | {"builder": record["spec"].pop("step")}}


def check(look: Queries) -> None:
    """Compares each answer with that of a look at all rows."""
    rows, all_jobs = look.steps(), look.jobs()
    records: list[Record] = [json.loads(row.data) for row in rows]
    specs = {row.id: json.loads(row.data)["spec"] for row in all_jobs}
    statuses = {record["id"]: status_of(record) for record in records}
    whole = look.whole()
    assert whole.counts == Counter(statuses.values())
    assert whole.unverified == sum(statuses[each["id"]].is_built and not each["verified"] for each in records)
    assert whole.assistants == tuple(sorted({each["assistant"] for each in records}))
    assert look.step_ids() == [each["id"] for each in records]
    assert look.statuses([*NAMES, "none"]) == statuses
    used = [[each["usage"][name] for each in records] for name in ("input_tokens", "output_tokens", "cost_usd")]
    sums = [sum(values) for values in (*used, map(took_s, records))]
    assert whole.totals == pytest.approx(sums, abs=2e-3)
    assert look.at_work() == [row for row in rows if statuses[row.id].is_at_work]
    assert look.failed(2) == [row for row in rows if statuses[row.id] is BuilderStatus.FAILED][:2]
    ended = [each["id"] for each in latest(records)]
    assert [row.id for row in look.finished(3)] == ended[:3]
    for limit in (0, 3, 100):
        assert look.foremost(limit) == foremost(rows, statuses, ended, limit)
    assert look.live() == [row for row in all_jobs if not row.ended]
    for name in (None, *statuses, "none"):
        assert look.jobs_of(name) == [row for row in all_jobs if specs[row.id]["step"] == name]
    finished = {*statuses} & {*ended}
    assert look.at_hand() == [row for row in all_jobs if not row.ended or specs[row.id]["step"] not in finished]
    assert look.said([*statuses], "build") == said(all_jobs, specs)
    assert [look.job(row.id) for row in all_jobs] == all_jobs
    assert look.job("none") is None


def took_s(record: Record) -> float:
    ends = [record[name] and datetime.fromisoformat(record[name]) for name in ("started_at", "ended_at")]
    return float((ends[1] - ends[0]).total_seconds()) if all(ends) else 0.0


def latest(records: list[Record]) -> list[Record]:
    """The steps that have finished, the latest first."""
    finished = [record for record in reversed(records) if not StepStatus(record["status"]).is_unfinished]
    return sorted(finished, key=lambda record: datetime.fromisoformat(record["ended_at"]).timestamp() * -1)


def foremost(rows: list[Any], statuses: dict[str, BuilderStatus], ended: list[str], limit: int) -> list[Any]:
    at_work = [name for name, status in statuses.items() if status.is_at_work]
    order = (BuilderStatus.FAILED, BuilderStatus.RETRYING, BuilderStatus.PENDING)
    waiting = [name for wanted in order for name, status in statuses.items() if status is wanted]
    chosen = {*at_work, *[*waiting, *ended][: max(0, limit - len(at_work))]}
    return [row for row in rows if row.id in chosen]


def said(rows: list[Any], specs: dict[str, Record]) -> dict[str, str]:
    well = [row for row in rows if row.ended and specs[row.id]["name"] == "build" and specs[row.id]["step"]]
    texts = {specs[row.id]["step"]: result["text"] for row in well if (result := json.loads(row.data)["result"])["ok"]}
    return {step: text for step, text in texts.items() if text}


@pytest.mark.parametrize("schema", range(1, VERSION + 1))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_each_answer_is_that_of_a_look_at_all_rows(schema: int, data: st.DataObject) -> None:
    of = data.draw(steps())
    with_jobs = data.draw(jobs([None, *(step.id for step in of)]))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / ".git").mkdir()
        project = Project(root, root / ".git", root / ".git")
        laid_out(project, schema, of, with_jobs)
        before = project.database.read_bytes()
        reader = RunDB.open_readonly(project.database)
        assert reader is not None
        with reader.look(RUN) as look:
            check(look)
            assert [row.id for row in look.steps()] == [step.id for step in of]
        assert (project.database.read_bytes(), list(project.store.iterdir())) == (before, [project.database])
        with RunDB.open(project) as db, db.look(RUN) as look:  # migrated by that
            check(look)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_restored_run_holds_few_jobs_and_knows_all(data: st.DataObject) -> None:
    of = data.draw(steps())
    with_jobs = data.draw(jobs([None, *(step.id for step in of)]))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / ".git").mkdir()
        project = Project(root, root / ".git", root / ".git")
        laid_out(project, VERSION, of, with_jobs)
        with RunDB.open(project) as db:
            ledger = restore(db, RUN).ledger
            complete = Ledger(of, with_jobs)
            assert list(ledger.steps.values()) == list(complete.steps.values())
            assert ledger.live() == complete.live()
            finished = {step.id for step in of if not step.status.is_unfinished}
            assert not [each for each in ledger.jobs.values() if each.spec.step in finished and each.result]
            for name in (None, *ledger.steps):
                assert ledger.jobs_of(name) == complete.jobs_of(name)
