"""Glob patterns of files: whether two can name the same file, and which of them a path matches. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

_TOKEN = re.compile(r"\[[^\]]+\]|.", re.DOTALL)
_WILD = re.compile(r"[*?\[]")
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
#: Alternatives that are written out of the braces of one pattern.
_MOST = 1000


def overlap(left: str, right: str) -> bool:
    """True if some path matches both. `**` matches any number of folders; a plain name without suffix, and what
    ends in a slash, owns all that is below it too.

    A character class is taken for any character, so the answer can be yes where it is no, never the other way round.
    """
    return _meet(_folders(left), _folders(right), "**", _segments_meet)


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Decides of paths whether one of `patterns` names them, by the rules of `overlap`, and `{a,b}` means both.

    A character class is taken at its word here, or literally: `app/[id]/page.tsx` is a path, too. A name without
    wildcards owns all that is below it, and nothing at all (`.`) everything.
    """
    known = [_below(each) for pattern in patterns for each in _expanded(pattern)]
    return lambda path: any(_names(parts, path.split("/")) for parts in known)


def _expanded(pattern: str) -> list[str]:
    waiting: list[str] = [pattern]
    done: list[str] = []
    while waiting and len(waiting) + len(done) < _MOST:
        text = waiting.pop()
        if found := _BRACES.search(text):
            waiting += [f"{text[: found.start()]}{part}{text[found.end() :]}" for part in found[1].split(",")]
        else:
            done.append(text)
    return [*done, *waiting]


def _below(pattern: str) -> list[str]:
    parts = [part for part in pattern.split("/") if part not in {"", "."}]
    return parts if parts and _WILD.search(parts[-1]) and not pattern.endswith("/") else [*parts, "**"]


def _names(pattern: Sequence[str], path: Sequence[str]) -> bool:
    """True if the folders and the name of `path` match `pattern`; only the last `**` is ever tried again."""
    at = here = again = 0
    star = -1
    while here < len(path):
        part = pattern[at] if at < len(pattern) else None
        if part == "**":
            star, again, at = at, here, at + 1
        elif part is not None and (part == path[here] or fnmatchcase(path[here], part)):
            at, here = at + 1, here + 1
        elif star >= 0:
            again += 1
            at, here = star + 1, again
        else:
            return False
    return all(part == "**" for part in pattern[at:])


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
    """True if two sequences with wildcards have a common expansion; `star` matches any number of items.

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
