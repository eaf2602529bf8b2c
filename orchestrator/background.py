"""The orchestrator in the background: forked before its modules are loaded, so that who starts it can go on at once."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import traceback
from contextlib import suppress
from pathlib import Path

from lib.errors import EXIT_BUG, RelayError
from lib.files.safe_read import NotPlainError
from lib.names import quote, shown
from lib.process import detach
from lib.project.lock import InstanceLock
from lib.project.paths import Project
from orchestrator.persistence.project_folders import make_home

STARTED = b"started"


def start_detached(project: Project, run_name: str, lock: InstanceLock, *, confirmed: bool = False) -> None:
    """Forks the orchestrator, which keeps the lock, and returns at once in the caller, which lets go of it.

    With `confirmed`, it returns once the run has been taken up, some tenths of a second later. Raises `RelayError`:
    what kept the orchestrator from that, or `not_started`.
    """
    log = project.orchestrator_log
    hear, tell = os.pipe()
    with os.fdopen(hear, "rb") as answer:
        try:
            make_home(project)
            if detach(log) == 0:
                code = EXIT_BUG
                try:
                    os.close(hear)
                    code = _driven(project, run_name, lock, _Starter(tell))
                finally:
                    os._exit(code)
        except NotPlainError as error:
            message = f"{log} is {error.what}; Relay writes plain files only"
            remedy = f"mv {quote(str(log))} {quote(f'{log}.aside')}"
            raise RelayError(message, remedy=remedy, code="state_path_refused") from error
        except OSError as error:
            message = f"the orchestrator could not be started: {error.strerror}"
            remedy = f"df -h {quote(str(project.dot))}; ulimit -a"
            raise RelayError(message, remedy=remedy, code="not_started") from error
        finally:
            os.close(tell)
            lock.release()
        said = answer.read() if confirmed else STARTED
    if said != STARTED:
        raise _refusal(said, log)


class _Starter:
    """Whoever started the orchestrator, and may be waiting to hear once how that went."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def hears(self, said: bytes) -> None:
        if self._descriptor is not None:
            with suppress(BrokenPipeError):  # it did not wait
                os.write(self._descriptor, said)
            os.close(self._descriptor)
            self._descriptor = None


def _driven(project: Project, run_name: str, lock: InstanceLock, starter: _Starter) -> int:
    """Drives the run in this process, from here on the orchestrator; its exit code."""
    faulthandler.register(signal.SIGQUIT)  # what each thread is at, for whoever thinks that it hangs
    try:
        from orchestrator.daemon import drive

        drive(project, run_name, lock, started=lambda: starter.hears(STARTED))
    except RelayError as error:
        told = {"message": error.message, "remedy": error.remedy, "code": error.code, "exit_code": error.exit_code}
        starter.hears(json.dumps(told).encode())
        with suppress(OSError):  # the disk may be full
            os.write(2, shown(f"{error.message}\n  try: {error.remedy}\n").encode())
        return error.exit_code
    except BaseException:  # noqa: BLE001 - the last word on a bug goes into orchestrator.log
        with suppress(OSError):
            traceback.print_exc()
        return EXIT_BUG
    return 0


def _refusal(said: bytes, log: Path) -> RelayError:
    if not said:
        return RelayError("the orchestrator ended at once", remedy=f"tail -n 30 {quote(str(log))}", code="not_started")
    told = json.loads(said)
    error = RelayError(told["message"], remedy=told["remedy"], code=told["code"])
    error.exit_code = told["exit_code"]
    return error
