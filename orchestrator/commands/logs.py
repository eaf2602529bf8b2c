"""Content of `relay logs`: the run's events, or what a builder, the architect, the reviewer or the resolver printed."""

from __future__ import annotations

import json
import os
import select
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from lib.display import escaped
from lib.errors import RelayError, UsageError
from lib.files.safe_read import NotPlainError, open_plain
from lib.jobs import Job
from lib.names import from_json
from lib.project.paths import BASE_WORKTREE, MERGED_WORKTREE
from lib.secrets.masking import Masker
from lib.steps import BUILD
from lib.store.rundb import RunDB
from orchestrator.status.screen import Look
from orchestrator.status.transcript import Transcript
from orchestrator.status.whereabouts import Place

if TYPE_CHECKING:
    from lib.project.paths import Project

FOLLOW_S = 0.3
#: No more than this of a file's end is looked through.
SHOWN_BYTES = 20_000_000
#: Names that are no builder's, and the role whose turns they stand for.
ROLES: Final = {"design": "architect", "reviewer": "reviewer", "resolver": "resolver"}
BASE: Final = "base"
Echo = Callable[[str], object]


class Choice(NamedTuple):
    """Jobs to show: of the newest attempt, of `attempt`, or of `every` one; all, or only `verify` or `failed` ones."""

    name: str
    attempt: int | None = None
    verify: bool = False
    failed: bool = False
    every: bool = False
    raw: bool = False

    @classmethod
    def of(cls, name: str, **wanted: bool) -> Choice:
        """The choice that `NAME` or `NAME/ATTEMPT` means. Raises `UsageError`."""
        who, _, attempt = name.partition("/")
        if attempt and not attempt.isdecimal():
            message = f"{name}: an attempt is a number, as in {who}/2"
            raise UsageError(message, remedy="relay logs --help", code="no_attempt")
        return cls(who, int(attempt) if attempt else None, **wanted)

    def takes(self, job: Job) -> bool:
        if self.verify and not (job.command and job.spec.name == "verify"):
            return False
        if self.failed and (job.result is None or job.result.ok):
            return False
        return self.attempt in {None, job.attempt} and _of(self.name, job)


def _of(name: str, job: Job) -> bool:
    spec = job.spec
    if name == MERGED_WORKTREE and spec.step is None:
        return spec.worktree == MERGED_WORKTREE and job.role != ROLES["design"]  # who had that folder before
    if name == BASE and spec.step is None:
        return spec.worktree == BASE_WORKTREE
    return spec.step == name or (name in ROLES and job.role == ROLES[name])


def show_jobs(project: Project, choice: Choice, *, lines: int, follow: bool, echo: Echo) -> None:
    """Prints the last `lines` of the jobs that are chosen; with `follow` all that comes, until the run is over.

    Raises `RelayError` (`no_run`, `unknown_builder` or `unknown_step`, `no_output`).
    """
    db, run = _newest(project)
    stored = db.load(run)
    _check(choice, db, run, stored.row.workflow)
    masker = Masker.from_environ(stored.options.get("env", {}))
    settings = stored.options.get("assistants", {})
    shown: dict[str, Transcript] = {}
    before = _before(choice, _chosen(choice, db, run))

    def news() -> Iterator[str]:
        for job in _chosen(choice, db, run):
            if job.id in before or (job.id in shown and shown[job.id].ended):
                continue
            if job.id not in shown:
                folder = project.output_dir(run, job.spec.step, job.id)
                shown[job.id] = Transcript(job, folder, masker, settings, raw=choice.raw)
                yield from () if choice.raw else shown[job.id].head()
            shown[job.id].job = job
            yield from shown[job.id].more()
            yield from () if choice.raw else shown[job.id].foot()

    last = deque(news(), maxlen=lines)
    if not shown and not follow:
        _refuse_reused(db, run, choice.name)
        raise RelayError(f"{escaped(choice.name)} has printed nothing{_such(choice)} yet", remedy="relay status",
                         code="no_output")  # fmt: skip
    for line in (*last, *(part for one in shown.values() for part in ([] if follow else one.partial()))):
        echo(line)
    while follow and stored.row.outcome is None:
        select.select([], [], [], FOLLOW_S)
        stored = db.load(run)  # looked at first: what is printed until then is shown
        for line in news():
            echo(line)


