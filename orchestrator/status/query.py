"""One look at a run: the database, the lock, state.json and what jobs print become a view. It changes nothing.

It must stay light: no pydantic, no subprocess. The run database is the truth; state.json is only looked at where no
orchestrator does it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lib.errors import RelayError
from lib.files.safe_read import NotPlainError, read_plain
from lib.project.lock import holder
from lib.secrets.masking import Masker
from lib.store.rundb import RunDB, StoreError
from orchestrator.persistence.outage import standing
from orchestrator.status.last_output import last_line
from orchestrator.status.questions import state_file
from orchestrator.status.view import FROZEN, GONE, View, status_view
from orchestrator.status.whereabouts import Place, seen_from

if TYPE_CHECKING:
    from lib.project.paths import Project
    from lib.store.queries import Queries
    from lib.store.rows import RunRow, Stored

_STATE_MAX_BYTES: Final = 1_000_000
#: For an orchestrator that is there, though its process can't be identified.
PID_UNKNOWN: Final = 0
#: What contains jobs, by the setting that a run was started with: `auto` stays only where containing did not work.
SANDBOXES: Final = {"require": "bubblewrap", "auto": "none", "off": "off"}
#: How many steps that are not at work are looked at, unless all are wanted: more than screens have rows for.
SHOWN: Final = 100
_RUNS_LOOKED_AT: Final = 500
#: Field 22 of proc_pid_stat(5), the start time, counted from the state, which follows the name.
_START_FIELD: Final = 19


def look(project: Project, run: str = "", *, every: bool = False) -> View | None:
    """The view of `run`, or of the instance's newest; None if there is none. It has the builders that count most, or
    `every` one, which costs more the larger the run is.

    Where the run database can't be read, it is what state.json tells. Raises `RelayError`, and `StoreError` where that
    tells nothing either.
    """
    view = _looked(project, run, every=every)
    if view is None:
        return None
    named = project.named
    builders = tuple(each._replace(worktree=named(each.worktree)) for each in view.builders)
    view = view._replace(state_file=named(view.state_file), folder=named(view.folder), builders=builders)
    return seen_from(view, Place(project, project.root))


def _looked(project: Project, run: str, *, every: bool) -> View | None:
    pid = running(project)  # first: one that ends after this has committed the end before the database is read
    try:
        db = RunDB.open_readonly(project.database)
        name = run or (db.latest_run(project.instance_dir.name) if db else None)
        if db and name:
            with db.look(name) as found:
                return _view(project, found, pid, every=every)
    except StoreError as error:
        view = _from_file(project, pid, error)
        if view is None:
            raise
        return view
    hold = standing(project) if pid is not None else None  # its run database was deleted under it
    return (
        _from_file(project, pid, StoreError(hold["message"], remedy=hold["remedy"], code=hold["code"]))
        if hold
        else None
    )


def _view(project: Project, found: Queries, pid: int | None, *, every: bool) -> View:
    stored, rows, live = found.stored, found.steps() if every else found.foremost(SHOWN), found.live()
    header, problem = (stored.header, standing(project)) if pid is not None else _as_edited(project, stored)
    steps = [json.loads(row.data) for row in rows]
    jobs = [json.loads(row.data) for row in live]
    masked = Masker.from_environ(stored.options.get("env", {})).masked_data
    lines = {job["id"]: last_line(_output(project, header["run"], job)) for job in jobs}
    problem = stored.row.problem or problem
    header = {**header, "sandbox": SANDBOXES.get(stored.options.get("sandbox", ""))}
    halted = {job["id"]: how for job in jobs if (how := _halted(job, pid))}
    return status_view(masked(header), masked(steps), jobs, masked(problem), pid, datetime.now(UTC), masked(lines),
                       halted, found.whole())  # fmt: skip


def _halted(job: dict[str, Any], orchestrator: int | None) -> str:
    """The state of a halted job that has not ended: frozen, or gone; empty while it works, or if nobody knows."""
    process = job.get("process")
    if process is None:
        return "" if orchestrator is not None else GONE
    try:
        fields = Path(f"/proc/{process['pid']}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return GONE if Path("/proc/self").exists() and orchestrator is None else ""
    except OSError:
        return ""
    if fields[0] in {b"Z", b"X"} or int(fields[_START_FIELD]) != process["start_ticks"]:
        return GONE if orchestrator is None else ""
    return FROZEN if fields[0] in {b"T", b"t"} else ""


def _from_file(project: Project, pid: int | None, error: StoreError) -> View | None:
    """The view by state.json alone, with why no more is known; None if it is not as the orchestrator writes it."""
    problem = {"code": error.code, "message": error.message, "remedy": error.remedy}
    try:
        header = json.loads(read_plain(project.state_file, limit=_STATE_MAX_BYTES) or b"null")
        masked = Masker.from_environ().masked_data(header)
        steps = [*masked["builders"], *masked.get("steps", ())]
        return status_view(masked, steps, [], problem, pid, datetime.now(UTC), {})
    except (OSError, NotPlainError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def instances(project: Project) -> list[RunRow]:
    """The newest run of each instance in this work tree. Raises `StoreError`, `RelayError`."""
    db = RunDB.open_readonly(project.database)
    rows = db.runs(limit=_RUNS_LOOKED_AT) if db else []
    newest = {row.instance: row for row in reversed(rows) if row.root == str(project.root)}
    return list(newest.values())


def running(project: Project) -> int | None:
    """The pid of the instance's orchestrator, `PID_UNKNOWN`, or None while none is running."""
    try:
        return holder(project)
    except RelayError:
        return PID_UNKNOWN


def _output(project: Project, run: str, job: dict[str, Any]) -> Path:
    return project.output_dir(run, job["spec"]["step"], job["id"]) / "output.log"


def _as_edited(project: Project, stored: Stored) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The content of state.json while nobody takes up its edits: the header with them, and the problem of the file."""
    if stored.row.outcome is not None:
        return stored.header, None
    try:
        data = read_plain(project.state_file, limit=_STATE_MAX_BYTES)
    except (OSError, NotPlainError):
        data = b""
    if data is None or data == stored.file_bytes:
        return stored.header, None  # a missing one is restored by the next orchestrator
    return _judged(project, stored.header)


def _judged(project: Project, header: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Rare, so it may cost the import of what the orchestrator itself judges by."""
    from lib.model import EDITABLE
    from lib.statefile.document import Raw, Refused, StateProblem, parse, read_raw

    found = read_raw(project.state_file)
    if isinstance(found, Refused):
        return header, found.problem.model_dump(mode="json")
    if not isinstance(found, Raw):
        return header, None
    try:
        state = parse(found.data, state_file(project.instance)).model_dump(mode="json")
    except StateProblem as error:
        return header, error.problem.model_dump(mode="json")
    if (state["run"], state["rev"]) != (header["run"], header["rev"]):
        return header, None
    return {**header, **{name: state[name] for name in EDITABLE}}, None
