"""Files that a contained program sees and may write: decided here from the paths of a job, carried out by bubblewrap.

All is read-only but what a job needs. Hidden are temporary folders and sockets, through which it could reach other
programs of the user, files whose only content are keys to elsewhere, and Relay's locks and run database.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Final

from lib.errors import UsageError
from lib.project.paths import Project, user_state_dir


class Access(Enum):
    """Kinds of places in the sandbox. TEMPORARY is the scratch folder under another name, MEMORY an empty file
    system of `memory_max`; an EMPTY folder and a file that holds NOTHING stand in for what is hidden.
    """

    READ = auto()
    WRITE = auto()
    TEMPORARY = auto()
    MEMORY = auto()
    EMPTY = auto()
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class Policy:
    """The rights of one job. `access` has real paths that exist, of which the innermost counts for a file.

    `folder` is where it starts. `memory_max` (bytes) bounds what it may put into /dev/shm, `tasks_max` the processes
    and threads that it may have where the kernel counts them for each sandbox. `is_root`: then it may do to its own
    files what root may.
    """

    folder: Path
    scratch: Path
    access: Mapping[Path, Access]
    memory_max: int | None = None
    tasks_max: int | None = None
    is_root: bool = False


@dataclass(frozen=True, slots=True)
class Places:
    """Paths of a job. It may write `worktree` unless `reviews`, `scratch`, `keep`, `files`, and of its user's files
    those that `own` (its program's) and `granted` (the configuration's) name, `~` standing for `home`.

    Of its user's files it doesn't see those that `hidden` names beside `SECRETS`. In the folders of `own` it may only
    read what `guarded` names. What is not there can't be guarded, so `starters` are made there if they are missing,
    each with its text. `programs` are folders that must be seen wherever they lie.
    """

    project: Project
    worktree: Path
    scratch: Path
    keep: Path
    home: Path
    files: Path | None = None
    reviews: bool = False
    hidden: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    guarded: tuple[str, ...] = ()
    starters: Mapping[str, str] = field(default_factory=dict)
    granted: tuple[str, ...] = ()
    programs: tuple[Path, ...] = ()


#: Where the temporary files of all users are.
TEMPORARY: Final = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - hidden from jobs
SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a new one
#: Sockets of the user's session, of the system's services and of container engines: any of them runs programs.
SOCKETS: Final = (Path("/run"),)
#: What programs need of it: NixOS has its programs there.
_NEEDED_OF_RUN: Final = (Path("/run/current-system"), Path("/run/wrappers"), Path("/run/opengl-driver"))
_RESOLVER: Final = Path("/etc/resolv.conf")
#: In the home directory: keys, passwords and histories, of which building something needs none.
SECRETS: Final = (
    *(".ssh", ".gnupg", ".password-store", ".local/share/keyrings", ".vault-token"),
    *(".aws", ".azure", ".oci", ".kube", ".docker", ".config/gcloud", ".config/gh", ".config/hub", ".config/glab-cli"),
    *(".config/op", ".config/rclone", ".config/sops", ".terraform.d", ".netrc", ".git-credentials"),
    *(".config/git/credentials", ".pypirc", ".pgpass", ".my.cnf", ".cargo/credentials.toml", ".gem/credentials"),
    *(".mozilla", ".thunderbird", ".config/google-chrome", ".config/chromium", ".config/BraveSoftware"),
    *(".bash_history", ".zsh_history", ".python_history", ".node_repl_history", ".psql_history", ".mysql_history"),
)


def policy_of(places: Places, *, memory_max: int | None = None, tasks_max: int | None = None) -> Policy:
    """The policy of a job. Looks at which files there are, and makes what is missing of `own` and of its `starters`.

    Raises what `granted_paths` raises.
    """
    project, home = places.project, places.home
    relays = relays_own(project)
    access = dict(_hidden(places, _real([project.root, *relays, home, *places.programs])))
    for path in _real(_expanded(places.own, home), make=True):
        # A file beside such folders (~/.claude.json) says what is started, too, and programs do without writing it.
        access[path] = Access.WRITE if path.is_dir() else Access.READ
        _guard(path, places)
        access |= dict.fromkeys(_real(path / name for name in places.guarded), Access.READ)
    access |= dict.fromkeys(granted_paths(project, places.granted, home), Access.WRITE)
    root = project.root.resolve()
    if _within(root, (path for path, kind in access.items() if kind is Access.WRITE)):
        access[root] = Access.READ
    access |= dict.fromkeys(relays, Access.READ)
    # Nothing that the orchestrator locks may be seen: a lock needs no right to write.
    access |= dict.fromkeys(_real([project.store]), Access.EMPTY)
    worktree = places.worktree.resolve()
    access[worktree] = Access.READ if places.reviews else Access.WRITE
    pointer = worktree / ".git"
    if os.path.lexists(pointer) and not pointer.is_symlink():
        access[pointer] = Access.READ
    scratch = places.scratch.resolve()
    access |= dict.fromkeys(_real([scratch, places.keep, *([places.files] if places.files else [])]), Access.WRITE)
    if memory_max is not None:
        access[SHARED_MEMORY] = Access.MEMORY
    return Policy(worktree, scratch, access, memory_max, tasks_max, is_root=os.geteuid() == 0)


def _guard(own: Path, places: Places) -> None:
    for file, text in zip(_expanded(places.starters, places.home), places.starters.values(), strict=True):
        if file.parent.resolve() == own and not os.path.lexists(file):
            with suppress(FileExistsError), file.open("x") as stream:  # another job may be faster
                stream.write(text)


def relays_own(project: Project) -> list[Path]:
    """The paths that no job may ever write: the records and the state of Relay, and the repository itself."""
    return list(_real((project.dot, project.common_dir, project.git_dir, user_state_dir())))


def granted_paths(project: Project, names: Iterable[str], home: Path) -> list[Path]:
    """The places that `sandbox_write` names and that are there. Raises `UsageError` (`config_invalid`)."""
    found = list(_real(_expanded(names, home)))
    for path in found:
        if any(path.is_relative_to(own) for own in relays_own(project)):
            message = f"configuration: sandbox_write: {path} is Relay's or git's own, and no job may write it"
            raise UsageError(message, remedy="$EDITOR .project/config.yaml", code="config_invalid")
    return found


def programs_on(path: str) -> tuple[Path, ...]:
    """The folders of PATH, each with what belongs to its programs (`PREFIX/lib` for `PREFIX/bin`), and our own."""
    found = [Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[2]]
    for entry in filter(os.path.isabs, path.split(os.pathsep)):
        folder = Path(entry)
        found += [folder.parent, folder] if folder.name in {"bin", "sbin", ".bin"} else [folder]
    return tuple(dict.fromkeys(found))


def _hidden(places: Places, seen: Iterable[Path]) -> Iterator[tuple[Path, Access]]:
    covers = {**dict.fromkeys(TEMPORARY, Access.TEMPORARY), **dict.fromkeys(SOCKETS, Access.EMPTY)}
    covers = {path: kind for path, kind in covers.items() if path.is_dir() and not path.is_symlink()}
    yield from covers.items()
    for path in (*seen, *_real(_NEEDED_OF_RUN), *_resolver()):
        if path not in covers and _within(path, covers):
            yield path, Access.READ
    for path in _real((*(places.home / name for name in SECRETS), *_expanded(places.hidden, places.home))):
        yield path, Access.EMPTY if path.is_dir() else Access.NOTHING


def _resolver() -> Iterator[Path]:
    """The configuration of the resolver: its folder, as the file in it is replaced when the network changes."""
    for path in _real([_RESOLVER]):
        yield path if path.parent in SOCKETS else path.parent


def _expanded(names: Iterable[str], home: Path) -> Iterator[Path]:
    for name in names:
        yield home / name.removeprefix("~").lstrip("/") if name == "~" or name.startswith("~/") else Path(name)


def _real(paths: Iterable[Path], *, make: bool = False) -> Iterator[Path]:
    """Paths that are there, without links. With `make`, a missing folder is made, as its program would."""
    for path in paths:
        if make and not path.suffix and not os.path.lexists(path):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)  # another job may be faster
        if path.is_absolute() and os.path.exists(path):  # noqa: PTH110 - False where others' folders can't be entered
            yield path.resolve()


def _within(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)
