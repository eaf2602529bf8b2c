"""The events of a run as the run database has them, folded again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from driver import Relay
from pydantic import TypeAdapter

from lib.errors import RelayError
from lib.events import Event, RunStarted
from lib.ledger import Ledger
from lib.model import Now
from lib.project.paths import find_project
from lib.store.rundb import RunDB
from orchestrator.engine.run import Run, apply, begin
from orchestrator.persistence.run_store import restore

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
#: What a write of state.json stamps on the run, and no event does.
STAMPS = {"rev": 0, "updated_at": datetime.min.replace(tzinfo=UTC)}


def stored_and_replayed(relay: Relay) -> tuple[Run | None, Run | None]:
    """The newest run as its rows have it, and as its stored events give it; without what is only of the file.

    None twice if there is no run, or a database that a test has damaged.
    """
    try:
        project = find_project(relay.root, relay.instance)
        db = RunDB.open_readonly(project.database)
        name = db.latest_run(project.instance_dir.name) if db else None
        restored = restore(db, name) if db and name else None
    except RelayError:
        return None, None
    if db is None or name is None or restored is None:
        return None, None
    rows = [(EVENT.validate_python(json.loads(row.data)), _instant(row.at, row.mono_s)) for row in db.events(name)]
    first, began = rows[0]
    assert isinstance(first, RunStarted)
    replayed = begin(first, restored.config, began, restored.definition)
    for event, instant in rows[1:]:
        apply(replayed, event, instant)
    return _complete(restored), _complete(replayed)


def _instant(at: str, mono_s: float) -> Now:
    return Now(wall=datetime.fromisoformat(at), mono_s=mono_s, boot_id="")


def _complete(run: Run) -> Run:
    """The run with all of its jobs, held or not, and without what is only of the file."""
    jobs = (job for step in (None, *run.steps) for job in run.ledger.jobs_of(step))
    state = run.state.model_copy(update=STAMPS)
    return replace(run, state=state, ledger=Ledger(run.steps.values(), jobs))
