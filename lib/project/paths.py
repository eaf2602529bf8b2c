"""The places of a project's files: one value, found without running git so that `status` stays fast."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lib.errors import RelayError, UsageError
from lib.files.safe_read import OWN_FOLDERS, NotPlainError, open_folder, read_plain
from lib.names import quote

DEFAULT_INSTANCE = "default"
OWN, BESIDE = OWN_FOLDERS
#: How the `.gitignore` in Relay's own folder begins, by which the folder is known.
MARK = b"# Written by Relay."
_MARKED_MAX_BYTES = 100_000
_NAMED = re.compile(r"(?<![\w./-])\.project/")
#: The worktree in which the work of all builders comes together.
MERGED_WORKTREE = "merged"
#: The worktree of the commit that a run starts from.
BASE_WORKTREE = "_base"
#: The worktree that the steps of a workflow share, its branch, and the id of its record.
SHARED_WORKTREE = "_shared"
#: Names of branches and worktrees below a run that are no builder's.
RESERVED = frozenset({MERGED_WORKTREE, BASE_WORKTREE, "architect"})
#: In the names of files with the cases of workflows, which decide nothing of a run.
CASES = ".test."
#: Characters of an instance's name.
LONGEST = 63


def has_cases(file: Path) -> bool:
    """True if a file has the cases of a workflow, and no workflow, by its name."""
    return CASES in file.name


@dataclass(frozen=True, slots=True)
class Project:
    """A git work tree that Relay works for, and one named instance of Relay in it.

    `root` is the top of the user's work tree, `git_dir` that work tree's own git directory, and `common_dir` the
    one that all linked work trees share. `own` is the name of Relay's folder in `root`. Nothing here touches the disk.
    """

    root: Path
    git_dir: Path
    common_dir: Path
    instance: str = DEFAULT_INSTANCE
    own: str = OWN

    @property
    def dot(self) -> Path:
        return self.root / self.own

    def named(self, text: str) -> str:
        """The text, which is written for `.project/`, with the folder's own name."""
        return text if self.own == OWN else _NAMED.sub(f"{self.own}/", text)

    @property
    def home(self) -> Path:
        """The folder of this instance's state.json, pid file and logs."""
        return self.dot if self.instance == DEFAULT_INSTANCE else self.dot / "instances" / self.instance

    @property
    def state_file(self) -> Path:
        return self.home / "state.json"

    @property
    def pid_file(self) -> Path:
        return self.home / "orchestrator.pid"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def config_file(self) -> Path:
        return self.dot / "config.yaml"

    @property
    def orchestrator_log(self) -> Path:
        """The log of what the orchestrator, and the processes that it leaves work to, print themselves."""
        return self.logs / "orchestrator.log"

    @property
    def store(self) -> Path:
        """The folder that must survive `git clean -fdx`: the run database and the locks."""
        return self.common_dir / "relay"

    @property
    def database(self) -> Path:
        return self.store / "relay.db"

    @property
    def instance_dir(self) -> Path:
        """The folder that the orchestrator holds a lock on; its name is unique among linked work trees."""
        tail = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:8]
        return self.store / "instances" / f"{self.instance}-{tail}"

    def run_dir(self, run: str) -> Path:
        return self.dot / "runs" / run

    def output_dir(self, run: str, builder: str | None, job: str) -> Path:
        """The folder of what a job printed (`output.log`, `stderr.log`)."""
        owner = self.run_dir(run) / "builders" / builder if builder else self.run_dir(run) / "jobs"
        return owner / job

    def keep_dir(self, run: str, builder: str | None) -> Path:
        """The folder that all turns and commands of a builder, or of the run as a whole, share as long as it lasts."""
        return self.output_dir(run, builder, "keep")

    def files_dir(self, run: str, handler: str) -> Path:
        """The folder for what the commands of a project's own handler write."""
        return self.run_dir(run) / "files" / handler

    def artifacts_dir(self, run: str, step: str) -> Path:
        """The folder for copies of files that a step of a workflow has made."""
        return self.run_dir(run) / "artifacts" / step

    def record_dir(self, run: str, job: str) -> Path:
        """The folder of a job's claim, exit and prompt: beyond the reach of `git clean -fdx`."""
        return self.store / "jobs" / run / job

    @property
    def worktrees(self) -> Path:
        """The folder of the runs' worktrees, and of what is left of those that are being removed."""
        return self.dot / "worktrees"

    def worktree(self, run: str, name: str) -> Path:
        return self.worktrees / run / name


