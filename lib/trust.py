"""Which files of a project may decide what Relay runs: only those that the user has read and trusted, as they were.

A cloned repository can bring handlers, commands, prompts and skills along. What was trusted is kept as content hashes
outside the project, so that a file which changes asks again. Whoever can write the user's own state folder can forge
that.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from lib.display import escaped
from lib.errors import RelayError
from lib.paths import user_state_dir
from lib.syncing import sync_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lib.paths import Project

_FILES: Final = (".project/config.yaml", ".worktreeinclude")
_TREES: Final = tuple(f".project/{name}" for name in ("phases", "workflows", "prompts", "playbooks", "skills"))
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Pending:
    """A file that is not trusted as it is.

    `path` is relative to the project and as foreign as the file. `digest` is what it was when it was looked at;
    for one that is `refused`, and can't be trusted at all, `reason` says why.
    """

    path: str
    state: Literal["new", "changed", "refused"]
    digest: str = ""
    reason: str = ""


class _RefusedError(Exception):
    """The file can't be pinned by a hash of its content."""


def pending(project: Project) -> list[Pending]:
    """What waits to be trusted, by path; nothing if the project brings nothing that decides what is run."""
    trusted = _trusted(project)
    found = []
    for path in sorted(_candidates(project.root)):
        name = path.relative_to(project.root).as_posix()
        try:
            digest = _digest(path, project.root)
        except (OSError, _RefusedError) as error:
            found.append(Pending(name, "refused", reason=getattr(error, "strerror", None) or str(error)))
            continue
        if trusted.get(name) != digest:
            found.append(Pending(name, "changed" if name in trusted else "new", digest))
    return found


def is_trusted(project: Project, path: Path) -> bool:
    """Whether that file of the project needs no trust any more, as it is now; also if it is not there."""
    name = path.relative_to(project.root).as_posix()
    return all(item.path != name for item in pending(project))


def require(project: Project) -> None:
    """Raises `RelayError` (`untrusted`, `trust_refused`) unless all that decides what is run is trusted as it is."""
    items = pending(project)
    _refuse(items, project)
    if items:
        names = ", ".join(f"{escaped(item.path)} ({item.state})" for item in items[:_NAMED])
        more = f" and {len(items) - _NAMED} more" if len(items) > _NAMED else ""
        message = f"this project brings files that decide what is run, and you have not trusted them: {names}{more}"
        raise RelayError(message, remedy="relay trust", code="untrusted")


def trust(project: Project, items: Iterable[Pending] | None = None) -> None:
    """Trusts what `pending` gave, as it was then; without `items` all that waits now.

    Raises `RelayError` (`trust_refused`, `trust_not_kept`).
    """
    items = pending(project) if items is None else list(items)
    _refuse(items, project)
    _keep(project, {item.path: item.digest for item in items})


def trust_file(project: Project, path: Path) -> None:
    """Trusts one file that Relay itself wrote. Raises `RelayError` (`trust_refused`, `trust_not_kept`)."""
    name = path.relative_to(project.root).as_posix()
    try:
        _keep(project, {name: _digest(path, project.root)})
    except (OSError, _RefusedError) as error:
        _refuse([Pending(name, "refused", reason=str(error))], project)


def _refuse(items: Iterable[Pending], project: Project) -> None:
    for item in items:
        if item.state == "refused":
            message = f"{escaped(item.path)} can't be trusted: {escaped(item.reason)}; put a plain file in its place"
            remedy = f"ls -ld {shlex.quote(str(project.root / item.path))}"
            raise RelayError(message, remedy=escaped(remedy), code="trust_refused")


def _candidates(root: Path) -> Iterator[Path]:
    if (root / ".project").is_symlink():
        yield root / ".project"
        return
    for name in (*_FILES, *_TREES):
        path = root / name
        if path.is_dir() and not path.is_symlink() and name in _TREES:
            yield from _below(path)
        elif os.path.lexists(path):
            yield path


def _below(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            yield from _below(entry)
        else:
            yield entry


def _digest(path: Path, root: Path) -> str:
    """What must stay the same: content, executable bit, and where a link leads. Raises `OSError`, `_RefusedError`."""
    if not path.is_symlink():
        return f"file {_content(path)}"
    target = Path(os.path.realpath(path, strict=True))  # Path.resolve raises RuntimeError for a loop before 3.13
    if not target.is_relative_to(root.resolve()):
        raise _RefusedError("it is a link that leaves the project")
    return f"link {_content(target)} {path.readlink()}"


def _content(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a FIFO must not hang us
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise _RefusedError("it is not a plain file, nor a link to one")
        return f"{'x' if mode & 0o111 else '-'} {hashlib.file_digest(file, 'sha256').hexdigest()}"


def _store(project: Project) -> Path:
    key = hashlib.sha256(os.fsencode(project.root)).hexdigest()[:32]
    return user_state_dir() / "trust" / f"{key}.json"


def _trusted(project: Project) -> dict[str, str]:
    """What is trusted; nothing if that can't be read, so that it is asked for again."""
    try:
        stored = json.loads(_store(project).read_bytes())
        return {str(name): str(digest) for name, digest in stored["files"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _keep(project: Project, digests: dict[str, str]) -> None:
    path = _store(project)
    text = json.dumps({"project": str(project.root), "files": _trusted(project) | digests}, indent=1)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_text(text, encoding="ascii")
        sync_file(fresh)
        fresh.replace(path)
    except OSError as error:
        message = f"what you trust can't be kept in {path}: {error.strerror}"
        raise RelayError(message, remedy=f"ls -ld {shlex.quote(str(path.parent))}", code="trust_not_kept") from error
