"""Locks for writing: one orchestrator an instance for its lifetime, and one writer of state.json at a time.

The orchestrator's lock is a flock(2) on a folder, so there is no lock file to delete. On Linux it also binds an
abstract unix(7) socket named after the repository, so that not even `rm -rf .git/relay` lets a second one in. Both
belong to the open descriptors: a child made by fork holds them too, and they go with the last process that has them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EADDRINUSE
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lib.errors import EXIT_FAILED, RelayError
from lib.files.replace import replace_file
from lib.files.safe_read import NotPlainError, kind_of, open_folder, read_plain
from lib.names import quote
from lib.project.taken_locks import is_taken_by_jobs, put_aside

if TYPE_CHECKING:
    import socket

    from lib.jobs import ProcessIdentity
    from lib.project.paths import Project

STATE_LOCK_TIMEOUT_S: Final = 10.0
#: For how long a lock may seem taken because `holder` looks at it, and its holder be gone before it is identified.
_LOOKED_AT_S: Final = 0.25
_PAUSE_S: Final = 0.01
_MAX_RECORD_BYTES: Final = 4096


class LockError(RelayError):
    """The system refuses what a lock needs."""

    exit_code = EXIT_FAILED


def refuse_links(project: Project) -> None:
    """Raises `RelayError` (`state_path_refused`) when a place that Relay writes to is a link, or not of its kind.

    Nothing is made; what is missing is fine.
    """
    folders = [project.dot, *_between(project.dot, project.home), *_between(project.common_dir, project.instance_dir)]
    for path in (*folders, project.logs, project.dot / "runs", project.worktrees):
        _refuse(path, stat.S_ISDIR, "a folder")
    made = (project.dot / ".gitignore", project.home / "state.schema.json")  # git reads the first
    for path in (*made, project.pid_file, _state_lock_file(project), _owner_file(project)):
        _refuse(path, stat.S_ISREG, "a file")


def _between(top: Path, bottom: Path) -> list[Path]:
    """The folders below `top` down to `bottom`."""
    parts = bottom.relative_to(top).parts
    return [top.joinpath(*parts[: count + 1]) for count in range(len(parts))]


def _refuse(path: Path, is_right: Callable[[int], bool], wanted: str) -> None:
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if not is_right(mode):
        place = quote(str(path))
        message = f"{path} is {kind_of(mode)}; Relay needs {wanted} of its own there"
        remedy = f"rm {place}" if stat.S_ISLNK(mode) else f"mv {place} {place}.aside"
        raise RelayError(message, remedy=remedy, code="state_path_refused")


def _make_folder(project: Project) -> None:
    project.store.mkdir(mode=0o700, exist_ok=True)
    project.instance_dir.mkdir(parents=True, exist_ok=True)


# --- writers of state.json -------------------------------------------------------------------------------------------


def _state_lock_file(project: Project) -> Path:
    return project.instance_dir / "state.lock"


@contextmanager
def state_lock(project: Project, *, timeout_s: float = STATE_LOCK_TIMEOUT_S) -> Iterator[None]:
    """Held for the moment of a write of state.json, by the orchestrator and by commands.

    Raises `RelayError` (`state_busy`) when somebody else holds it for longer than `timeout_s`, `state_path_refused`.
    """
    from filelock import FileLock, Timeout

    file = _state_lock_file(project)
    try:
        refuse_links(project)
        _make_folder(project)
        lock = FileLock(file)
        lock.acquire(timeout=timeout_s, poll_interval=_PAUSE_S)
    except Timeout:
        message = f"another process has been writing {project.state_file} for {timeout_s:g} s"
        raise RelayError(message, remedy=f"fuser -v {quote(str(file))}", code="state_busy") from None
    except OSError as error:
        raise _unusable(project.instance_dir, error) from error
    try:
        yield
    finally:
        lock.release()


def _unusable(path: Path, error: OSError) -> RelayError:
    message = f"{path} can't be used: {error.strerror}"
    return LockError(message, remedy=f"ls -ld {quote(str(path))}; df -h {quote(str(path.parent))}", code="lock_failed")


# --- the orchestrator ------------------------------------------------------------------------------------------------


class InstanceLock:
    """The right to drive an instance. Taken before the daemon is forked; both sides may then `release` it."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._folder: int | None = None
        self._socket: socket.socket | None = None

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Descriptors that a child made by fork must not close as long as it is to hold the lock."""
        folder = () if self._folder is None else (self._folder,)
        return folder if self._socket is None else (*folder, self._socket.fileno())

    def acquire(self) -> None:
        """Raises `RelayError`: `already_running`, `state_path_refused`, `lock_failed`; then nothing is held."""
        try:
            self._take()
        except RelayError as error:
            if error.code != "already_running" or not _has_only_jobs(self._project):
                raise
            put_aside(self._project)
            self._take(has_socket=False)

    def _take(self, *, has_socket: bool = True) -> None:
        refuse_links(self._project)
        try:
            self._socket = _bind(self._project) if has_socket else None
            self._folder = _locked_folder(self._project)
        except OSError as error:
            self.release()
            raise _unusable(self._project.instance_dir, error) from error
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Closes what this process has of it. It does not unlock: a child that was forked off goes on holding it."""
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def still_ours(self) -> bool:
        """True if the folder that is locked is still the one that others would lock."""
        return self._folder is not None and _is_at(self._folder, self._project.instance_dir)

    def keep(self) -> None:
        """Takes the lock on the folder again where that was deleted or replaced.

        Raises `RelayError`: `already_running` when another one was quicker, `state_path_refused`, `lock_failed`.
        """
        if self._folder is None or self.still_ours():
            return
        refuse_links(self._project)
        try:
            folder = _locked_folder(self._project)
        except OSError as error:
            raise _unusable(self._project.instance_dir, error) from error
        try:
            os.dup2(folder, self._folder, inheritable=False)
        finally:
            os.close(folder)


