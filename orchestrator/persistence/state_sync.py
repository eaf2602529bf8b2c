"""state.json as the orchestrator sees it: what other hands did to it, and what is to be written next."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lib.errors import RelayError
from lib.events import Event, Noted, ProblemFound, ProblemMended, StateEdited, StateRestored
from lib.files.replace import Changed, Late, exchange, late_write
from lib.files.watch import Watch
from lib.model import Edit, Now, Problem, State
from lib.project.lock import state_lock
from lib.project.paths import Project
from lib.statefile.document import Missing, Raw, Refused, read_raw, render, set_aside
from lib.statefile.edits import Bad, Behind, EarlierRevision, Edited, Known, Settling, judge
from lib.store.rundb import RunDB
from orchestrator.engine.run import Run
from orchestrator.engine.words import refused, unread
from orchestrator.persistence.presenting import present
from orchestrator.wake import Wake

UNWRITABLE = "state_unwritable"
KEPT_REVISIONS = 200
RETRY_S = 1.0
#: The loop is not kept longer by a lock that somebody holds.
LOCK_WAIT_S = 0.5


@dataclass(frozen=True, slots=True)
class Draft:
    """Data to be committed: the run with its new revision, and the bytes of state.json if these change."""

    run: Run
    data: bytes | None
    shown: State


class Handover:
    """Reads the file by content at every tick; writes it by compare-and-swap against what was read.

    While the file can't be used, or is missing, revisions go on in the run database alone.
    """

    def __init__(self, project: Project, db: RunDB, run: Run) -> None:
        stored = db.load(run.state.run)
        self._project = project
        self._path = project.state_file
        self._name = str(self._path.relative_to(project.root))
        self._seen: bytes | None = None
        self._written = stored.file_bytes or b""
        self._published = False
        self._shown = present(run, project.named)
        self._earlier = {
            row.rev: EarlierRevision(row.sha256, row.phase, row.owner, row.action, row.feedback, row.paused)
            for row in db.revisions(run.state.run)
        }
        self._settling = Settling()
        self._late_settling = Settling()
        self._late: Path | None = None
        self._spent: Path | None = None
        self._watch: Watch | None = None
        self.due_mono_s: float | None = None

    def watch(self, wake: Wake) -> None:
        """Arms the file events, again when the folder was replaced."""
        if self._watch is None:
            self._watch = Watch(self._path.parent)
            if self._watch.fd is not None:
                wake.watch(self._watch.fd)
        self._watch.drain()

    # --- reading ---------------------------------------------------------------------------------------------------

    def observe(self, run: Run, legal: list[str], instant: Now) -> list[Event]:
        """The facts that the file amounts to now. Raises `RelayError` if it can't be read."""
        self.due_mono_s = None
        known = Known(self._written, self._published, self._earlier, legal, run.steps, self._name, refused(run))
        with state_lock(self._project, timeout_s=LOCK_WAIT_S):
            late = late_write(self._path)
            if late is not None and late.path != self._spent:
                return self._taken_late(run, late, known, instant)
        found = read_raw(self._path)
        standing = run.engine.problem
        if isinstance(found, Refused):
            return self._unusable(found.problem, found.problem.message, standing, instant)
        if isinstance(found, Missing):
            return self._restored(instant)
        verdict = judge(found.data, known)
        if isinstance(verdict, Bad):
            return self._unusable(verdict.problem, found.data, standing, instant)
        self._settling.good()
        self._seen = found.data
        if isinstance(verdict, Edited):
            mended: list[Event] = [ProblemMended(code=standing.code)] if standing else []
            return [*mended, *_edited(run, verdict.edit, rebased=verdict.rebased)]
        if isinstance(verdict, Behind) and (problem := self._publish()) is not None:
            self.due_mono_s = instant.mono_s + RETRY_S
            return [] if standing else [ProblemFound(problem=problem)]
        self._published = True
        return [ProblemMended(code=standing.code)] if standing else []

    def _unusable(self, problem: Problem, key: object, standing: Problem | None, instant: Now) -> list[Event]:
        """An editor may be at work: only what stays unusable is reported, and only once."""
        self._seen = None
        self.due_mono_s = self._settling.bad(key, instant.mono_s)
        told = standing is not None and (standing.code, standing.message) == (problem.code, problem.message)
        return [ProblemFound(problem=problem)] if self.due_mono_s is None and not told else []

    def _restored(self, instant: Now) -> list[Event]:
        self._seen = None
        self.due_mono_s = self._settling.bad("missing", instant.mono_s)
        if self.due_mono_s is not None:
            return []
        problem = self._publish()
        if problem is not None:
            self.due_mono_s = instant.mono_s + RETRY_S
            return [ProblemFound(problem=problem)]
        return [StateRestored(reason=f"{self._name} was missing")]

    def _taken_late(self, run: Run, late: Late, known: Known, instant: Now) -> list[Event]:
        """An editor had the file open while it was replaced, and saved into what had been displaced."""
        verdict = judge(late.data, known)
        if isinstance(verdict, Bad):
            self.due_mono_s = self._late_settling.bad(late.data, instant.mono_s)
            if self.due_mono_s is not None:
                return []
            kept = set_aside(self._path, late.path)
            return [Noted(message=f"a late save could not be used, and is kept as {kept.name}", level="warning")]
        self._late_settling.good()
        if isinstance(verdict, Edited):
            self._late = late.path
            return _edited(run, verdict.edit, rebased=True)
        late.path.unlink()
        return []

    # --- writing ---------------------------------------------------------------------------------------------------

    def draft(self, run: Run, instant: Now) -> Draft | None:
        """The draft to commit for `run`; None if the file is no longer what `observe` read. The state lock is held."""
        found = read_raw(self._path)
        if self._seen is not None and not (isinstance(found, Raw) and found.data == self._seen):
            return None
        shown = present(run, self._project.named)
        if shown == self._shown and self._seen in {None, self._written}:
            return Draft(run, None, shown)
        stamped = {"rev": self._shown.rev + 1, "updated_at": instant.wall}
        shown = shown.model_copy(update=stamped)
        run = replace(run, state=run.state.model_copy(update=stamped))
        return Draft(run, render(shown), shown)

    def publish(self, draft: Draft) -> list[Event]:
        """Writes what was committed. A file that can't be used is left alone; one that can't be written is tried again.

        The state lock is held. Raises nothing that could keep from being done what was committed.
        """
        if self._late is not None:
            self._spent, self._late = self._late, None
            with suppress(OSError):  # it is known, and not taken up again
                self._spent.unlink(missing_ok=True)
        if draft.data is None:
            return []
        self._written, self._shown, self._published = draft.data, draft.shown, False
        self._earlier[draft.shown.rev] = EarlierRevision.of(draft.shown, draft.data)
        self._earlier.pop(draft.shown.rev - KEPT_REVISIONS, None)
        problem = self._publish() if self._seen is not None else None
        return [ProblemFound(problem=problem)] if problem and draft.run.engine.problem is None else []

    def _publish(self) -> Problem | None:
        """Puts the newest revision in place of what was seen; an edit that fell in between stays, to be judged next."""
        try:
            exchange(self._path, self._written, self._seen)
        except Changed:
            return None
        except RelayError as error:  # it can't be written, or what is there is no plain file any more
            return Problem(code=UNWRITABLE, message=error.message, remedy=error.remedy, action="write")
        self._seen, self._published = self._written, True
        return None


def _edited(run: Run, edit: Edit, *, rebased: bool) -> list[Event]:
    """The edit, and a warning if nobody reads the words in it."""
    told = unread(run, edit)
    return [StateEdited(edit=edit, rebased=rebased), *([Noted(message=told, level="warning")] if told else [])]
