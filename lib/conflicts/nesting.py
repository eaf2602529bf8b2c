"""The order and the nesting of lines, compared between a side of a merge and its result. Pure.

A line is nested in the lines above it that are indented less, so a block may be indented further as a whole, and no
part of it may change its place. Lines are compared without indentation and without a comma or semicolon at the end,
which change when things are joined.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice
from typing import Final

#: Lines deeper than this are as good as beside one another.
_DEEPEST: Final = 60
_OPENING: Final = frozenset("{([")
#: Files in which a line of its own opens a section, without any indentation.
_SECTIONS: Final = {
    re.compile(r"\[.+\]"): (".ini", ".cfg", ".toml", ".conf", ".editorconfig", ".gitconfig"),
    re.compile(r"#+ .+"): (".md", ".markdown"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """`above` are the places, in the same text, of the lines that enclose it, the outermost first."""

    text: str
    above: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Expected:
    """A line that has to be there, and where: in one of `outlines`, each the lines around it that are still there.

    `dropped` is how many lines around it, on its side or by the other, are not there any more: so many may stand in.
    """

    text: str
    outlines: tuple[tuple[str, ...], ...]
    dropped: int


def bare(line: str) -> str:
    """A line as it is compared."""
    return line.strip().rstrip(",;").rstrip()


def nested(text: str | None, path: str = "") -> list[Line]:
    """The lines of a text that are not blank. What opens a section of itself depends on the file's name."""
    section = next((pattern for pattern, ends in _SECTIONS.items() if path.endswith(ends)), None)
    found: list[Line] = []
    around: list[tuple[float, int]] = []
    for raw in (text or "").splitlines():
        line = raw.expandtabs()
        if not (content := bare(line)):
            continue
        depth = _depth(line, content, section)
        while around and around[-1][0] >= depth:
            around.pop()
        found.append(Line(content, tuple(place for _, place in around)))
        if len(around) < _DEEPEST:
            around.append((depth, len(found) - 1))
    return found


def _depth(line: str, content: str, section: re.Pattern[str] | None) -> float:
    """The indentation; a bracket alone on a line is within the line before it, a heading is around what follows."""
    indent = len(line) - len(line.lstrip())
    if section is not None and section.fullmatch(content):
        return -1 + min(len(content) - len(content.lstrip("#")), 9) / 10
    return indent + (0.5 if content in _OPENING else 0)


def misplaced(
    base: Sequence[Line],
    sides: tuple[Sequence[Line], Sequence[Line]],
    result: Sequence[Line],
    left_out: AbstractSet[str],
    limit: int,
) -> tuple[list[str], list[str]]:
    """For each side its lines, `limit` at most, that the result does not have in that side's order and nesting.

    What the other side removed counts for nothing, nor do the lines `left_out`.
    """
    ours, theirs = sides

    def of(side: Sequence[Line], other: Sequence[Line]) -> list[str]:
        wrappers = _wrappers(base, other)
        expected = _expected(base, side, other, left_out, spare=len(wrappers & left_out))
        return list(islice(_strays(expected, wrappers, result), limit))

    return of(ours, theirs), of(theirs, ours)


def _strays(expected: Sequence[_Expected], wrappers: Collection[str], result: Sequence[Line]) -> Iterator[str]:
    texts = [tuple(result[place].text for place in line.above) for line in result]
    position = 0
    for want in expected:
        places = (at for at in range(position, len(result)) if _is(want, result[at], texts[at], wrappers))
        place = next(places, None)
        if place is None:
            yield want.text
        else:
            position = place + 1


def _is(want: _Expected, line: Line, around: Sequence[str], wrappers: Collection[str]) -> bool:
    return line.text == want.text and any(_fits(around, outline, want.dropped, wrappers) for outline in want.outlines)


def _fits(around: Sequence[str], outline: Sequence[str], dropped: int, wrappers: Collection[str]) -> bool:
    """True if the lines `around` a line are those of the outline, and others only as the other side may have put."""
    position, strange = 0, 0
    for text in around:
        if position < len(outline) and text == outline[position]:
            position += 1
        elif text not in wrappers:
            strange += 1
    return position == len(outline) and strange <= dropped


def _expected(
    base: Sequence[Line], side: Sequence[Line], other: Sequence[Line], left_out: AbstractSet[str], *, spare: int
) -> list[_Expected]:
    origin = _origins(base, side)
    there = {origin: place for place, origin in _origins(base, other).items()}
    needed = [
        line.text not in left_out and (place not in origin or origin[place] in there) for place, line in enumerate(side)
    ]
    found = []
    for place, line in enumerate(side):
        if needed[place]:
            outlines = [tuple(side[each].text for each in line.above if needed[each])]
            if place in origin:
                outlines.append(tuple(other[each].text for each in other[there[origin[place]]].above))
            dropped = spare + sum(not needed[each] for each in line.above)
            found.append(_Expected(line.text, tuple(outlines), dropped))
    return found


def _wrappers(base: Sequence[Line], side: Sequence[Line]) -> set[str]:
    """Lines that a side has put around lines of the base which they did not enclose there."""
    found: set[str] = set()
    for place, origin in _origins(base, side).items():
        before = {base[each].text for each in base[origin].above}
        found.update(text for each in side[place].above if (text := side[each].text) not in before)
    return found


def _origins(base: Sequence[Line], side: Sequence[Line]) -> Mapping[int, int]:
    """The place in the base of each line of a side that comes from there."""
    old, new = ([line.text for line in lines] for lines in (base, side))
    shorter = min(len(old), len(new))
    head = next((place for place in range(shorter) if old[place] != new[place]), shorter)
    tail = next((count for count in range(shorter - head) if old[-1 - count] != new[-1 - count]), shorter - head)
    found = {place: place for place in range(head)}
    found |= {len(new) - 1 - count: len(old) - 1 - count for count in range(tail)}
    matcher = SequenceMatcher(None, old[head : len(old) - tail], new[head : len(new) - tail], autojunk=False)
    for block in matcher.get_matching_blocks():
        found |= {head + block.b + step: head + block.a + step for step in range(block.size)}
    return found
