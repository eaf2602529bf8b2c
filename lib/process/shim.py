"""Starting a job: under a shim of shell builtins that claims the job, runs it, and records its exit.

The shim outlives the orchestrator, so that a result is recorded whatever becomes of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lib.errors import RelayError
from lib.files.disk_space import reserve
from lib.files.safe_read import NotPlainError, read_plain
from lib.process.capture import OUTPUT, captured
from lib.process.claim import CLAIM, claimed
from lib.process.identity import boot_id, identify

if TYPE_CHECKING:
    from lib.jobs import ProcessIdentity

SHELL: Final = "/bin/sh"
EXIT: Final = "exit"
#: The exit that is recorded where what a job printed is lost: as if the program had been killed.
UNWRITTEN: Final = 128 + signal.SIGKILL

#: $1 folder of records, $2 boot id, $3 working directory, then the program. Descriptor 3 is its standard error; closing
#: 4 tells the scribe that the program has ended, and 5 answers when all is written: without that it counts as killed.
#: Signals to the whole group end the program and not the shim. The exit is recorded in a trap, since dash exits when
#: it can't fork. A machine that is out of memory is to end the program before all others. `exec` in a subshell runs a
#: program even if the shell has a builtin of its name.
SHIM: Final = f"""\
trap : HUP INT QUIT PIPE ALRM TERM USR1 USR2
set -C
read -r RELAY_STAT </proc/$$/stat || RELAY_STAT=$$
echo "$2 $RELAY_STAT" >"$1/{CLAIM}" || exit
trap 'RELAY_STAT=$?; trap "" HUP INT QUIT PIPE ALRM TERM USR1 USR2; exec 4>&-
read -r RELAY_LINE <&5 || RELAY_STAT={UNWRITTEN}; echo $RELAY_STAT >>"$1/{EXIT}"' EXIT
cd -- "$3" 2>&3 || exit 126
unset RELAY_STAT OLDPWD
(shift 3; echo 500 >|/proc/self/oom_score_adj; exec 2>&3 3>&- 4>&- 5<&-; exec "$@")
"""

_REMEDIES: Final = {
    errno.EAGAIN: "ulimit -u unlimited",
    errno.EMFILE: "ulimit -n 4096",
    errno.ENFILE: "sysctl fs.file-max",
    errno.ENOMEM: "free -h",
    errno.ENOSPC: "df -h",
}
_EXIT_MAX_BYTES: Final = 64
_NO_HANDLER: Final = (signal.SIGKILL, signal.SIGSTOP)
_STATUS: Final = re.compile(rb"(\d{1,3})\n")


class SpawnFailed(RelayError):  # noqa: N818 - what happened
    """A job's process could not be started, and nothing of it runs."""


@dataclass(frozen=True, slots=True)
class SpawnSpec:
    """A job to start. `job_id` becomes RELAY_JOB, the mark that its processes are found by: unique on the machine.

    `env` is the whole environment (see `environment`), `secrets` what is masked whatever its name. `folder` is the
    job's own for claim and exit, `output` that of `output.log` and `stderr.log`, which are added to. `cwd` is absolute.
    """

    job_id: str
    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    folder: Path
    output: Path
    secrets: Mapping[str, str] = field(default_factory=dict)
    stdin_file: Path | None = None
    shell: str = SHELL


def spawn(spec: SpawnSpec) -> ProcessIdentity:
    """Starts the job in a session of its own, and gives its shim.

    A program that is missing, or a working directory that is gone, ends with status 127 or 126. Raises `SpawnFailed`.
    """
    try:
        pid = _posix_spawn(spec)
    except (OSError, ValueError) as error:
        raise _failure(spec, error) from error
    try:
        # A shim that somebody else has reaped already can only be known by its claim.
        identity = identify(pid) or claimed(spec.folder)
    except OSError as error:
        _abandon(pid)
        raise _failure(spec, error) from error
    if identity is None:
        (spec.folder / CLAIM).unlink(missing_ok=True)  # it could not write it, so it did nothing
        raise _failure(spec, ProcessLookupError(errno.ESRCH, "its shim ended at once"))
    return identity


def exit_status(folder: Path) -> int | None:
    """The exit status that the shim recorded, as a shell counts it (128 and the signal's number if killed)."""
    try:
        recorded = _STATUS.fullmatch(read_plain(folder / EXIT, limit=_EXIT_MAX_BYTES) or b"")
    except NotPlainError:  # no shim makes that
        return None
    return int(recorded[1]) if recorded else None


def output_size(folder: Path) -> int:
    """Bytes that the job has printed so far."""
    size = 0
    for name in OUTPUT:
        with contextlib.suppress(FileNotFoundError):
            size += (folder / name).lstat().st_size
    return size


def inherited_descriptors() -> list[int]:
    """Descriptors beyond standard error that a child would get: our own starter's, as Python's are never passed on."""
    found = []
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 - numbers are wanted
        with contextlib.suppress(OSError):  # closed since: that of the listing, or another thread's
            if int(name) > 2 and os.get_inheritable(int(name)):  # noqa: PLR2004 - 0 to 2 are the standard ones
                found.append(int(name))
    return found


def _posix_spawn(spec: SpawnSpec) -> int:
    if spec.argv[0].startswith("-"):
        raise ValueError(f"a program's name can't begin with a dash: {spec.argv[0]}")  # to exec, it is an option
    for folder in (spec.folder, spec.output):
        folder.mkdir(parents=True, exist_ok=True)
    environ = {**spec.env, "RELAY_JOB": spec.job_id, "PWD": str(spec.cwd)}
    # A full disk must not cost the end of what it prints, nor its exit.
    for file in (spec.folder / EXIT, *(spec.output / name for name in OUTPUT)):
        reserve(file)
    # Identifying the shim takes a descriptor: better to run out of them before it is started.
    spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        not_passed = inherited_descriptors()
        with captured(spec.output, spec.env, spec.secrets, not_passed) as ends:
            opened = [
                (os.POSIX_SPAWN_OPEN, 0, spec.stdin_file or os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                *((os.POSIX_SPAWN_DUP2, end, number) for end, number in zip(ends, (1, 3, 4, 5), strict=True)),
            ]
            return os.posix_spawn(
                spec.shell,
                [spec.shell, "-c", SHIM, "relay-shim", str(spec.folder), boot_id(), str(spec.cwd), *spec.argv],
                environ,
                file_actions=[*((os.POSIX_SPAWN_CLOSE, number) for number in not_passed), *opened],
                setsid=True,
                setsigmask=(),
                setsigdef=signal.valid_signals().difference(_NO_HANDLER),
            )
    finally:
        os.close(spare)


def _abandon(pid: int) -> None:
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _failure(spec: SpawnSpec, error: OSError | ValueError) -> SpawnFailed:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    remedy = _REMEDIES.get(getattr(error, "errno", 0), "relay doctor")
    return SpawnFailed(f"{spec.argv[0]} could not be started: {reason}", remedy=remedy, code="spawn_failed")
