"""Objects read through git's own `cat-file` processes, which GitPython asks and which stay open while Relay works.

A question costs some fifty microseconds there, a process of its own some milliseconds. Nothing is written that way, and
an answer that is not certain is none: `UnreadError` leaves the question to a git of its own. That is so outside of
`reading`, with object names of SHA-256, which GitPython does not know, for objects that a partial clone would have to
fetch, and for replaced ones (git-replace(1)).
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import select
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from lib.git.packs import Packs
from lib.git.run import OPTIONS, TIMEOUT_S, Repo, environment
from lib.git.stored import UnreadError

if TYPE_CHECKING:
    from git.cmd import Git

__all__ = ["Commit", "UnreadError", "close_unused", "commit_in", "find", "read", "read_commit", "reading"]

#: An open process that nobody has asked for so long is ended; a builder's steps are often minutes apart.
UNUSED_S: Final = 300.0
_END_S: Final = 1.0
#: A partial clone fetches nothing: by the newer way, and by one that every git knows.
_OFFLINE: Final = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": ""}
_NAME: Final = re.compile(r"[0-9a-f]{40}(?:\^\{commit\}|:[^\n]+)?")
_COMMIT: Final = re.compile(
    rb"tree ([0-9a-f]{40})\n((?:parent [0-9a-f]{40}\n)*)author [^\n]*\ncommitter [^\n]*> (\d+) [-+]\d+\n"
)

T = TypeVar("T")


class Commit(NamedTuple):
    """A commit's tree, its parents, and its date in seconds of Unix time."""

    tree: str
    parents: list[str]
    stamp: int


class _CutError(Exception):
    """The process ended before its answer did, or wrote what is no answer."""


class _Timed(io.FileIO):
    """A pipe that is not waited for longer than a git that runs by itself."""

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        poll = select.poll()
        poll.register(self, select.POLLIN)
        if not poll.poll(TIMEOUT_S * 1000):
            raise TimeoutError
        return super().readinto(buffer) or 0


class _Answers(io.BufferedReader):
    """The output of a process. GitPython takes an end in the middle for an answer, so that raises an error here."""

    _line = b""
    _cut = False

    def missing(self, name: str) -> bool:
        """True if the last answer is that there is no such object."""
        return self._line == name.encode() + b" missing\n"

    def readline(self, size: int | None = -1, /) -> bytes:
        self._line = super().readline(size)
        return self._all(self._line, whole=self._line.endswith(b"\n"))

    def read(self, size: int | None = -1, /) -> bytes:
        if self._cut or self.closed:  # GitPython reads the rest of what it was not given
            return b""
        data = super().read(size)
        return self._all(data, whole=len(data) == size)

    def _all(self, data: bytes, *, whole: bool) -> bytes:
        if not whole:
            self._cut = True
            raise _CutError
        return data


