"""Whether an assistant's resolution of a conflict can be accepted, from what is in the files and not from what it says.

Every line that a side has, and that the other did not remove, must be in the result; every line of the result must be
one of theirs. What departs from that it has to account for line by line, in the JSON that its message ends with. Lines
are compared without their indentation and without a comma or semicolon at the end, which change when things are joined.
Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lib.answer import last_object

#: Kinds of conflicts (`lib.git.merge.ConflictPath`) that have lines to be judged by; all others are for a person.
RESOLVABLE: Final = frozenset({"content", "add/add", "modify/delete", "rename/delete", "rename/rename"})
#: Lines of a file that one objection names.
SHOWN: Final = 12
_WIDTH: Final = 160


@dataclass(frozen=True, slots=True)
class Disputed:
    """A path in conflict: its text in the merge base, on both sides, and as it was resolved; None where it is not.

    `allowed` is whether the result is a file of a mode that a side has.
    """

    path: str
    base: str | None
    ours: str | None
    theirs: str | None
    result: str | None
    allowed: bool = True


@dataclass(frozen=True, slots=True)
class Account:
    """What the resolver says it did on purpose: lines by path, those that it left out and those that it wrote anew.

    `whole` are the paths that it says something of; `cannot` is why it gives up, if it does.
    """

    removed: Mapping[str, frozenset[str]]
    added: Mapping[str, frozenset[str]]
    whole: frozenset[str]
    cannot: str = ""


def read_account(text: str) -> Account:
    """The account at the end of a message. One that is missing or can't be read accounts for nothing."""
    try:
        found = last_object(text, "removed", "added", "cannot")[0] or {}
    except ValueError:
        found = {}
    removed, added = (_explained(found.get(key)) for key in ("removed", "added"))
    return Account(removed, added, frozenset(removed), str(found.get("cannot") or "")[:500])


def _explained(entries: Any) -> dict[str, frozenset[str]]:  # noqa: ANN401 - whatever a model lists
    """The lines by file of entries `{"file", "text", "why"}`; one without a reason explains nothing."""
    found: dict[str, frozenset[str]] = {}
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, Mapping) and entry.get("file") and str(entry.get("why") or "").strip():
            text = entry.get("text") or ""
            lines = text if isinstance(text, list) else str(text).splitlines()
            path = str(entry["file"]).removeprefix("./")
            found[path] = found.get(path, frozenset()) | {_bare(str(line)) for line in lines}
    return found


def objections(files: Iterable[Disputed], account: Account, sides: tuple[str, str]) -> list[str]:
    """What keeps a resolution from being accepted, in sentences for its author; `sides` are the names of both."""
    return [problem for file in files for problem in _of_file(file, account, sides)]


def _of_file(file: Disputed, account: Account, sides: tuple[str, str]) -> Iterable[str]:
    if file.result is None:
        if file.ours is not None and file.theirs is not None:
            yield f"{file.path} is gone, though both sides have it"
        elif (file.ours is not None or file.theirs is not None) and file.path not in account.whole:
            name = sides[0] if file.ours is not None else sides[1]
            yield f'{file.path}, which {name} has, is gone: bring it back, or say why in "removed"'
        return
    if not file.allowed:
        yield f"{file.path} is not the kind of file that it was, or its permission was changed"
        return
    base, ours, theirs, result = map(_lines, (file.base, file.ours, file.theirs, file.result))
    missing = _needed(base, ours, theirs) - result
    for name, side in zip(sides, (ours, theirs), strict=True):
        lost = [line for line in side if line in missing and line not in account.removed.get(file.path, ())]
        if lost:
            yield f'{file.path}: lines of {name} are missing, and "removed" does not explain them: {_shown(lost)}'
    invented = [line for line in result - _known(base, ours, theirs) if line not in account.added.get(file.path, ())]
    if invented:
        yield f'{file.path}: neither side has these lines, and "added" does not explain them: {_shown(invented)}'


def _needed(base: Counter[str], ours: Counter[str], theirs: Counter[str]) -> Counter[str]:
    """What each side has without what the other one removed."""
    return (ours - (base - theirs)) | (theirs - (base - ours))


def _known(base: Counter[str], ours: Counter[str], theirs: Counter[str]) -> Counter[str]:
    """What both sides added together, and what they have of the base."""
    return (ours - base) + (theirs - base) + (base & (ours | theirs))


def _lines(text: str | None) -> Counter[str]:
    bare = map(_bare, (text or "").splitlines())
    return Counter(line for line in bare if line)


def _bare(line: str) -> str:
    return line.strip().rstrip(",;").rstrip()


def _shown(lines: Sequence[str]) -> str:
    quoted = ", ".join(f'"{line[:_WIDTH]}"' for line in lines[:SHOWN])
    return quoted + (f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else "")