def _such(choice: Choice) -> str:
    return " that failed" if choice.failed else " while verifying" if choice.verify else ""


def _newest(project: Project) -> tuple[RunDB, str]:
    db = RunDB.open_readonly(project.database)
    name = db.latest_run(project.instance_dir.name) if db else None
    if db is None or name is None:
        raise RelayError("there is no run here", remedy='relay start "what you want built"', code="no_run")
    return db, name


def _refuse_reused(db: RunDB, run: str, name: str) -> None:
    """Raises `RelayError` (`no_output`) where another run did the work of a step."""
    with db.look(run) as look:
        row = look.step(name)
    source = json.loads(row.data).get("reused") if row is not None else ""
    if source:
        message = f"{escaped(name)} has printed nothing here: what it gave is reused from {source}"
        raise RelayError(message, remedy=f"relay show {source}", code="no_output")


def _check(choice: Choice, db: RunDB, run: str, workflow: str) -> None:
    with db.look(run) as look:
        known = look.step_ids()
    if choice.name not in {*known, *ROLES, MERGED_WORKTREE, BASE}:
        what = "builder" if workflow == BUILD else "step"
        message = f"there is no {what} {choice.name}; there are: {', '.join(known) or 'none yet'}"
        message += f"; and {', '.join([*ROLES, BASE, MERGED_WORKTREE])}"
        raise RelayError(message, remedy="relay status", code=f"unknown_{what}")


def _chosen(choice: Choice, db: RunDB, run: str) -> list[Job]:
    """The jobs that print, and are asked for."""
    with db.look(run) as look:
        rows = look.jobs() if choice.name in ROLES else [*look.jobs_of(None), *look.jobs_of(choice.name)]
    jobs = (from_json(Job, row.data) for row in rows)
    return [job for job in jobs if job.is_process and choice.takes(job)]


def _before(choice: Choice, jobs: list[Job]) -> frozenset[str]:
    """The jobs of attempts before the newest, which are shown only when they are asked for."""
    if choice.every or choice.attempt is not None or not jobs:
        return frozenset()
    return frozenset(job.id for job in jobs if job.attempt != jobs[-1].attempt)


def show_events(project: Project, *, lines: int, follow: bool, echo: Echo) -> None:
    """Prints the last `lines` of the run's log; with `follow` all that is added, until the run is over."""
    file = project.logs / "workflow.log"
    place, screen = Place.of(project), Look.of(sys.stdout)

    def tell(line: str) -> None:
        echo(screen.spelled(place.told(line)))

    offset = 0
    try:
        with os.fdopen(open_plain(file), "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - SHOWN_BYTES))
            if stream.tell():
                stream.readline()
            last = deque(stream, maxlen=lines)
            offset = stream.tell()
    except (FileNotFoundError, NotADirectoryError, NotPlainError):
        last = deque()
    for line in last:
        tell(_plain(line))
    over = not follow
    while not over:
        db, run = _newest(project)
        over = db.load(run).row.outcome is not None  # looked at first: what is written until then is shown
        offset = _show_more(file, offset, tell)
        if not over:
            select.select([], [], [], FOLLOW_S)


def _show_more(file: Path, offset: int, echo: Echo) -> int:
    """Prints the complete lines after `offset`; a file that shrank was begun again."""
    try:
        with os.fdopen(open_plain(file), "rb") as stream:
            stream.seek(offset if os.fstat(stream.fileno()).st_size >= offset else 0)
            offset = stream.tell()
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                echo(_plain(line))
                offset += len(line)
    except (FileNotFoundError, NotADirectoryError, NotPlainError):
        return 0
    return offset


def _plain(line: bytes) -> str:
    return escaped(line.decode("utf-8", errors="replace").rstrip("\n"))
