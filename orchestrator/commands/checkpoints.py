"""Implementation of `relay checkpoints`: listed, made by hand, checked, and pruned."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from lib.errors import RelayError, UsageError
from lib.files.safe_read import NotPlainError, read_plain
from lib.git.pins import missing, pinned
from lib.git.run import Repo
from lib.model import Now
from lib.periods import span
from lib.process import now
from lib.project.paths import Project
from lib.question import asked
from lib.steps import is_counted, status_of
from lib.store.checkpoints import Checkpoints
from lib.store.rows import Cause, CheckpointMark, StoredCheckpoint
from lib.store.rundb import RunDB
from orchestrator.commands.restore import of_checkpoint
from orchestrator.persistence.checkpoints import checkpoint_for, pin_waiting
from orchestrator.persistence.pruning import Keep, kept_of, outdated, remove, sweep_refs
from orchestrator.persistence.run_store import run_in
from phases.design import DESIGN_FILE

_LABEL: Final = re.compile(r"(?![0-9]+$)[^\W_][\w .,:+-]{0,79}")
_DESIGN_MAX_BYTES: Final = 10_000_000
#: As many as there may ever be, where no number is given.
_ALL: Final = 1_000_000_000


class Line(NamedTuple):
    """A checkpoint in a list: `what` in words, its `done` steps of `steps`, and the bytes of its row.

    `fault` says why it can't be read.
    """

    number: int
    run: str
    at: str
    cause: str
    label: str = ""
    what: str = ""
    phase: str = ""
    done: int = 0
    steps: int = 0
    commits: int = 0
    size: int = 0
    fault: str = ""


class Verdict(NamedTuple):
    """A checkpoint that was checked: what keeps it from being restored, or what is to be known of it."""

    number: int
    ok: bool
    message: str


def lines(db: RunDB, run: str) -> list[Line]:
    """The checkpoints of a run, oldest first. Raises `StoreError`."""
    with db.look_at_checkpoints() as look:
        return [_line(look, mark) for mark in look.marks(run)]


def _line(look: Checkpoints, mark: CheckpointMark) -> Line:
    try:
        made = look.one(mark.id)
        statuses = [
            (record["kind"], status_of(record)) for record in (json.loads(row.data) for row in made.steps)
        ]  # fmt: skip
    except (RelayError, LookupError, ValueError) as error:
        message = error.message if isinstance(error, RelayError) else repr(error)
        return Line(mark.id, mark.run, mark.at, mark.cause, what="can't be read", fault=message)
    counted = [status for kind, status in statuses if is_counted(kind, status)]
    return Line(
        number=made.id,
        run=made.run,
        at=made.at,
        cause=made.cause,
        label=made.label,
        what=_in_words(made),
        phase=str(made.header.get("phase", "")),
        done=sum(status.is_built for status in counted),
        steps=len(counted),
        commits=len(made.commits),
        size=made.size,
    )


def _in_words(made: StoredCheckpoint) -> str:
    """The reason for which it was made, as a person says it."""
    if made.cause != Cause.TRANSITION:
        return made.label
    first, _, action = made.label.partition(": ")
    if first == "asked":
        return f"you were asked to {asked(action)}"
    return f"{action} begins" if action else first


def create(project: Project, run: str, label: str) -> tuple[int, list[str]]:
    """Makes a checkpoint of a run that goes on, by hand, and its refs; its number, and what is to be known of it.

    Its orchestrator may be at work. Raises `RelayError` (`run_over`) and `UsageError` (`label_invalid`).
    """
    if not _LABEL.fullmatch(label):
        message = f"{label!r} is no label: up to 80 letters, digits, spaces and .,:+-_ that are not all digits"
        raise UsageError(message, remedy='relay checkpoints --create "before the review"', code="label_invalid")
    design = _design(project, run)
    with RunDB.open(project, may_make=False) as db, db.changing_checkpoints() as change:
        found = run_in(change.run(run))
        if found.state.outcome is not None:
            message = f"the run {run} is over, and has a checkpoint of its end"
            raise RelayError(message, remedy=f"relay checkpoints {run}", code="run_over")
        number = change.put(run, checkpoint_for(Cause.PERSON, found, label, design, now()))
    try:
        return number, pin_waiting(project, run)
    except (RelayError, OSError) as error:  # the run's orchestrator, or the next one, makes them
        return number, [f"its commits have no refs yet; they are made by the next orchestrator: {error}"]


def _design(project: Project, run: str) -> str | None:
    try:
        text = read_plain(project.run_dir(run) / DESIGN_FILE, limit=_DESIGN_MAX_BYTES)
    except (OSError, NotPlainError):
        return ""
    return None if text is None else text.decode(errors="replace")


def check(project: Project, db: RunDB, run: str) -> Iterator[Verdict]:
    """Checks the checkpoints of a run: each can be read, its commits and their refs are there. Raises `RelayError`."""
    repo = Repo.of(project)
    held = pinned(repo, run)
    with db.look_at_checkpoints() as look:
        marks = look.marks(run)
        waiting = {row.checkpoint for row in look.unpinned(run)}
        for mark in marks:
            try:
                made = look.one(mark.id)
                gone = missing(repo, made.commits)
                fault = _unrestorable(made)
            except RelayError as error:
                yield Verdict(mark.id, ok=False, message=error.message)
                continue
            names = {ref.rpartition("/")[2] for ref, _ in held.get((run, str(mark.id)), ())}
            yield _verdict(made, gone, fault, names, is_waiting=mark.id in waiting)


def _unrestorable(made: StoredCheckpoint) -> str:
    """The reason why its state is of no use; empty if it can be restored. Raises `RelayError` if it can't be read."""
    try:
        of_checkpoint(made, None)
    except RelayError as error:
        if error.code != "nothing_left":
            raise
        return "nothing is left to do"
    return ""


