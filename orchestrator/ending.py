"""state.json of a run that is over, where the orchestrator was killed between recording the end and writing it."""

from __future__ import annotations

import hashlib

from lib.atomic import Changed, exchange
from lib.lock import state_lock
from lib.paths import Project
from lib.rundb import Stored
from lib.statefile import Raw, read_raw


def publish_end(project: Project, stored: Stored) -> bool:
    """Writes the last revision of a run that is over in the place of an earlier one; whether that stood there.

    No orchestrator must be at work. Raises `RelayError`.
    """
    if stored.row.outcome is None or stored.file_bytes is None:
        return False
    earlier = {revision.sha256 for revision in stored.revisions}
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
