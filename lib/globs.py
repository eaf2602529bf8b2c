"""Whether two glob patterns can name the same file. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_TOKEN = re.compile(r"\[[^\]]+\]|.", re.DOTALL)
_WILD = re.compile(r"[*?\[]")


def overlap(left: str, right: str) -> bool:
    """True if some path matches both. `**` stands for any number of folders; a plain name without suffix, and what
    ends in a slash, owns all that is below it too.

    A character class is taken for any character, so the answer can be yes where it is no, never the other way round.
    """
    return _meet(_folders(left), _folders(right), "**", _segments_meet)


def _folders(pattern: str) -> list[str]:
    parts = [part for part in pattern.split("/") if part not in {"", "."}]
    if pattern.endswith("/") or (parts and not _WILD.search(parts[-1]) and "." not in parts[-1]):
        parts.append("**")
    return parts


def _segments_meet(left: str, right: str) -> bool:
    return _meet(_TOKEN.findall(left), _TOKEN.findall(right), "*", _chars_meet)


def _chars_meet(left: str, right: str) -> bool:
    return left == right or left[0] in "?[" or right[0] in "?["


def _meet(left: Sequence[str], right: Sequence[str], star: str, same: Callable[[str, str], bool]) -> bool:
    """Whether two sequences with wildcards have a common expansion; `star` stands for any number of items.

    `row[j]` says that the rest of `left` and `right[j:]` meet; rows are filled from the end.
    """
    row = [all(item == star for item in right[j:]) for j in range(len(right) + 1)]
    for i in range(len(left) - 1, -1, -1):
        below, row = row, [False] * (len(right) + 1)
        row[-1] = left[i] == star and below[-1]
        for j in range(len(right) - 1, -1, -1):
            if star in {left[i], right[j]}:
                row[j] = below[j] or row[j + 1]
            else:
                row[j] = same(left[i], right[j]) and below[j + 1]
    return row[0]
