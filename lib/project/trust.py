"""The files of a project that may decide what Relay runs: only those that the user has read and trusted, as they were.

A cloned repository can bring handlers, commands, prompts and skills along. What was trusted is kept as content hashes
outside the project, so that a file which changes asks again. Whoever can write the user's own state folder can forge
that.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from lib.display import escaped
from lib.errors import RelayError
from lib.files.safe_read import NotPlainError, open_plain
from lib.files.syncing import sync_file
from lib.names import quote
from lib.project.paths import has_cases, user_state_dir

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lib.project.paths import Project

#: Folders in Relay's own whose files decide it, beside its config.yaml.
_TREES: Final = ("phases", "workflows", "prompts", "playbooks", "skills")
_NAMED: Final = 5
#: What is kept of a trusted file, to show later what changed in it.
_TEXT_BYTES: Final = 200_000
MAX_BYTES: Final = 20_000_000


@dataclass(frozen=True, slots=True)
class Pending:
    """A file that is not trusted as it is.

    `path` is relative to the project and as foreign as the file. `digest` is what it was when it was looked at, and
    `text` what it said, unless it is large or no text; `trusted` is what it said when it was trusted. For one that is
    `refused`, and can't be trusted at all, `reason` says why.
    """

    path: str
    state: Literal["new", "changed", "refused"]
    digest: str = ""
    reason: str = ""
    text: str | None = None
    trusted: str | None = None


class _RefusedError(Exception):
    """The file can't be pinned by a hash of its content."""


def pending(project: Project) -> list[Pending]:
    """The files that wait to be trusted, by path; none if the project brings nothing that decides what is run."""
    record = _record(project)
    found = []
    for path in sorted(_candidates(project)):
        name = path.relative_to(project.root).as_posix()
        try:
            seen = _seen(path, project)
        except (OSError, _RefusedError) as error:
            found.append(Pending(name, "refused", reason=getattr(error, "strerror", None) or str(error)))
            continue
        if seen is not None and record.files.get(name) not in seen.digests:
            state: Literal["new", "changed"] = "changed" if name in record.files else "new"
            found.append(Pending(name, state, seen.digests[0], text=seen.text, trusted=record.texts.get(name)))
    return found


def is_trusted(project: Project, path: Path) -> bool:
    """True if that file of the project needs no trust any more, as it is now; also if it is not there."""
    name = path.relative_to(project.root).as_posix()
    return all(item.path != name for item in pending(project))


def require(project: Project) -> None:
    """Raises `RelayError` (`untrusted`, `trust_refused`) unless all that decides what is run is trusted as it is."""
    items = pending(project)
    _refuse(items, project)
    if items:
        raise RelayError(f"{_said(items)}. Review and trust: relay trust", remedy="relay trust", code="untrusted")


def _said(items: list[Pending]) -> str:
    """The changed and the new files, in a sentence."""
    parts = []
    for state, one, several in (
        ("changed", "changed since you trusted it", "changed since you trusted them"),
        ("new", "is new and decides what is run", "are new and decide what is run"),
    ):
        names = [escaped(item.path) for item in items if item.state == state]
        more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
        told = names[:_NAMED] + more
        if told:
            listed = ", ".join(told[:-1]) + (" and " if told[1:] else "") + told[-1]
            parts.append(f"{listed} {several if names[1:] else one}")
    return "; ".join(parts)


def trust(project: Project, items: Iterable[Pending] | None = None) -> None:
    """Trusts what `pending` gave, as it was then; without `items` all that waits now.

    Raises `RelayError` (`trust_refused`, `trust_not_kept`).
    """
    items = pending(project) if items is None else list(items)
    _refuse(items, project)
    _keep(project, {item.path: (item.digest, item.text) for item in items})


def trust_file(project: Project, path: Path) -> None:
    """Trusts one file that Relay itself wrote. Raises `RelayError` (`trust_refused`, `trust_not_kept`)."""
    name = path.relative_to(project.root).as_posix()
    try:
        if seen := _seen(path, project):
            _keep(project, {name: (seen.digests[0], seen.text)})
    except (OSError, _RefusedError) as error:
        _refuse([Pending(name, "refused", reason=str(error))], project)


def _refuse(items: Iterable[Pending], project: Project) -> None:
    for item in items:
        if item.state == "refused":
            message = f"{escaped(item.path)} can't be trusted: {escaped(item.reason)}; put a plain file in its place"
            remedy = f"ls -ld {quote(str(project.root / item.path))}"
            raise RelayError(message, remedy=escaped(remedy), code="trust_refused")


