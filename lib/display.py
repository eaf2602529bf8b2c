"""Text that others wrote, made fit to be shown: control sequences visible, widths counted.

Output of assistants, names in a repository and words of a requirement all reach terminals and logs. None of them may
move the cursor, set a clipboard, reverse the reading direction, or forge a line. `lib.secrets.masking` hides secrets.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from lib.names import surrogate

_PLAIN_SPACE: Final = "Zs"
_NOT_ASCII_PRINTABLE: Final = re.compile(r"[^ -~]")


def escaped(text: str, *, keep_newlines: bool = False) -> str:
    r"""The text with all that a terminal would act on shown as `\x1b`, `\u202e` and the like.

    That is what Unicode holds for unprintable: C0 and C1 controls, bidirectional and zero-width marks, private and
    unassigned characters; and bytes of a name that are not UTF-8 (see `lib.names`). `keep_newlines` keeps line feeds
    and tabs; without it the result is one line.
    """
    if text.isprintable():
        return text
    kept = "\n\t" if keep_newlines else ""

    def shown(match: re.Match[str]) -> str:
        char = match[0]
        if char in kept or char.isprintable() or unicodedata.category(char) == _PLAIN_SPACE:
            return char
        return surrogate(char) if "\ud800" <= char <= "\udfff" else char.encode("unicode_escape").decode("ascii")

    return _NOT_ASCII_PRINTABLE.sub(shown, text)


def counted(number: int, what: str) -> str:
    """A number of things in words: `1 file`, `3 files`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def width(text: str) -> int:
    """Number of terminal columns that the text takes: wide East Asian characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_char_width(char) for char in text)


def clip(text: str, columns: int) -> str:
    """The text, or its beginning and an ellipsis, in at most `columns` terminal columns."""
    if width(text) <= columns:
        return text
    used, end = 1, 0
    for char in text:
        used += _char_width(char)
        if used > columns:
            break
        end += 1
    return text[:end] + "…" if columns > 0 else ""


def _char_width(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1
