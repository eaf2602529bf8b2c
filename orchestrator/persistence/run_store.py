"""A run between memory and the run database: what changed is written, and all of it is read back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

from lib.config.model import Config
from lib.events import Event
from lib.jobs import Job
from lib.ledger import Ledger
from lib.model import Definition, Now, State, Step
from lib.names import from_json, to_json
from lib.store.rundb import Checkpoint, JobRow, Revision, RunDB, StepRow
from orchestrator.engine.run import Engine, Run

if TYPE_CHECKING:
    from lib.store.queries import Queries

ENGINE = "engine"

T = TypeVar("T")


def save(
    db: RunDB,
    before: Run | None,
    after: Run,
    events: Iterable[Event],
    now: Now,
    *,
    file_bytes: bytes | None = None,
    checkpoint: Checkpoint | None = None,
) -> int:
    """Writes events, changed rows and the state of one tick in one transaction; the seq of its last event.

    `before` is the run as last saved, None for a new one. Raises `StoreError`; then nothing was written.
    """
    stamp = now.wall.isoformat()
    return db.commit(
        after.state.run,
        events=[(stamp, event.kind, to_json(event)) for event in events],
        mono_s=now.mono_s,
        header={**after.state.model_dump(mode="json", exclude={"builders", "steps"}),
                ENGINE: after.engine.model_dump(mode="json")},
        options=after.config.model_dump(mode="json") if before is None else None,
        definition=after.definition.model_dump(mode="json") if before is None and after.definition else None,
        steps=[StepRow(row.id, to_json(row)) for row in _changed(before, after.ledger.changed_steps(), after.steps)],
        jobs=[JobRow(row.id, row.dispatch, row.result is not None, to_json(row))
              for row in _changed(before, after.ledger.changed_jobs(), after.jobs)],
        file_bytes=file_bytes,
        revision=_revision(after.state, file_bytes) if file_bytes is not None else None,
        problem=after.engine.problem.model_dump(mode="json") if after.engine.problem else None,
        checkpoint=checkpoint,
    )  # fmt: skip


def _changed(before: Run | None, changed: Iterable[T], everything: Mapping[str, T]) -> Iterable[T]:
    """Of a new run everything is written."""
    return everything.values() if before is None else changed


def _revision(state: State, file_bytes: bytes) -> Revision:
    return Revision(
        rev=state.rev,
        sha256=hashlib.sha256(file_bytes).hexdigest(),
        phase=state.phase,
        owner=state.action_owner.value,
        action=state.action_needed,
        feedback=state.feedback,
        paused=state.paused,
    )


def restore(db: RunDB, run: str) -> Run:
    """The run as it was last saved. Jobs that its ledger does not hold are read from `db` when they are asked for.

    Raises `RelayError` (`unknown_run`), `StoreError`.
    """

    def recall(step: str) -> list[Job]:
        with db.look(run) as look:
            return _jobs(look.jobs_of(step))

    with db.look(run) as look:
        return run_in(look, recall)


def run_in(look: Queries, recall: Callable[[str], list[Job]] | None = None) -> Run:
    """The run as it is at that look. Raises `RelayError` (`unknown_run`)."""
    stored, steps, jobs = look.stored, look.steps(), look.at_hand()
    header = dict(stored.header)
    engine = header.pop(ENGINE)
    return Run(
        state=State.model_validate(header),
        config=Config.model_validate(stored.options),
        engine=Engine.model_validate(engine),
        definition=Definition.model_validate(stored.definition) if stored.definition else None,
        ledger=Ledger((from_json(Step, row.data) for row in steps), _jobs(jobs), recall),
    )


def _jobs(rows: Iterable[JobRow]) -> list[Job]:
    return [from_json(Job, row.data) for row in rows]
