"""A run as it goes on: the status screen redrawn in place on a terminal, a line an event elsewhere."""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final, Self

from lib.errors import EXIT_CI_NEEDED, EXIT_FAILED, EXIT_OK, RelayError
from lib.files.watch import Watch
from lib.logs.sentences import sentence
from lib.project.paths import Project
from lib.secrets.masking import Masker
from lib.store.rundb import RunDB
from orchestrator.status.page import page
from orchestrator.status.query import look
from orchestrator.status.screen import Look, say
from orchestrator.status.terminal import Terminal
from orchestrator.status.view import as_data
from orchestrator.status.whereabouts import Place, seen_from

if TYPE_CHECKING:
    from orchestrator.status.view import View

INTERVAL_S: Final = 0.5
#: A terminal is not drawn more often than this, however fast the run goes.
_FRAME_S: Final = 0.05
#: Lines are printed no more often than this: looking for them at each of a fast run's changes would slow it down.
_BATCH_S: Final = 0.02
#: For how long the end of an orchestrator whose run is over is waited for.
_LEAVE_S: Final = 5.0
#: Events after which a run may be over, or need somebody.
_DECISIVE: Final = frozenset({"finished", "asked", "problem_found", "orchestrator_stopped"})

Over = Callable[["View"], bool]


def watch(project: Project, run: str, interval_s: float, *, as_json: bool = False, colour: bool = True) -> int:
    """Shows the run until it is over, or a person leaves. Raises `RelayError`, `BrokenPipeError`."""
    with suppress(KeyboardInterrupt):  # that is how one leaves
        if as_json:
            _listed(project, run, interval_s)
        else:
            view = _shown(project, run, interval_s, lambda view: view.outcome is not None, colour=colour)
            say(
                page(
                    seen_from(view, Place.of(project)),
                    Look.of(sys.stdout, colour=colour),
                    live=True,
                )
            )
    return EXIT_OK


def follow(project: Project, run: str) -> int:
    """Shows the run until it is over, ci is needed, or its orchestrator is gone; then the last screen.

    Returns 0 when it landed, is stored or done, 3 when ci must act, 1 when it failed, was cancelled, or nobody drives
    it any more. Raises `RelayError`, `BrokenPipeError`, `KeyboardInterrupt`; the run goes on whatever happens here.
    """
    try:
        view = _shown(project, run, INTERVAL_S, lambda view: view.mood not in {"work", "paused"})
    except KeyboardInterrupt:
        words = Place.of(project).told("The run goes on. Watch it with: relay status --watch")
        sys.stderr.write(Look.of(sys.stderr).spelled(words) + "\n")
        raise
    say("\n" + page(seen_from(view, Place.of(project)), Look.of(sys.stdout), live=True))
    if view.outcome is None:
        return EXIT_CI_NEEDED if view.mood in {"ask", "held"} else EXIT_FAILED
    _ready([], view.orchestrator_pid, _LEAVE_S)
    return EXIT_FAILED if view.mood == "failed" else EXIT_OK


def _shown(project: Project, run: str, interval_s: float, over: Over, *, colour: bool = True) -> View:
    """Shows the run until a view of it is `over`, and gives that. Raises `KeyboardInterrupt` when a person leaves."""
    with _Hints(project) as hints:
        if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
            return _drawn(project, run, interval_s, over, hints, colour=colour)
        return _told(project, run, interval_s, over, hints)


def _drawn(project: Project, run: str, interval_s: float, over: Over, hints: _Hints, *, colour: bool) -> View:
    with Terminal(sys.stdout, sys.stdin) as terminal:
        while True:
            view = _look(project, run)
            screen = Look.of(sys.stdout, colour=colour)
            seen = seen_from(view, Place.of(project))
            terminal.draw(page(seen, screen, live=True), screen.columns, screen.rows)
            if over(view):
                return view
            time.sleep(_FRAME_S)
            if hints.wait(view.orchestrator_pid, interval_s, terminal.keys) == "key" and terminal.wants_to_leave():
                raise KeyboardInterrupt


def _told(project: Project, run: str, interval_s: float, over: Over, hints: _Hints) -> View:
    """Each event is a line; the run itself is looked at only when one of them, or time, says so."""
    events, view, hint = _Events(project, run), None, ""
    while True:
        kinds = events.tell()
        if view is None or not hint or kinds & _DECISIVE:
            view = _look(project, run)
            if over(view):
                events.tell()
                return view
        time.sleep(_BATCH_S)
        hint = hints.wait(view.orchestrator_pid, interval_s)


def _listed(project: Project, run: str, interval_s: float) -> None:
    """A line of JSON each time that the run changed."""
    told = None
    with _Hints(project) as hints:
        while True:
            view = _look(project, run, every=True)
            if told != (told := (view.updated_at, view.mood, view.troubles)):
                say(json.dumps(as_data(view)))
            if view.outcome is not None:
                return
            hints.wait(view.orchestrator_pid, interval_s)


def _look(project: Project, run: str, *, every: bool = False) -> View:
    view = look(project, run, every=every)
    if view is None:
        raise RelayError("the run database is gone", remedy="relay status", code="no_run")
    return view


class _Events:
    """The events of a run, told once each."""

    def __init__(self, project: Project, run: str) -> None:
        self._project = project
        self._run = run
        self._place = Place.of(project)
        self._look = Look.of(sys.stdout)
        self._masker = Masker.from_environ()
        self._seq = 0

    def tell(self) -> set[str]:
        """Prints those that came since the last call; their kinds."""
        db = RunDB.open_readonly(self._project.database)
        rows = db.events(self._run, after_seq=self._seq) if db else []
        for row in rows:
            self._seq = row.seq
            if said := sentence(row.kind, self._masker.masked_data(json.loads(row.data))):
                say(self._look.spelled(f"{row.at[11:19]}  {self._place.told(said)}"))
        return {row.kind for row in rows}


class _Hints:
    """Signals that it is time to look again, before the interval is over."""

    def __init__(self, project: Project) -> None:
        self._watch = Watch(project.home)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.close()

    def wait(self, pid: int | None, timeout_s: float, keys: int | None = None) -> str:
        """Waits for a change of the instance's folder, the end of `pid`, or a key: "change", "key" or nothing."""
        ready = _ready([fd for fd in (self._watch.fd, keys) if fd is not None], pid, timeout_s)
        changed = self._watch.drain()
        return "key" if keys in ready else "change" if changed else ""


def _ready(descriptors: list[int], pid: int | None, timeout_s: float) -> list[int]:
    """Descriptors of these that can be read; returns early when the process `pid` ends, where the system can tell."""
    with _end_of(pid) as end:
        return select.select([*descriptors, *end], [], [], timeout_s if descriptors or end else min(timeout_s, 0.1))[0]


@contextmanager
def _end_of(pid: int | None) -> Iterator[list[int]]:
    """A pidfd_open(2) descriptor of the process, if there is one."""
    with ExitStack() as stack:
        found: list[int] = []
        if pid and sys.platform == "linux":
            with suppress(ProcessLookupError):  # it ended meanwhile
                found.append(os.pidfd_open(pid))
                stack.callback(os.close, found[0])
        yield found