def _candidates(project: Project) -> Iterator[Path]:
    if project.dot.is_symlink():
        yield project.dot
        return
    trees = [project.dot / name for name in _TREES]
    for path in (project.config_file, project.root / ".worktreeinclude", *trees):
        if path.is_dir() and not path.is_symlink() and path in trees:
            yield from (file for file in _below(path) if path.name != "workflows" or not has_cases(file))
        elif os.path.lexists(path):
            yield path


def _below(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            yield from _below(entry)
        else:
            yield entry


class _Seen(NamedTuple):
    """A file as it is. A record that has any of `digests` holds for it; the first is kept of a new one."""

    digests: tuple[str, ...]
    text: str | None


def _seen(path: Path, project: Project) -> _Seen | None:
    """Digests of what must not change: content, executable bit, a link's target; of the configuration, its bound part.

    None where nothing needs trust. Raises `OSError`, `_RefusedError`.
    """
    target = path
    if path.is_symlink():
        target = Path(os.path.realpath(path, strict=True))  # Path.resolve raises RuntimeError for a loop before 3.13
        if not target.is_relative_to(project.root.resolve()):
            raise _RefusedError("it is a link that leaves the project")
    content, executable = _content(target)
    digest = f"{'x' if executable else '-'} {hashlib.sha256(content).hexdigest()}"
    whole = f"link {digest} {path.readlink()}" if target != path else f"file {digest}"
    text = _text(content)
    if text is not None and path == project.config_file:
        bound = _bound(text)
        if bound is not None:
            kept = json.dumps(bound, sort_keys=True)
            return _Seen((f"bound {hashlib.sha256(kept.encode()).hexdigest()}", whole), text) if bound else None
    return _Seen((whole,), text)


def _bound(text: str) -> dict[str, Any] | None:
    """The settings of config.yaml that need trust; None if it can't be read, and so is bound as a whole."""
    from lib.config.model import BOUND
    from lib.config.words import Document, NotYamlError

    try:
        values = Document(text).values
        bound = {key: value for key, value in values.items() if key in BOUND} if isinstance(values, dict) else None
        json.dumps(bound, sort_keys=True)
    except (NotYamlError, ValueError, TypeError, RecursionError):
        return None
    return {} if values is None else bound


def _text(content: bytes) -> str | None:
    try:
        return content.decode() if len(content) <= _TEXT_BYTES else None
    except UnicodeDecodeError:
        return None


def _content(path: Path) -> tuple[bytes, bool]:
    try:
        descriptor = open_plain(path)
    except NotPlainError as error:
        raise _RefusedError("it is not a plain file, nor a link to one") from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if found.st_size > MAX_BYTES:
            raise _RefusedError(f"it has more than {MAX_BYTES:,} bytes")
        return file.read(MAX_BYTES), bool(found.st_mode & 0o111)


def _store(project: Project) -> Path:
    key = hashlib.sha256(os.fsencode(project.root)).hexdigest()[:32]
    return user_state_dir() / "trust" / f"{key}.json"


class _Record(NamedTuple):
    """The trusted files: digests, and what the files said then."""

    files: dict[str, str]
    texts: dict[str, str]


def _record(project: Project) -> _Record:
    """The trusted files; none if the record can't be read, so that trust is asked for again."""
    try:
        stored = json.loads(_store(project).read_bytes())
        files, texts = stored["files"], stored.get("texts", {})
        return _Record(*({str(name): str(value) for name, value in part.items()} for part in (files, texts)))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return _Record({}, {})


def _keep(project: Project, items: dict[str, tuple[str, str | None]]) -> None:
    path, record = _store(project), _record(project)
    texts = {name: text for name, text in record.texts.items() if name not in items}
    texts |= {name: text for name, (_, text) in items.items() if text is not None}
    files = record.files | {name: digest for name, (digest, _) in items.items()}
    stored = json.dumps({"project": str(project.root), "files": files, "texts": texts}, indent=1)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_text(stored, encoding="ascii")
        sync_file(fresh)
        fresh.replace(path)
    except OSError as error:
        message = f"what you trust can't be kept in {path}: {error.strerror}"
        raise RelayError(message, remedy=f"ls -ld {quote(str(path.parent))}", code="trust_not_kept") from error