def _verdict(made: StoredCheckpoint, gone: list[str], end: str, names: set[str], *, is_waiting: bool) -> Verdict:
    if gone:
        return Verdict(made.id, ok=False, message=f"commits are gone: {', '.join(gone)}")
    held = "" if "_base" in names else "its refs are still to be made" if is_waiting else "no ref holds its commits"
    return Verdict(made.id, ok=True, message="; ".join(part for part in (end or "can be restored", held) if part))


def prune(project: Project, run: str, older_than: str, keep: int | None, *, dry_run: bool) -> list[Line]:
    """Removes checkpoints of a run, by its own settings where nothing is given, and gives them.

    Those with a label of a person's, and the newest of a run that goes on, are kept. Raises `RelayError` and
    `UsageError` (`span_invalid`).
    """
    age = span_of(older_than) if older_than else None
    instant = now()
    with RunDB.open(project, may_make=False) as db:
        with db.look_at_checkpoints() as look:
            rule = kept_of(look, run)
            if age is not None or keep is not None:
                rule = Keep(_ALL if keep is None else keep, age or timedelta.max, goes_on=rule.goes_on)
            marks = {mark.id: mark for mark in look.marks(run)}
            found = [_line(look, marks[number]) for number in outdated(list(marks.values()), rule, instant.wall)]
        if found and not dry_run:
            pin_waiting(project)
            remove(db, [line.number for line in found])
            sweep_refs(project, db)
    return found


def span_of(text: str) -> timedelta:
    """A span of time that was written `7d`, `12h` or `90m`. Raises `UsageError` (`span_invalid`)."""
    found = span(text)
    if found is None:
        message = f"{text!r} is no span of time, as 7d, 12h or 90m is"
        raise UsageError(message, remedy="relay checkpoints --prune --older-than 7d", code="span_invalid")
    return found


def age_s(line: Line, instant: Now) -> float:
    """Seconds since it was made."""
    return (instant.wall - datetime.fromisoformat(line.at)).total_seconds()
