"""Commands of Relay as processes forked from one that has loaded its code: most take less time than that loading."""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import IO

#: Our own packages, and what they load only when they need it.
OURS = ("lib", "phases", "orchestrator")
LATE = ("ctypes", "filelock", "git", "jinja2", "structlog", "yaml")
#: What programs read only when they start.
READ_AT_START = ("PYTHON", "COVERAGE", "LANG", "LC_", "LD_", "TZ")


class Origin:
    """The process that commands are forked from; it ends with this one, however that ends."""

    def __init__(self, env: dict[str, str]) -> None:
        self._settings = _read_at_start(env)
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno())], env=env, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
            )  # fmt: skip

    def fits(self, env: dict[str, str]) -> bool:
        """True if a process started with `env` would have had the same settings at its start."""
        return _read_at_start(env) == self._settings

    def run(
        self, args: tuple[str, ...], cwd: Path, env: dict[str, str], stdout: int | IO[str], timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        """`relay ARGS`, without an input. Raises `subprocess.TimeoutExpired`, `OSError` for a `cwd` that is gone."""
        with ExitStack() as stack:
            answer, out, err = (_Pipe(stack) for _ in range(3))
            output = out.end if stdout == subprocess.PIPE else stdout
            request = stack.enter_context(tempfile.TemporaryFile())
            request.write(json.dumps({"args": args, "env": env}).encode())
            request.flush()
            folder = os.open(cwd, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, folder)
            descriptors = [each if isinstance(each, int) else each.fileno()
                           for each in (output, err.end, answer.end, request, folder)]  # fmt: skip
            socket.send_fds(self._control, [b"!"], descriptors)
            for pipe in (answer, out, err):
                pipe.end.close()
            if not _read_whole([answer, out, err], timeout_s):
                with suppress(ProcessLookupError):  # it has ended, and left its output open to another
                    os.kill(int(answer.said.split()[0]), signal.SIGKILL)
                raise subprocess.TimeoutExpired(args, timeout_s)
        return subprocess.CompletedProcess(args, int(answer.said.split()[1]), _text(out.said), _text(err.said))

    def end(self) -> None:
        self._control.close()
        self._process.wait()


class _Pipe:
    def __init__(self, stack: ExitStack) -> None:
        read, write = os.pipe()
        self.start = stack.enter_context(os.fdopen(read, "rb", buffering=0))
        self.end = stack.enter_context(os.fdopen(write, "wb", buffering=0))
        self.said = b""


def _read_whole(pipes: list[_Pipe], timeout_s: float) -> bool:
    """Reads until nobody writes to them any more; False if that takes longer."""
    deadline = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe.start, selectors.EVENT_READ, pipe)
        while selector.get_map():
            if not (ready := selector.select(max(0, deadline - time.monotonic()))):
                return False
            for key, _ in ready:
                if read := os.read(key.fd, 1 << 16):
                    key.data.said += read
                else:
                    selector.unregister(key.fileobj)
    return True


def _text(said: bytes) -> str:
    return said.decode().replace("\r\n", "\n").replace("\r", "\n")  # as text=True gives it


def _read_at_start(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(READ_AT_START)}


def _load() -> None:
    for package in OURS:
        for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
            import_module(module.name)
    for name in LATE:
        import_module(name)
    from orchestrator.cli.app import app

    with suppress(SystemExit):
        app(["--help"])
    gc.collect()
    gc.freeze()


def _serve(control: socket.socket) -> list[int]:
    """Returns, in a process of its own for each request, the descriptors that came with it."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait for commands
    while True:
        asked, descriptors, _, _ = socket.recv_fds(control, 1, 5)
        if not asked:
            sys.exit()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.close()
            return descriptors
        for descriptor in descriptors:
            os.close(descriptor)


def _fork(output: int, errors: int, answer: int, request: int, folder: int) -> None:
    """Returns in the process of a command; its pid and its exit code are the answer."""
    if (pid := os.fork()) != 0:
        os.write(answer, b"%d " % pid)
        for descriptor in (output, errors):
            os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        os.write(answer, b"%d" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    with os.fdopen(request, "rb") as stream:
        stream.seek(0)
        asked = json.load(stream)
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = ["-c", *asked["args"]]
    sys.path.insert(0, "")
    os.fchdir(folder)
    for standard, descriptor in ((1, output), (2, errors)):
        os.dup2(descriptor, standard)
    for descriptor in (output, errors, answer, folder):
        os.close(descriptor)
    # Those of the origin would remember where in its own they were.
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)


if __name__ == "__main__":
    _load()
    _fork(*_serve(socket.socket(fileno=int(sys.argv[1]))))
    from orchestrator.cli import main

    main()
