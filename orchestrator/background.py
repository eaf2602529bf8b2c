"""The orchestrator in the background: forked before its modules are loaded, so that who starts it can go on at once."""

from __future__ import annotations

import os
import traceback

from lib.errors import EXIT_BUG, RelayError
from lib.lock import InstanceLock
from lib.paths import Project
from lib.process import detach


def start_detached(project: Project, run_name: str, lock: InstanceLock) -> None:
    """Forks the orchestrator, which keeps the lock, and returns at once in the caller, which lets go of it."""
    log = project.logs / "orchestrator.log"
    if detach(log) == 0:
        code = 0
        try:
            from orchestrator.daemon import drive

            drive(project, run_name, lock)
        except RelayError as error:
            os.write(2, f"{error.message}\n  try: {error.remedy}\n".encode(errors="replace"))
            code = error.exit_code
        except BaseException:  # noqa: BLE001 - the last thing that can be told of a bug, in orchestrator.log
            traceback.print_exc()
            code = EXIT_BUG
        os._exit(code)
    lock.release()
