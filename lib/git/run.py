"""One façade over the git command: what is inherited, configured or held by another process can't mislead it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from lib.errors import GitError, RelayError
from lib.files.disk_space import is_full
from lib.git.locks import remove_if_stale, remove_leftovers
from lib.names import quote
from lib.process.environ import GIT_IDENTITY
from lib.project.paths import OWN, Project
from lib.scheduling.passing_failures import DISK_FULL

TIMEOUT_S: Final = 120.0
#: For commands that write a whole work tree.
CHECKOUT_TIMEOUT_S: Final = 900.0
FALLBACK_NAME: Final = "Relay"
FALLBACK_EMAIL: Final = "relay@localhost"

#: Never the user's hooks, monitors, signatures, editors or housekeeping; always durable.
SETTINGS: Final = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.fsync=all",
    "core.safecrlf=false",
    "core.splitIndex=false",
    "index.skipHash=false",
    "core.editor=true",
    "core.pager=cat",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "merge.verifySignatures=false",
    "log.showSignature=false",
    "submodule.recurse=false",
    "protocol.ext.allow=never",
    "worktree.useRelativePaths=false",
    "i18n.commitEncoding=UTF-8",
)
#: The settings as words of a command line.
OPTIONS: Final = tuple(part for setting in SETTINGS for part in ("-c", setting))
_VARIABLES: Final = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_EDITOR": "true",
    "GIT_ASKPASS": "true",
    "LC_ALL": "C",
}
_UNWRITTEN: Final = b"Unable to write index"
_LOCKED: Final = re.compile(rb"Unable to create '([^\n]+\.lock)': File exists")
#: A record of a worktree that another git is making; a file in it without content is as good as its lock.
_HALF_MADE: Final = re.compile(rb"failed to read ([^\n]+/worktrees/[^\n/]+/commondir): ")
#: Variables of git's that are inherited: they say where a user's or a machine's settings are, as git-config(1) has it.
_KEPT: Final = frozenset({"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"})
#: Pauses between tries while another process holds a lock: 5 s together.
_PAUSES_S: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, *(0.5,) * 9)
_NO_ROOM: Final = re.compile(rb"No space left on device|Disk quota exceeded")
_TRIES: Final = 4

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Repo:
    """A work tree, its own git directory, the one that it shares with others, and the name of Relay's folder in it."""

    root: Path
    git_dir: Path
    common_dir: Path
    own: str = OWN

    @classmethod
    def of(cls, project: Project) -> Repo:
        return cls(project.root, project.git_dir, project.common_dir, project.own)


@dataclass(frozen=True, slots=True)
class Done:
    """Result of a git command: what it wrote, and an exit status that the caller expects."""

    status: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return os.fsdecode(self.out.strip())  # of bytes: a name may end with a space of Unicode's

    def lines(self) -> list[str]:
        """The lines as git ends them: a name may hold another character that Python takes for the end of one."""
        return self.text.split("\n") if self.text else []

    def fields(self) -> list[str]:
        """The output of a command with `-z`."""
        return [os.fsdecode(field) for field in self.out.split(b"\0") if field]


class GitTimeoutError(GitError):
    """Git, or a program that it started, took longer than allowed and was killed."""


class GitKilledError(GitError):
    """Somebody killed git: what it was to do may be done, half done, or not begun."""


def again(task: Callable[[], T]) -> T:
    """Gives the result of `task`, which can be done again from any half-done state, and is when a git of its is killed.

    A machine without memory does that. Raises `GitKilledError` when it happens each time.
    """
    for _ in range(_TRIES - 1):
        with contextlib.suppress(GitKilledError):
            return task()
    return task()


def git(
    repo: Repo,
    *args: str | Path,
    input: bytes | None = None,  # noqa: A002 - as subprocess calls it
    work_tree: Path | None = None,
    index: Path | None = None,
    env: Mapping[str, str] | None = None,
    ok: Collection[int] = (0,),
    timeout_s: float = TIMEOUT_S,
) -> Done:
    """Runs git on `repo`, in its own root unless `work_tree` names another one, with a private `index` if given.

    The git directory is always given, so no `.git` file of a work tree is ever read. A lock held by another process
    is waited for, at most some seconds, as is a worktree that another git is making; one that nobody holds any more is
    removed. Exit statuses other than `ok` raise `GitError` with git's own words, or a `RelayError` that says what to
    mend (`git_missing`, `disk_full`, `filter_missing`, `git_locked`). A git that somebody killed leaves no locks, and
    raises `GitKilledError`.
    """
    command = ["git", *OPTIONS, f"--git-dir={repo.git_dir}", f"--work-tree={work_tree or repo.root}"]
    command += map(str, args)
    environ = environment(index) | dict(env or {})
    cwd = work_tree or repo.root
    for pause_s in (*_PAUSES_S, None):
        begun = time.time()
        done = _run(command, cwd, environ, input, timeout_s)
        if done.status < 0:
            folders = repo.git_dir, repo.common_dir, (index or repo.git_dir / "index").parent
            remove_leftovers(folders, begun, repo.root)
            message = f"git was killed by signal {-done.status}: {_words(command[len(OPTIONS) + 3 :])}"
            raise GitKilledError(message, remedy="relay retry", code="git_killed")
        held = _held(index or repo.git_dir / "index", done.err) if done.status else None
        if done.status in ok and not held:
            return done
        if not held or pause_s is None:
            raise explained(repo, command[len(OPTIONS) + 3 :], done, held)
        if not remove_if_stale(held, repo.root):
            time.sleep(pause_s)
    raise AssertionError("unreachable")


