"""An assistant's resolution of a conflict, judged by what is in the files and not by what it says of them.

Every line that a side has, and that the other did not remove, must be in the result, in that side's order and nesting;
every line of the result must be one of theirs. What departs from that it has to account for line by line, in the JSON
that its message ends with. An account is only its word: it covers what still says the same in other lines, and is shown
to whoever lets it land. What is not said any more, or was never said, is for a person. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lib.conflicts.likeness import Likeness
from lib.conflicts.nesting import Line, bare, misplaced, nested
from lib.design.final_json import last_object
from lib.names import shown

#: Kinds of conflicts (`lib.git.merge.ConflictPath`) that have lines to be judged by; all others are for a person.
RESOLVABLE: Final = frozenset({"content", "add/add", "modify/delete", "rename/delete", "rename/rename"})
#: Lines of a file that one objection names.
SHOWN: Final = 12
#: Lines of a file, and departures in it, past which nobody but a person judges.
_MOST_LINES: Final = 20_000
_MOST_DEPARTURES: Final = 200
_WIDTH: Final = 160
#: What git writes around the sides, of any size but the smallest, which code has too (gitattributes(5)).
_MARKER: Final = re.compile(r"(?:<{4,}|\|{4,}|>{4,})(?: .*)?|={4,}")


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
    """The changes that the resolver says it made on purpose: for each path the lines left out or added, and why.

    `whole` are the paths that it says something of, and why; `cannot` is why it gives up, if it does.
    """

    removed: Mapping[str, Mapping[str, str]]
    added: Mapping[str, Mapping[str, str]]
    whole: Mapping[str, str]
    cannot: str = ""

    @classmethod
    def of(cls, removed: Mapping[str, Any], added: Mapping[str, Any], cannot: str = "") -> Account:
        """From lines with their reasons by path, or from lines alone, as jobs of older runs have them."""
        out, new = (
            {
                path: dict(lines if isinstance(lines, Mapping) else dict.fromkeys(lines, ""))
                for path, lines in each.items()
            }
            for each in (removed, added)
        )
        return cls(out, new, {path: next(iter(lines.values()), "") for path, lines in out.items()}, cannot)


@dataclass(slots=True)
class Judgement:
    """Sentences: `objections` are for the resolver to mend, `questions` for a person to decide, and `told` is what it
    did by its own account and may stay.
    """

    objections: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def read_account(text: str) -> Account:
    """The account at the end of a message. One that is missing or can't be read accounts for nothing."""
    try:
        found = last_object(text, "removed", "added", "cannot")[0] or {}
    except ValueError:
        found = {}
    removed, added = (_explained(found.get(key)) for key in ("removed", "added"))
    return Account.of(removed, added, str(found.get("cannot") or "")[:500])


def _explained(entries: Any) -> dict[str, dict[str, str]]:  # noqa: ANN401 - whatever a model lists
    """The lines by file, with the reason, of entries `{"file", "text", "why"}`; no reason explains nothing."""
    found: dict[str, dict[str, str]] = {}
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, Mapping) and entry.get("file") and (why := str(entry.get("why") or "").strip()):
            text = entry.get("text") or ""
            lines = text if isinstance(text, list) else str(text).splitlines()
            of_file = found.setdefault(shown(str(entry["file"]).removeprefix("./")), {})
            of_file |= {bare(str(line)): why[:_WIDTH] for line in lines or [""]}
    return found


def judge(files: Sequence[Disputed], account: Account, sides: tuple[str, str]) -> Judgement:
    """The judgement on a resolution; `sides` are the names of both."""
    judgement = Judgement()
    moved = Counter(line.text for file in files if file.result is None for line in _brought(file))
    for file in files:
        if file.result is None:
            elsewhere = {line.text for other in files for line in nested(other.result)}
            _judge_removal(judgement, file, account, sides, elsewhere)
        elif file.ours is None and file.theirs is None:
            judgement.objections.append(f"{file.path} is left, though neither side has it")
        elif not file.allowed:
            judgement.objections.append(
                f"{file.path} is not the kind of file that it was, or its permission was changed"
            )
        else:
            _Lines.of(file, moved, sides).judge(judgement, account)
    return judgement


def _brought(file: Disputed) -> list[Line]:
    """The lines that a side has put into a file which is gone."""
    old = {line.text for line in nested(file.base)}
    return [line for text in (file.ours, file.theirs) for line in nested(text) if line.text not in old]


def _judge_removal(
    judgement: Judgement, file: Disputed, account: Account, sides: tuple[str, str], elsewhere: set[str]
) -> None:
    if file.ours is None and file.theirs is None:
        return
    name, why = sides[0] if file.ours is not None else sides[1], account.whole.get(shown(file.path))
    if file.ours is not None and file.theirs is not None:
        judgement.objections.append(f"{file.path} is gone, though both sides have it")
    elif why is None:
        judgement.objections.append(f'{file.path}, which {name} has, is gone: bring it back, or say why in "removed"')
    elif lost := [line.text for line in _brought(file) if line.text not in elsewhere]:
        judgement.questions.append(f"{file.path} is gone ({_reason(why)}), with what {name} did there: {_shown(lost)}")
    else:
        judgement.told.append(f"{file.path} is gone ({_reason(why)})")


