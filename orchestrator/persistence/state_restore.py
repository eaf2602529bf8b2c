"""state.json written from the run database, where whoever was to do it was killed before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress

from lib.files.replace import Changed, exchange
from lib.project.lock import state_lock
from lib.project.paths import Project
from lib.statefile.document import Raw, read_raw
from lib.store.rundb import Revision, RunDB, Stored
from orchestrator.persistence.project_folders import make_home


def put_back(project: Project) -> bool:
    """Writes the file of a run that is not over where it is missing; whether there is such a run. Raises `RelayError`.

    An orchestrator may be about to do the same.
    """
    db = RunDB.open_readonly(project.database)
    run = db.active_run(project.instance_dir.name) if db else None
    written = db.load(run).file_bytes if db and run else None
    if written is None:
        return False
    make_home(project)
    with suppress(Changed):  # it was quicker
        exchange(project.state_file, written, None)
    return True


def publish_beginning(project: Project, db: RunDB, run: str) -> None:
    """Writes the first revision of a run in the place of the last one of the instance's run before: whoever recorded
    the run was killed before writing it. Raises `RelayError`.
    """
    newest = db.runs(instance_key=project.instance_dir.name, limit=2)
    if len(newest) < 2 or newest[0].id != run:  # noqa: PLR2004 - this one and the one before
        return
    own, before = (db.load(row.id).file_bytes for row in newest)
    with state_lock(project):
        found = read_raw(project.state_file)
        if own is not None and isinstance(found, Raw) and found.data == before:
            with suppress(Changed):  # somebody has just saved: that is judged
                exchange(project.state_file, own, before)


def publish_end(project: Project, stored: Stored, revisions: Iterable[Revision]) -> bool:
    """Writes the last revision of a run that is over in the place of an earlier one; whether that stood there: its
    orchestrator was killed between recording the end and writing it.

    None must be at work now. Raises `RelayError`.
    """
    if stored.row.outcome is None or stored.file_bytes is None:
        return False
    earlier = {revision.sha256 for revision in revisions}
    with state_lock(project):
        found = read_raw(project.state_file)
        if not isinstance(found, Raw) or found.data == stored.file_bytes:
            return False
        if hashlib.sha256(found.data).hexdigest() not in earlier:
            return False
        try:
            exchange(project.state_file, stored.file_bytes, found.data)
        except Changed:  # somebody has just saved: it is theirs
            return False
    return True