def _held(index: Path, said: bytes) -> Path | None:
    """The lock that git met; `git merge` does not name the one of the index."""
    if found := _LOCKED.search(said) or _HALF_MADE.search(said):
        return Path(os.fsdecode(found[1]))
    lock = index.with_name(f"{index.name}.lock")
    return lock if _UNWRITTEN in said and lock.exists() else None


def environment(index: Path | None = None) -> dict[str, str]:
    """The environment of git: nothing inherited that chooses a repository, no prompt, no translation."""
    inherited = {name: value for name, value in os.environ.items() if name in _KEPT or not name.startswith("GIT_")}
    private = {"GIT_INDEX_FILE": str(index)} if index else {}
    return inherited | _VARIABLES | private


def _run(command: list[str], cwd: Path, env: dict[str, str], data: bytes | None, timeout_s: float) -> Done:
    """One try. Its own session: no terminal to ask on, no Ctrl-C from it, and all of it killed when time is up."""
    stdin = subprocess.DEVNULL if data is None else subprocess.PIPE
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        if not cwd.exists():
            raise RelayError(f"{cwd} is gone", remedy="relay doctor", code="folder_gone") from error
        raise RelayError("git is not installed", remedy="apt-get install git", code="git_missing") from error
    with process:
        try:
            out, err = process.communicate(data, timeout=timeout_s)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):  # it may have ended just now
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                message = f"git did not end within {timeout_s:.0f} s: {_words(command[len(OPTIONS) + 3 :])}"
                raise GitTimeoutError(message, code="git_timeout") from error
            raise
    return Done(process.returncode, out, err)


def _words(args: Sequence[str]) -> str:
    return f"git {' '.join(args)}"[:200]


def explained(repo: Repo, args: Sequence[str], done: Done, lock: Path | None = None) -> RelayError:
    """The cause of a failure, as an error, found by asking the system rather than from git's wording."""
    said = os.fsdecode(done.err or done.out).strip()[:2000]
    message = f"{_words(args)} failed ({done.status}): {said}"
    if lock is not None:
        remedy = f"fuser -v {quote(str(lock))}; ls -l {quote(str(lock))}"
        return GitError(f"another git holds {lock}: {said}", remedy=remedy, code="git_locked")
    if _NO_ROOM.search(done.err) or is_full(repo.common_dir):
        return GitError(message, remedy=f"df -h {quote(str(repo.common_dir))}", code=DISK_FULL)
    for name, program in _missing_filters(repo):
        why = f"the filter {name!r} that this repository requires needs {program!r}, which is not installed: {message}"
        return GitError(
            why, remedy=f"install {program}, or: git config filter.{name}.required false", code="filter_missing"
        )
    return GitError(message)


def _missing_filters(repo: Repo) -> Iterator[tuple[str, str]]:
    """Filters that are configured as required, and the program of each that is not on the path."""
    command = ["git", f"--git-dir={repo.git_dir}", "config", "-z", "--get-regexp", r"^filter\..*"]
    done = _run(command, repo.common_dir, environment(), None, TIMEOUT_S)
    pairs = (entry.partition("\n")[::2] for entry in done.fields())
    settings = dict(pairs)
    for key, value in settings.items():
        name, _, kind = key.removeprefix("filter.").rpartition(".")
        if kind in {"clean", "smudge", "process"} and settings.get(f"filter.{name}.required") == "true":
            program = value.split(maxsplit=1)[0] if value.split() else ""
            if program and shutil.which(program) is None:
                yield name, program


def identity_env(repo: Repo) -> dict[str, str]:
    """Variables for `git(env=…)` that say who commits: as the user's environment has it, else the configuration.

    Relay, where neither names anybody.
    """
    done = git(repo, "config", "-z", "--get-regexp", r"^(user|author|committer)\.(name|email)$", ok=(0, 1))
    known = {key for key, _, value in (entry.partition("\n") for entry in done.fields()) if value.strip()}
    wanted = {"name": FALLBACK_NAME, "email": FALLBACK_EMAIL}
    fallbacks = {
        f"GIT_{role.upper()}_{kind.upper()}": fallback
        for role in ("author", "committer")
        for kind, fallback in wanted.items()
        if not known & {f"user.{kind}", f"{role}.{kind}"}
    }
    return fallbacks | given_identity()


def given_identity() -> dict[str, str]:
    """The variables of the user's environment that say who commits."""
    return {name: os.environ[name] for name in GIT_IDENTITY if os.environ.get(name, "").strip()}