def _locked_folder(project: Project) -> int:
    """A descriptor of the instance's folder with the lock on it. Raises `RelayError`, `OSError`."""
    deadline_mono_s = time.monotonic() + _LOOKED_AT_S
    while True:
        _make_folder(project)
        try:
            folder = open_folder(project.instance_dir)
        except NotPlainError:
            refuse_links(project)
            continue
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(folder)
            if time.monotonic() > deadline_mono_s:
                raise _already_running(project) from None
            time.sleep(_PAUSE_S)
            continue
        except BaseException:
            os.close(folder)
            raise
        if _is_at(folder, project.instance_dir):
            return folder
        os.close(folder)  # it was replaced before it was locked


def _is_at(folder: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(folder), path.lstat())
    except FileNotFoundError:
        return False


def _socket_name(project: Project) -> str:
    place = project.common_dir.stat()
    key = f"{place.st_dev}:{place.st_ino}:{project.instance_dir.name}"
    return f"relay-{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def _bind(project: Project) -> socket.socket | None:
    if sys.platform != "linux":
        return None
    import socket

    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        bound.bind(f"\0{_socket_name(project)}")
    except OSError as error:
        bound.close()
        if error.errno == EADDRINUSE:
            raise _already_running(project) from None
        raise
    return bound


def _already_running(project: Project) -> RelayError:
    record = _record(project)
    who = f" (pid {record['pid']})" if record else ""
    message = f"an orchestrator{who} is at work for instance {project.instance!r} of {project.root}"
    return RelayError(message, remedy="relay status", code="already_running")


# --- who it is -------------------------------------------------------------------------------------------------------


def _owner_file(project: Project) -> Path:
    """The identity of the orchestrator: a pid alone may belong to another process by now."""
    return project.instance_dir / "owner.json"


