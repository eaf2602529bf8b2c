"""`relay doctor`: what this machine and this project have, and how to mend what is missing."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.errors import RelayError
from lib.files.rubbish import waiting
from lib.git.inspect import git_version, starting_point
from lib.git.run import Repo
from lib.names import quote
from lib.project.lock import holder
from lib.project.paths import Project, find_project, user_state_dir, working_folder
from lib.project.trust import pending
from lib.sandbox import probe
from lib.store.rundb import RunDB, StoreError
from lib.store.sqlite import CORRUPT
from orchestrator.jobs.shadowing import shadow
from orchestrator.persistence.outage import standing

if TYPE_CHECKING:
    from orchestrator.commands.assistant_check import Found


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. One that is `optional` may be missing without the exit code telling."""

    what: str
    ok: bool
    detail: str
    remedy: str = ""
    optional: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine(folder: Path, instance: str) -> list[Finding]:
    """Everything, in the order in which it matters. Changes nothing."""
    return [*_machine(), *_assistants(), *_project(folder, instance)]


def _machine() -> Iterator[Finding]:
    yield Finding("python", ok=True, detail=f"{platform.python_version()} on {platform.system()}")
    yield _asked("git", lambda: f"git {'.'.join(map(str, git_version()))}")
    contained = probe()
    yield Finding("sandbox", contained.works, contained.version if contained.works else contained.reason,
                  contained.remedy, optional=True)  # fmt: skip
    home = user_state_dir()
    place = next(part for part in (home, *home.parents) if part.exists())
    writable = os.access(place, os.W_OK)
    yield Finding("registry", writable, str(home), f"chmod u+w {place}", optional=True)


def _assistants() -> Iterator[Finding]:
    from orchestrator.commands.assistant_check import configuration, survey

    try:
        found = survey(configuration(working_folder()))
    except RelayError as error:
        yield Finding("assistants", ok=False, detail=error.message, remedy=error.remedy)
        return
    for one in found:
        login = ", not logged in" if one.logged_in is False else ""
        detail = f"{one.version or 'ready'}{login}" if one.version or one.ready else one.detail
        tried = f" ({one.detail})" if one.version and one.detail else ""
        yield Finding(one.name, one.ready, f"{detail}{tried}", one.remedy, optional=True)
    if not any(one.ready for one in found):
        yield _none_ready({one.name: one for one in found})


def _none_ready(found: Mapping[str, Found]) -> Finding:
    """Without an assistant no run can be started; the remedy is that of the one which lacks the least."""
    from lib.assistants import PREFERRED

    installed = [name for name, one in found.items() if one.logged_in is False]
    first = next((name for name in PREFERRED if name in (installed or found)), "")
    detail = f"{', '.join(installed)}: not logged in" if installed else "none is installed or configured"
    return Finding("assistants", ok=False, detail=detail, remedy=found[first].remedy if first else "relay assistants")


def _project(folder: Path, instance: str) -> Iterator[Finding]:
    try:
        project = find_project(folder, instance)
    except RelayError as error:
        yield Finding("project", ok=False, detail=error.message, remedy=error.remedy)
        return
    yield Finding("project", ok=True, detail=str(project.root))
    yield _asked("base", lambda: starting_point(Repo.of(project)).branch)
    yield _trusted(project)
    yield _imports(project)
    database = _database(project)
    yield database
    if database.ok:
        yield _orchestrator(project)
        yield from _worktrees(project)


def _trusted(project: Project) -> Finding:
    waiting = ", ".join(str(item.path) for item in pending(project))
    return Finding("trust", not waiting, waiting or "nothing waits to be trusted", "relay trust")


def _imports(project: Project) -> Finding:
    """Optional, as not each project is verified by what imports it."""
    from orchestrator.commands.assistant_check import configuration

    try:
        found = shadow(project, configuration(project.root))
    except RelayError as error:
        return Finding("imports", ok=False, detail=error.message, remedy=error.remedy)
    if found is None:
        return Finding("imports", ok=True, detail="no Python here imports this project from your checkout")
    remedy = f"$EDITOR {quote(str(project.config_file))}"
    return Finding("imports", ok=False, detail=project.named(found.sentence()), remedy=remedy, optional=True)


def _database(project: Project) -> Finding:
    file, aside = (quote(str(path)) for path in (project.database, project.store / "damaged"))
    put_aside = f"relay stop; mkdir -p {aside} && mv {file}* {aside}"
    try:
        db = RunDB.open_readonly(project.database)
        wrong = db.check() if db else []
    except StoreError as error:
        remedy = put_aside if error.code == CORRUPT else error.remedy
        return Finding("run database", ok=False, detail=error.message, remedy=remedy)
    return Finding("run database", not wrong, "; ".join(wrong) or ("sound" if db else "none yet"), put_aside)


def _orchestrator(project: Project) -> Finding:
    db = RunDB.open_readonly(project.database)
    run = db.active_run(project.instance_dir.name) if db else None
    pid = holder(project)
    if pid is not None and (held := standing(project)):
        return Finding("orchestrator", ok=False, detail=f"pid {pid} is held: {held['message']}", remedy=held["remedy"])
    if pid is not None:
        return Finding("orchestrator", ok=True, detail=f"pid {pid} drives {run}")
    return Finding("orchestrator", run is None, f"none drives {run}" if run else "none needed: no run is under way",
                   "relay resume")  # fmt: skip


def _worktrees(project: Project) -> Iterator[Finding]:
    db = RunDB.open_readonly(project.database)
    over = {row.id for row in db.runs(limit=10_000) if row.outcome} if db else set()
    folder = project.worktrees
    left = sorted(path.name for path in folder.iterdir() if path.name in over) if folder.is_dir() else []
    left += [path.name for path in waiting(folder)]
    yield Finding("worktrees", not left, f"left of runs that are over: {', '.join(left)}" if left else "none left over",
                  "relay clean", optional=True)  # fmt: skip


def _asked(what: str, question: Any) -> Finding:  # noqa: ANN401 - a function without arguments that gives a text
    try:
        return Finding(what, ok=True, detail=question())
    except RelayError as error:
        return Finding(what, ok=False, detail=error.message, remedy=error.remedy)