@dataclass(frozen=True, slots=True)
class _Lines:
    """A file in conflict, line by line, and the names of both sides."""

    path: str
    base: Sequence[Line]
    sides: tuple[Sequence[Line], Sequence[Line]]
    result: Sequence[Line]
    names: tuple[str, str]
    moved: Counter[str]

    @classmethod
    def of(cls, file: Disputed, moved: Counter[str], names: tuple[str, str]) -> _Lines:
        """A side without the file asks for nothing in it."""
        base, ours, theirs = ("" if file.base is None else file.base, file.ours, file.theirs)
        texts = (base, base if ours is None else ours, base if theirs is None else theirs, file.result)
        old, left, right, result = (nested(text, file.path) for text in texts)
        return cls(file.path, old, (left, right), result, names, moved)

    def judge(self, judgement: Judgement, account: Account) -> None:
        if max(map(len, (self.base, *self.sides, self.result))) > _MOST_LINES:
            judgement.questions.append(f"{self.path} has more than {_MOST_LINES} lines")
            return
        removed, added = (side.get(shown(self.path), {}) for side in (account.removed, account.added))
        base, ours, theirs, result = map(_count, (self.base, *self.sides, self.result))
        missing = ((ours - (base - theirs)) | (theirs - (base - ours))) - result
        invented = result - ((ours - base) + (theirs - base) + (base & ours & theirs) + self.moved)
        unexplained = list(self._unexplained(missing, invented, removed, added)) or list(self._misplaced(missing))
        judgement.objections += unexplained
        if not unexplained:
            self._departures(judgement, missing, invented, removed, added)

    def _unexplained(
        self, missing: Counter[str], invented: Counter[str], removed: Mapping[str, str], added: Mapping[str, str]
    ) -> Iterable[str]:
        for name, side in zip(self.names, self.sides, strict=True):
            if lost := [line.text for line in side if line.text in missing and line.text not in removed]:
                yield f'{self.path}: lines of {name} are missing, and "removed" does not explain them: {_shown(lost)}'
        old = {line.text for line in self.base}
        if back := [line for line in invented if line in old and line not in added]:
            yield f'{self.path}: lines that a side removed are there, and "added" does not explain them: {_shown(back)}'
        if markers := [line for line in invented if _MARKER.fullmatch(line)]:
            yield f"{self.path}: these are conflict markers: {_shown(markers)}"
        new = [line for line in invented if line not in old and line not in added and line not in markers]
        if new:
            yield f'{self.path}: neither side has these lines, and "added" does not explain them: {_shown(new)}'

    def _misplaced(self, missing: Counter[str]) -> Iterable[str]:
        strays = misplaced(self.base, self.sides, self.result, set(missing), SHOWN)
        for name, lines in zip(self.names, strays, strict=True):
            if lines:
                yield f"{self.path}: not in the order or the indentation that {name} has them in: {_shown(lines)}"

    def _departures(
        self, judgement: Judgement, missing: Counter[str], invented: Counter[str],
        removed: Mapping[str, str], added: Mapping[str, str],
    ) -> None:  # fmt: skip
        """Puts explained departures into `told` if other lines say the same, and else all of them into `questions`."""
        if len(missing) + len(invented) > _MOST_DEPARTURES:
            judgement.questions.append(f"{self.path}: more than {_MOST_DEPARTURES} lines are not those of the sides")
            return
        ours, theirs = ([line.text for line in side] for side in self.sides)
        old = [line.text for line in self.base]
        likeness = Likeness.of(old, (ours, theirs), [line.text for line in self.result])
        said: list[tuple[bool, str]] = []
        for line in missing:
            name = " and ".join(name for name, side in zip(self.names, (ours, theirs), strict=True) if line in side)
            sentence = f'{self.path}: left out "{line[:_WIDTH]}", which {name} has ({_reason(removed[line])})'
            said.append((likeness.still_said(line), sentence))
        for line in invented:
            what = "which a side removed" if line in old else "which neither side has"
            sentence = f'{self.path}: put in "{line[:_WIDTH]}", {what} ({_reason(added[line])})'
            said.append((line not in old and likeness.accounted_for(line, missing), sentence))
        where = judgement.told if all(same for same, _ in said) else judgement.questions
        where += [sentence for _, sentence in sorted(said)]


def _count(lines: Iterable[Line]) -> Counter[str]:
    return Counter(line.text for line in lines)


def _reason(why: str) -> str:
    return f'"{" ".join(why.split())}"'


def bounded(sentences: Sequence[str]) -> list[str]:
    """The first of them, each cut to a line, and how many are left."""
    lines = [" ".join(shown(each).split())[: 3 * _WIDTH] for each in sentences[:SHOWN]]
    return lines + ([f"and {len(sentences) - SHOWN} more"] if len(sentences) > SHOWN else [])


def _shown(lines: Sequence[str]) -> str:
    quoted = ", ".join(f'"{line[:_WIDTH]}"' for line in lines[:SHOWN])
    return quoted + (f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else "")
