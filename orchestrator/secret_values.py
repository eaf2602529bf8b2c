"""Values of the secrets that a workflow declares: read when a job starts, kept in memory, and stored nowhere."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Final

from lib.errors import RelayError
from lib.names import quote
from lib.secrets.masking import SECRET_MIN_CHARS
from lib.workflow.options import Run, Secret, SecretFrom

#: No variable of a process is as long, and no key.
MAX_BYTES: Final = 64_000
COMMAND_S: Final = 60.0
#: The commands that give a variable to a run that has begun, around that which sets it.
_AGAIN: Final = "relay stop && {} && relay resume && relay retry"


class SecretValues:
    """The secrets of a run. All values that were ever read stay known: what a job gives may come after a change."""

    def __init__(self, declared: Sequence[Secret], root: Path) -> None:
        self._declared = declared
        self._root = root
        self._lock = Lock()
        self._known: dict[str, dict[str, None]] = {}

    @property
    def are_declared(self) -> bool:
        return bool(self._declared)

    def read(self) -> dict[str, str]:
        """The values as they are now, by the names of their variables. Raises `RelayError` (`secret_missing`)."""
        values = {secret.name: _value(secret, self._root, _AGAIN) for secret in self._declared}
        with self._lock:
            for name, value in values.items():
                self._known.setdefault(name, {})[value] = None
        return values

    def known(self) -> dict[str, str]:
        """The text, by name, of which each line is to be masked. Raises `RelayError` (`secret_missing`)."""
        if len(self._known) < len(self._declared):  # a process that has taken the job over
            self.read()
        with self._lock:
            return {name: "\n".join(values) for name, values in self._known.items()}


def check_secrets(declared: Sequence[Secret], root: Path) -> None:
    """Looks for the variables and files before anything starts. Raises `RelayError` (`secret_missing`)."""
    for secret in declared:
        if _source(secret).command is None:
            _value(secret, root, "{}")


def _source(secret: Secret) -> SecretFrom:
    return SecretFrom(env=secret.name) if secret.source == "env" else secret.source


def _value(secret: Secret, root: Path, setting: str) -> str:
    """The value; `setting` says in which command an `export` has to be. Raises `RelayError` (`secret_missing`)."""
    source = _source(secret)
    if source.env is not None:
        remedy = setting.format(f"export {source.env}=…")
    elif source.file is not None:
        remedy = f"ls -l {quote(source.file)}"
    else:
        remedy = _as_line(source.command or "")
    try:
        return _read(source, root)
    except ValueError as error:
        why = "it is no text in UTF-8" if isinstance(error, UnicodeError) else str(error)
    except OSError as error:
        why = f"{error.filename or remedy}: {error.strerror or error}"
    except subprocess.TimeoutExpired:
        why = f"its command took longer than {COMMAND_S:.0f} s"
    raise RelayError(f"the secret {secret.name} can't be had: {why}", remedy=remedy, code="secret_missing")


def _read(source: SecretFrom, root: Path) -> str:
    """The text of a source, if it can be a variable and be masked. Raises `ValueError`, `OSError`, `TimeoutExpired`."""
    if source.env is not None:
        if source.env not in os.environ:
            raise ValueError(f"the variable {source.env} is not set where Relay runs")
        data = os.environb[os.fsencode(source.env)]
    elif source.file is not None:
        data = _of_file(root / Path(source.file).expanduser())
    else:
        data = _of_command(source.command or "", root)
    value = data.decode().removesuffix("\n").removesuffix("\r")
    if "\0" in value or len(data) > MAX_BYTES:
        raise ValueError(f"it is no text of at most {MAX_BYTES:,} bytes")
    if len(value.strip()) < SECRET_MIN_CHARS:
        raise ValueError(f"it has fewer than {SECRET_MIN_CHARS} characters, so it could not be masked")
    return value


def _of_file(file: Path) -> bytes:
    if not stat.S_ISREG(file.stat().st_mode):  # to open a pipe would wait
        raise ValueError(f"{file} is no plain file")
    with file.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _of_command(command: Run, root: Path) -> bytes:
    """The output of a command. It runs as Relay does, outside of any sandbox: it may have to ask a keyring."""
    argv = ("/bin/sh", "-c", command) if isinstance(command, str) else command
    with subprocess.Popen(argv, cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, start_new_session=True) as process:  # fmt: skip
        try:
            printed, _ = process.communicate(timeout=COMMAND_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise ValueError(f"its command ended with exit status {process.returncode}")
    return printed


def _as_line(command: Run) -> str:
    return command if isinstance(command, str) else " ".join(map(quote, command))