def write_pid(project: Project, identity: ProcessIdentity) -> None:
    """Records the orchestrator: its pid for people, in `.project/`, and its identity beside the lock.

    The folders must exist. Raises `WriteError`, `RelayError` (`state_path_refused`).
    """
    refuse_links(project)
    replace_file(_owner_file(project), identity.model_dump_json().encode())
    replace_file(project.pid_file, b"%d\n" % identity.pid)


def remove_pid(project: Project) -> None:
    """Takes back what this process wrote with `write_pid`. Raises `OSError`."""
    record = _record(project)
    if record is not None and record["pid"] == os.getpid():
        project.pid_file.unlink(missing_ok=True)
        _owner_file(project).unlink(missing_ok=True)


def holder(project: Project) -> int | None:
    """The pid of the orchestrator that holds the lock of this instance, None if none does. Makes nothing.

    Raises `RelayError` (`orchestrator_unknown`) when one does that can't be identified, as in another container.
    """
    deadline_mono_s = time.monotonic() + _LOOKED_AT_S
    while (inode := _socket_inode(project)) is not None or _is_locked(project):
        record = _record(project)
        if record is not None and _is_alive(record):
            return int(record["pid"])
        if _has_only_jobs(project):
            return None
        if inode is not None and (pid := _newest_with(f"socket:[{inode}]")):
            return pid
        if time.monotonic() > deadline_mono_s:  # else it may just have ended
            message = f"an orchestrator holds the lock of {project.root}, but its process can't be identified"
            remedy = f"fuser -v {quote(str(project.instance_dir))}"
            raise RelayError(message, remedy=remedy, code="orchestrator_unknown")
        time.sleep(_PAUSE_S)
    return None


def _has_only_jobs(project: Project) -> bool:
    """True if no orchestrator has the instance, but a job of one that was killed has taken its locks."""
    record = _record(project)
    alive = record is not None and _is_alive(record)
    return sys.platform == "linux" and not alive and is_taken_by_jobs(project, _socket_inode(project))


def _record(project: Project) -> dict[str, Any] | None:
    try:
        record = json.loads(read_plain(_owner_file(project), limit=_MAX_RECORD_BYTES) or b"null")
    except (ValueError, NotPlainError):
        return None
    known = isinstance(record, dict) and record.keys() == {"pid", "start_ticks", "boot_id"}
    return record if known else None


def _is_locked(project: Project) -> bool:
    """Tries the lock for a moment; `acquire` waits for longer than that."""
    try:
        folder = open_folder(project.instance_dir)
    except (FileNotFoundError, NotPlainError):
        return False
    try:
        fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(folder)
    return False


def _socket_inode(project: Project) -> str | None:
    """The inode of the bound socket, by the table in proc_net(5); its seventh column, and the name after an @."""
    try:
        name = f"@{_socket_name(project)}"
        for line in Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.endswith(name):
                return line.split()[6]
    except FileNotFoundError:
        return None
    return None


def _is_alive(record: dict[str, Any]) -> bool:
    if not Path("/proc/self/stat").exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(record["pid"], 0)
            return True
        return False
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return bool(_start_ticks(record["pid"]) == record["start_ticks"] and boot_id == record["boot_id"])


def _start_ticks(pid: int) -> int | None:
    """Field 22 of proc_pid_stat(5), None for one that has ended; field 2 may hold anything: counted from its end."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = line.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def _newest_with(target: str) -> int | None:
    """The youngest process that has a descriptor of `target`: of a command and the daemon it forked, the daemon."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    having = [pid for pid in pids if _has_open(Path(f"/proc/{pid}/fd"), target)]
    return max(having, key=lambda pid: _start_ticks(pid) or 0, default=None)


def _has_open(folder: Path, target: str) -> bool:
    try:
        return any(str(descriptor.readlink()) == target for descriptor in folder.iterdir())
    except OSError:  # it ended meanwhile, or belongs to somebody else
        return False
