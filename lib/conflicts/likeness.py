"""Judges whether a line still says what another one said: two imports joined, a call with a new name. Pure.

Words and operators have to be there in their order, in code as in code: what became a comment or a string says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(r""""[^"]*"|'[^']*'|\w+|[^\w\s,;()\[\]{}.'"`]+""")
_COMMENT: Final = re.compile(r"(?:^|\s)(?:#|//|--\s|/\*|<!--|\"\"\"|''')")
_TELLS: Final = re.compile(r"[^\s()\[\]{},;]")
#: Joins what two sides say.
_GLUE: Final = frozenset({"and", "or", "&&", "||", "|", "&", "+", "as"})
#: Lines that one line may have been split into, and the least words that are looked for in so many.
_SPLIT: Final = 6
_TELLING: Final = 3


@dataclass(frozen=True, slots=True)
class Likeness:
    """`fresh` are the runs of lines in a result that the merge base does not have, `gone` the words that a side no
    longer uses, `known` those that the sides brought.
    """

    fresh: Sequence[Sequence[str]]
    gone: frozenset[str]
    known: frozenset[str]

    @classmethod
    def of(cls, base: Sequence[str], sides: tuple[Sequence[str], Sequence[str]], result: Sequence[str]) -> Likeness:
        old = frozenset(base)
        before, ours, theirs = (_words(lines) for lines in (base, *sides))
        brought = _words(line for side in sides for line in side if line not in old)
        return cls(list(_runs(result, old)), before - (ours & theirs), brought | _GLUE)

    def still_said(self, lost: str) -> bool:
        """True if something that is new in the result says what `lost` said."""
        wanted = self._wanted(lost)
        longest = _SPLIT if len(wanted) >= _TELLING else 1
        return not _tokens(lost) or any(
            self._says(" ".join(run[start : start + count]), lost)
            for run in self.fresh
            for start in range(len(run))
            if not wanted or wanted[0].strip('"') in run[start]
            for count in range(1, longest + 1)
        )

    def accounted_for(self, line: str, lost: Iterable[str]) -> bool:
        """True if the new line only says what one of the lines `lost` said: joined, split or with other names."""
        return not _TELLS.search(line) or any(self._made_of(line, each) for each in lost)

    def _made_of(self, line: str, lost: str) -> bool:
        said, before = _tokens(line), _tokens(lost)
        if set(said) - self.known - set(before):
            return False
        part = bool(said) and _in_order(said, before) and (bool(_code(line)) or not _code(lost))
        return part or self._says(line, lost)

    def _wanted(self, lost: str) -> list[str]:
        return [word for word in _tokens(lost) if word not in self.gone]

    def _says(self, line: str, lost: str) -> bool:
        if not (wanted := self._wanted(lost)):
            return _shape(line) == _shape(lost)
        return _in_order(wanted, _tokens(line)) and _in_order(self._wanted(_code(lost)), _tokens(_code(line)))


def _code(line: str) -> str:
    return _COMMENT.split(line)[0].strip()


def _shape(line: str) -> str:
    return re.sub(r"\w+", "w", line)


def _tokens(line: str) -> list[str]:
    return [word.replace("'", '"') for word in _TOKEN.findall(line)]


def _words(lines: Iterable[str]) -> frozenset[str]:
    return frozenset(word for line in lines for word in _tokens(line))


def _in_order(words: Sequence[str], line: Sequence[str]) -> bool:
    rest = iter(line)
    return all(word in rest for word in words)


def _runs(lines: Sequence[str], old: Collection[str]) -> Iterator[list[str]]:
    run: list[str] = []
    for line in lines:
        if line not in old:
            run.append(line)
        elif run:
            yield run
            run = []
    if run:
        yield run
