"""Checkpoints: what one keeps, and the refs that hold its commits, which are made and pruned in the background.

The database knows which are still to be made: a row is written with the checkpoint, and goes once the refs are there.
So whatever a kill leaves is done by the next orchestrator of the repository, or before anything is cleaned away.
"""

from __future__ import annotations

from typing import NamedTuple

from lib.effects import Merge, MergeResult
from lib.errors import RelayError
from lib.events import Event, Noted
from lib.git.pins import pin
from lib.git.run import Repo, again
from lib.model import Now
from lib.process import now
from lib.project.paths import BASE_WORKTREE, MERGED_WORKTREE, Project
from lib.scheduling.passing_failures import pause_s
from lib.store.rows import Cause
from lib.store.rundb import Checkpoint, RunDB
from orchestrator.diagnostics import Diagnostics
from orchestrator.engine.decide import INTERVAL
from orchestrator.engine.run import Run
from orchestrator.persistence.pruning import prune
from orchestrator.pool import Pool
from orchestrator.wake import Wake


def checkpoint_of(run: Run, label: str | None, design: str | None, instant: Now) -> Checkpoint | None:
    """The checkpoint of a decision as the run is after it, None without a label. Pure."""
    if label is None:
        return None
    return checkpoint_for(Cause.INTERVAL if label == INTERVAL else Cause.TRANSITION, run, label, design, instant)


def checkpoint_for(cause: Cause, run: Run, label: str, design: str | None, instant: Now) -> Checkpoint:
    """The checkpoint of a run as it is now. Pure."""
    commits = {step.id: step.commit for step in run.steps.values() if step.commit and step.branch}
    commits |= {BASE_WORKTREE: run.state.base.commit}
    within: set[str] = set()
    if head := _merged_head(run):
        commits[MERGED_WORKTREE] = head
        within = {step.id for step in run.steps.values() if step.merged}
    pinned = commits.keys() - within
    return Checkpoint(label, instant.wall.isoformat(), commits, pinned=pinned, design=design, cause=cause)


def _merged_head(run: Run) -> str:
    """The commit of the merged branch by the newest merge that ended, else by what was taken over from another run;
    empty before the first one.
    """
    merges = (job for job in reversed(run.ledger.jobs_of(None)) if job.spec.name == Merge.effect)
    taken_over = run.engine.origin.merged if run.engine.origin else ""
    return next((found.head for job in merges if (found := MergeResult.of_job(job))), taken_over)


def pin_waiting(project: Project, run: str | None = None) -> list[str]:
    """Makes the refs that checkpoints of a run, or of all, still lack; gives a sentence if commits of theirs are gone.

    Raises `RelayError`, `OSError`; then they still lack them, and it may be called again.
    """
    if not project.database.exists():
        return []
    with RunDB.open(project, may_make=False) as db:  # one that was deleted just now is not put back empty
        waiting = db.unpinned(run)
        rows = ((f"{row.run}/{row.checkpoint}", row.commits.items()) for row in waiting)
        wanted = {f"{folder}/{name}": commit for folder, commits in rows for name, commit in commits}
        gone = again(lambda: pin(Repo.of(project), wanted))
        if waiting:
            db.note_pinned(row.checkpoint for row in waiting)
    return [f"commits of checkpoints are gone: {', '.join(gone)}"] if gone else []


class _Tried(NamedTuple):
    """An end of a try: what to warn of, or the reason why no ref could be made."""

    told: list[str]
    failure: RelayError | None = None


class Pins:
    """Makes refs for new checkpoints and prunes old ones, in a thread of its own; what fails is reported once, and
    retried.
    """

    def __init__(self, project: Project, wake: Wake, log: Diagnostics) -> None:
        self._project = project
        self._log = log
        self._pool: Pool[_Tried] = Pool(1, wake.ring)
        self._failed = 0
        self._is_swept = False
        self.due_mono_s: float | None = None

    def make(self) -> None:
        """Makes all refs that are missing, soon."""
        self.due_mono_s = None
        self._pool.submit("", self._try)

    def look(self, instant: Now) -> list[Event]:
        """Takes up what has ended, and tries again what failed once its pause is over; events about it."""
        told: list[Event] = []
        for done in self._pool.results():
            told += self._told(done, instant)
        if self.due_mono_s is not None and instant.mono_s >= self.due_mono_s:
            self.make()
        return told

    def idle(self) -> bool:
        """True while nothing is under way; what failed and waits to be tried again is not."""
        return self._pool.idle()

    def close(self, timeout_s: float) -> None:
        self._pool.close(timeout_s)

    def _try(self) -> _Tried:
        try:
            told = pin_waiting(self._project)  # first: what a new one holds must not hang on one that goes
            prune(self._project, now().wall, sweep=not self._is_swept)
            self._is_swept = True
            return _Tried(told)
        except RelayError as error:
            return _Tried([], error)
        except OSError as error:
            return _Tried([], RelayError(f"the system refused it: {error}", remedy="relay doctor", code="system"))
        except Exception as error:  # noqa: BLE001 - a bug here must not end the thread; it is reported in full
            self._log.bug("a bug in Relay", error)
            return _Tried([], RelayError(f"a bug in Relay: {error!r}", remedy="relay doctor", code="internal_error"))

    def _told(self, done: _Tried, instant: Now) -> list[Event]:
        wrong = done.failure
        self._log.standing("checkpoints are not pinned", wrong.message if wrong else None)
        if wrong is None:
            self._failed = 0
            return [_warning(words) for words in done.told]
        self._failed += 1
        self.due_mono_s = instant.mono_s + pause_s(self._failed)
        if self._failed > 1:
            return []
        return [_warning(f"the commits of a checkpoint can't be pinned yet ({wrong.remedy}): {wrong.message}")]


def _warning(message: str) -> Noted:
    return Noted(message=message, level="warning")