class _Process:
    """An open `cat-file`, with the attributes by which GitPython asks one.

    It runs in the git directory that all work trees share, with git's scrubbed environment; no other program inherits
    its pipes.
    """

    def __init__(self, common_dir: Path, option: str) -> None:
        self.packs = Packs(common_dir)
        command = ["git", *OPTIONS, f"--git-dir={common_dir}", f"--work-tree={common_dir}", "cat-file", option]
        self._process = subprocess.Popen(
            command, cwd=common_dir, env=environment() | _OFFLINE, bufsize=0, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self._process.stdin and self._process.stdout  # noqa: S101, PT018 - both are pipes
        self.stdin = self._process.stdin
        with self._process.stdout as pipe:
            self.stdout = _Answers(_Timed(os.dup(pipe.fileno())))

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Ends it. With nobody to ask it any more it does so by itself, unless it was stopped, or hangs."""
        self.stdin.close()
        self.stdout.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _Channel:
    """One kind of question to one repository. Threads take turns."""

    def __init__(self, common_dir: Path, option: str) -> None:
        from git.cmd import Git

        self._place = common_dir, option
        self._handle = Git(common_dir)
        self._process: _Process | None = None
        self._turn = threading.Lock()
        self._over = False
        self._used_mono_s = 0.0

    def ask(self, question: Callable[[Git, _Answers], T]) -> T:
        """One question and its whole answer; a process that was killed is started again, once. Raises `UnreadError`."""
        with self._turn:
            for _ in range(2):
                try:
                    answers = self._answers()
                    answer = question(self._handle, answers)
                except (_CutError, BrokenPipeError):
                    self._end()
                except OSError as error:  # it takes too long, or can't be started
                    self._end()
                    raise UnreadError from error
                except UnreadError:
                    raise
                except BaseException:  # what there is of this answer must not be taken for the next one
                    self._end()
                    raise
                else:
                    self._used_mono_s = time.monotonic()
                    return answer
        raise UnreadError

    def _answers(self) -> _Answers:
        if self._process is not None and not self._process.packs.unchanged():
            self._end()
        if self._process is None:
            if self._over:
                raise UnreadError
            self._process = _Process(*self._place)
            self._handle.cat_file_header = self._handle.cat_file_all = self._process
        return self._process.stdout

    def _end(self) -> None:
        process, self._process = self._process, None
        self._handle.cat_file_header = self._handle.cat_file_all = None
        if process is not None:
            process.close()

    def close_unused(self) -> None:
        if self._turn.acquire(blocking=False):
            try:
                unused = time.monotonic() - self._used_mono_s > UNUSED_S
                if self._process and (unused or not self._process.packs.unchanged()):
                    self._end()
            finally:
                self._turn.release()

    def close(self) -> None:
        """Ends it for good, also if somebody still waits for an answer."""
        self._over = True
        if not self._turn.acquire(timeout=_END_S):
            if process := self._process:
                process.kill()
            self._turn.acquire()
        try:
            self._end()
        finally:
            self._turn.release()


class _Session:
    """All open processes, started when they are first needed."""

    def __init__(self) -> None:
        self._channels: dict[tuple[Path, str], _Channel] = {}
        self._guard = threading.Lock()
        self._over = False

    def channel(self, common_dir: Path, option: str) -> _Channel:
        with self._guard:
            found = self._channels.get((common_dir, option))
            if self._over:
                raise UnreadError
            if found is None:
                try:
                    found = self._channels[common_dir, option] = _Channel(common_dir, option)
                except ImportError as error:  # GitPython looks for git when it is loaded
                    raise UnreadError from error
            return found

    def channels(self) -> list[_Channel]:
        with self._guard:
            return list(self._channels.values())

    def close(self) -> None:
        with self._guard:
            self._over = True
        for channel in self.channels():
            channel.close()


_session: _Session | None = None


@contextmanager
def reading() -> Iterator[None]:
    """Lets all threads read objects through open processes for as long as it lasts; they are ended with it."""
    global _session  # noqa: PLW0603 - one a process, as what it opens
    before, opened = _session, _Session()
    _session = opened
    try:
        yield
    finally:
        _session = before
        opened.close()


def close_unused() -> None:
    """Ends the processes that nobody has asked for `UNUSED_S`, and those that may hold the room of removed packs."""
    for channel in _session.channels() if _session else ():
        channel.close_unused()


def find(repo: Repo, name: str) -> str | None:
    """The object that `name` means: a full object name, or a commit's with `:PATH` or `^{commit}` behind it.

    None if there is none. Raises `UnreadError`.
    """

    def question(handle: Git, answers: _Answers) -> str | None:
        try:
            return _text(handle.get_object_header(name)[0])
        except ValueError as error:
            if answers.missing(name):
                return None
            raise _CutError from error

    return _channel(repo, name, "--batch-check").ask(question)


def read(repo: Repo, oid: str) -> tuple[str, bytes] | None:
    """Kind and content of an object, held against its name; None if it is not there. Raises `UnreadError`."""

    def question(handle: Git, answers: _Answers) -> tuple[str, bytes] | None:
        try:
            _, said, size, data = handle.get_object_data(oid)
        except ValueError as error:
            if answers.missing(oid):
                return None
            raise _CutError from error
        kind = _text(said)
        if hashlib.sha1(f"{kind} {size}\0".encode() + data, usedforsecurity=False).hexdigest() != oid:
            raise UnreadError
        return kind, data

    return _channel(repo, oid, "--batch").ask(question)


def read_commit(repo: Repo, oid: str) -> Commit:
    """Raises `UnreadError`, also if that is no commit."""
    kind, data = read(repo, oid) or ("", b"")
    if kind != "commit":
        raise UnreadError
    return commit_in(data)


def commit_in(data: bytes) -> Commit:
    """The fields of a commit in its stored form. Raises `UnreadError`."""
    found = _COMMIT.match(data)
    if not found:
        raise UnreadError
    return Commit(found[1].decode(), found[2].decode().split()[1::2], int(found[3]))


def _text(said: str | bytes) -> str:
    """GitPython gives bytes where it promises text."""
    return os.fsdecode(said)


def _channel(repo: Repo, name: str, option: str) -> _Channel:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise UnreadError from error
    if _session is None or not _NAME.fullmatch(name):
        raise UnreadError
    return _session.channel(repo.common_dir, option)
