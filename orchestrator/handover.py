"""state.json as the orchestrator sees it: what other hands did to it, and what is to be written next."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lib.atomic import Changed, exchange
from lib.events import Event, ProblemFound, ProblemMended, StateEdited, StateRestored
from lib.model import Now, Problem, State
from lib.paths import Project
from lib.rundb import RunDB
from lib.statefile import (
    Bad,
    Behind,
    Edited,
    Footprint,
    Known,
    Missing,
    Raw,
    Refused,
    Settling,
    judge,
    read_raw,
    render,
)
from lib.watch import Watch
from orchestrator.fold import Run, present
from orchestrator.home import make_home
from orchestrator.wake import Wake

UNWRITABLE = "state_unwritable"
KEPT_REVISIONS = 200


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be committed: the run with its new revision, and the bytes of state.json if these change."""

    run: Run
    data: bytes | None
    shown: State


class Handover:
    """Reads the file by content at every tick; writes it by compare-and-swap against what was read."""

    def __init__(self, project: Project, db: RunDB, run: Run) -> None:
        stored = db.load(run.state.run)
        self._project = project
        self._path = project.state_file
        self._seen: bytes | None = None
        self._written = stored.file_bytes or b""
        self._shown = present(run)
        self._earlier = {
            row.rev: Footprint(sha256=row.sha256, phase=row.phase, action_owner=row.owner, action_needed=row.action,
                               feedback=row.feedback, paused=row.paused)
            for row in stored.revisions
        }  # fmt: skip
        self._settling = Settling()
        self._unpublished = True
        self._watch: Watch | None = None
        self.due_mono_s: float | None = None

    def watch(self, wake: Wake) -> None:
        """Arms the file events, again when the directory was replaced."""
        if self._watch is None:
            self._watch = Watch(self._path.parent)
            if self._watch.fd is not None:
                wake.watch(self._watch.fd)
        self._watch.drain()

    # --- reading ---------------------------------------------------------------------------------------------------

    def observe(self, run: Run, legal: list[str], instant: Now) -> list[Event]:
        """The facts that the file as it stands now amounts to."""
        self.due_mono_s = None
        raw = read_raw(self._path)
        standing = run.engine.problem
        if isinstance(raw, Refused):
            return self._unsettled(raw.problem, standing, instant)
        if isinstance(raw, Missing):
            return self._restored(instant)
        verdict = judge(raw.data, self._known(run, legal))
        if isinstance(verdict, Bad):
            return self._unsettled(verdict.problem, standing, instant)
        self._settling.good()
        self._seen = raw.data
        mended: list[Event] = [ProblemMended(code=standing.code)] if standing else []
        if isinstance(verdict, Edited):
            return [*mended, StateEdited(edit=verdict.edit, rebased=verdict.rebased)]
        if isinstance(verdict, Behind) or self._unpublished:
            return self._published_again(standing, mended)
        return mended

    def _known(self, run: Run, legal: list[str]) -> Known:
        return Known(written=self._written, state=self._shown, earlier=self._earlier, actions=tuple(legal),
                     builders=tuple(run.builders))  # fmt: skip

    def _unsettled(self, problem: Problem, standing: Problem | None, instant: Now) -> list[Event]:
        """An editor may be at work: only what stays unusable is told, and only once."""
        self._seen = None
        if standing is not None and (standing.code, standing.message) == (problem.code, problem.message):
            return []
        self.due_mono_s = self._settling.bad(problem.message, instant.mono_s)
        return [ProblemFound(problem=problem)] if self.due_mono_s is None else []

    def _restored(self, instant: Now) -> list[Event]:
        self._seen = None
        self.due_mono_s = self._settling.bad("missing", instant.mono_s)
        if self.due_mono_s is not None:
            return []
        make_home(self._project)
        try:
            exchange(self._path, self._written, None)
        except Changed:
            return []
        self._seen = self._written
        return [StateRestored(reason="state.json was missing")]

    def _published_again(self, standing: Problem | None, mended: list[Event]) -> list[Event]:
        """The file is an earlier revision of ours, since writing it failed or was cut short: write it now."""
        problem = self._publish(self._written)
        if problem is None:
            return mended
        return [] if standing else [ProblemFound(problem=problem)]

    # --- writing ---------------------------------------------------------------------------------------------------

    def draft(self, run: Run, _instant: Now) -> Draft | None:
        """What to commit for `run`; None if the file is no longer what `observe` read. The state lock is held."""
        raw = read_raw(self._path)
        now_there = raw.data if isinstance(raw, Raw) else None
        if self._seen is not None and now_there != self._seen:
            return None
        shown = present(run)
        if shown == self._shown and self._seen in {None, self._written}:
            return Draft(run, None, shown)
        updated = {"rev": self._shown.rev + 1, "updated_at": _instant.wall}
        shown = shown.model_copy(update=updated)
        run = replace(run, state=run.state.model_copy(update=updated))
        return Draft(run, render(shown), shown)

    def publish(self, draft: Draft) -> list[Event]:
        """Writes what was committed; a file that can't be written, or is unusable and kept, is written later."""
        if draft.data is None:
            return []
        self._written, self._shown = draft.data, draft.shown
        self._earlier[draft.shown.rev] = Footprint.of(draft.shown, draft.data)
        self._earlier.pop(draft.shown.rev - KEPT_REVISIONS, None)
        if self._seen is None:
            self._unpublished = True
            return []
        problem = self._publish(draft.data)
        return [ProblemFound(problem=problem)] if problem and draft.run.engine.problem is None else []

    def _publish(self, data: bytes) -> Problem | None:
        try:
            exchange(self._path, data, self._seen)
        except Changed:
            self._unpublished = False
            return None
        except OSError as error:
            self._unpublished = True
            return Problem(code=UNWRITABLE, message=f"state.json can't be written: {error.strerror}",
                           remedy="df -h .project", action="write")  # fmt: skip
        self._unpublished = False
        self._seen = data
        return None