def author_of(worktree: str) -> str:
    """The author of what is in a worktree of a run, in words: a builder by its id."""
    return "the workflow" if worktree == SHARED_WORKTREE else worktree


def working_folder(otherwise: Path | None = None) -> Path:
    """The folder that a command was typed in; where that was removed since, as a worktree is once it has landed,
    `otherwise`. Raises `RelayError` (`folder_gone`) without one.
    """
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        if otherwise is not None:
            return otherwise
        gone = Path(os.environ.get("PWD") or "/")
        nearest = next((folder for folder in gone.parents if folder.is_dir()), Path("/"))
        message = "the folder that you are in was removed"
        raise RelayError(message, remedy=f"cd {quote(str(nearest))}", code="folder_gone") from error


def find_project(start: Path, instance: str = DEFAULT_INSTANCE) -> Project:
    """The project that `start` lies in, by the nearest `.git` upwards; in a worktree of a run, the run's project.

    Raises `RelayError` (`not_a_repository`, `bare_repository`), `UsageError` (`instance_invalid`).
    """
    _check_instance(instance)
    here = _project_of_worktree(start.resolve())
    for folder in (here, *here.parents):
        entry = folder / ".git"
        if entry.is_dir():
            git_dir = entry.resolve()
            return Project(folder, git_dir, git_dir, instance, _own_folder(folder))
        if entry.is_file():
            git_dir = _pointed_to(entry, "gitdir: ")
            common = git_dir / "commondir"
            common_dir = _pointed_to(common, "") if common.is_file() else git_dir
            return Project(folder, git_dir, common_dir, instance, _own_folder(folder))
        if (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir():
            message = f"{folder} is a bare repository; Relay needs a work tree to land in"
            raise RelayError(message, remedy=f"git clone {quote(folder)} work && cd work", code="bare_repository")
    raise RelayError(f"{here} is not inside a git repository", remedy=_begun(here), code="not_a_repository")


def _begun(folder: Path) -> str:
    """The command that makes a repository of a folder, with the files that it has."""
    if folder == Path.home().resolve():
        return "mkdir my-project && cd my-project && git init && git commit --allow-empty -m start"
    with suppress(OSError):  # it can't be listed
        if any(folder.iterdir()):
            return "git init && git add -A && git commit -m start"
    return "git init && git commit --allow-empty -m start"


def _project_of_worktree(here: Path) -> Path:
    """The top of the project where `here` is below the worktrees in its own folder; else `here`."""
    for folder in here.parents:
        own, root = folder.parent.name, folder.parent.parent
        if folder.name == "worktrees" and (own == OWN or (own == BESIDE and _own_folder(root) == BESIDE)):
            return root
    return here


def _own_folder(root: Path) -> str:
    """The name of Relay's folder in `root`. A folder that is there and Relay's stays it, whatever is checked out."""
    if _is_marked(root / BESIDE):
        return BESIDE
    with suppress(OSError):
        if stat.S_ISREG((root / OWN).lstat().st_mode):
            return BESIDE
    return OWN


def _is_marked(folder: Path) -> bool:
    try:
        descriptor = open_folder(folder)
    except (OSError, NotPlainError):
        return False
    try:
        return (read_plain(".gitignore", limit=_MARKED_MAX_BYTES, folder=descriptor) or b"").startswith(MARK)
    except (OSError, NotPlainError):
        return False
    finally:
        os.close(descriptor)


def _check_instance(name: str) -> None:
    """As `lib.model.Slug`, without a regular expression to compile: the name becomes that of folders."""
    plain = name.replace("-", "").replace("_", "")
    if (
        not (plain.isascii() and plain.isalnum() and plain == plain.lower() and name[0].isalnum())
        or len(name) > LONGEST
    ):
        message = f"{name!r} can't name an instance: lower-case letters, digits, - and _ can, at most {LONGEST}"
        raise UsageError(message, remedy="relay status", code="instance_invalid")


def _pointed_to(file: Path, prefix: str) -> Path:
    """The path written in a `.git` or `commondir` file (gitrepository-layout(5)), relative to that file."""
    text = file.read_text("utf-8", "surrogateescape").rstrip("\r\n").removeprefix(prefix)
    return (file.parent / text).resolve()


def user_state_dir() -> Path:
    """The user-level folder of the registry and of trust (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "relay"
