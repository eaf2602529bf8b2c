"""What others wrote, made fit to be shown: control sequences visible, secrets masked, widths counted.

Output of assistants, names in a repository and words of a requirement all reach terminals and logs. None of them may
move the cursor, set a clipboard, reverse the reading direction, forge a line, or carry a key along.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from lib.names import surrogate

_PLAIN_SPACE: Final = "Zs"
_NOT_ASCII_PRINTABLE: Final = re.compile(r"[^ -~]")

#: A variable with such a name holds a secret, if its value is long enough not to be an ordinary word.
SECRET_NAME: Final = re.compile(r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE", re.IGNORECASE)
SECRET_MIN_CHARS: Final = 8

#: Secrets that are known by their shape alone, as their issuers document them.
TOKEN_SHAPES: Final = {
    "api key": r"\bsk-[\w-]{16,}",
    "github token": r"\b(?:gh[pousr]_\w{16,}|github_pat_\w{16,})",
    "gitlab token": r"\bglpat-[\w-]{16,}",
    "aws key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "slack token": r"\bxox[a-z]-[\w-]{10,}",
    "google key": r"\bAIza[\w-]{35}",
    "jwt": r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}",  # no start inside a run, or it is quadratic
    "credentials": r"(?<=://)[^\s/:@]+:[^\s/@]+(?=@)",
}
#: One of them is in every token: looking for them is much faster than matching the shapes.
_TOKEN_MARKS: Final = (
    "sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "AKIA", "ASIA", "xox", "AIza", "eyJ", "://",
)  # fmt: skip
#: How much of a run without spaces a stream holds back to see whether it becomes a token.
_HELD_CHARS: Final = 16_384


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


def width(text: str) -> int:
    """How many terminal columns the text takes: wide East Asian characters two, combining ones none."""
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


class Masker:
    """Replaces known secrets and well-known token shapes by `[masked NAME]`."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """`secrets` maps a name, which is shown, to the value, which is not; a value of many lines masks each."""
        self._names: dict[str, str] = {}
        for name, value in secrets.items():
            for part in (value, *value.splitlines()):
                if len(part.strip()) >= SECRET_MIN_CHARS:
                    self._names.setdefault(part.strip(), name)
        #: Longest first, so that a secret which begins with another one is masked whole.
        self._values = sorted(self._names, key=len, reverse=True)
        self._marks = (*self._values, *_TOKEN_MARKS)
        shapes = [f"(?P<{name.replace(' ', '_')}>{shape})" for name, shape in TOKEN_SHAPES.items()]
        self._pattern = re.compile("|".join([*map(re.escape, self._values), *shapes]))

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Masker:
        """A masker of what `environ` names as secret."""
        return cls({name: value for name, value in environ.items() if SECRET_NAME.search(name)})

    def masked(self, text: str) -> str:
        for mark in self._marks:  # as fast as can be: each string of each event comes by here
            if mark in text:
                return self._pattern.sub(self._label, text)
        return text

    def masked_data(self, data: Any) -> Any:  # noqa: ANN401 - JSON can be anything
        """JSON-like data with every string masked, keys included."""
        if isinstance(data, str):
            return self.masked(data)
        if isinstance(data, Mapping):
            return {self.masked(str(key)): self.masked_data(value) for key, value in data.items()}
        if isinstance(data, (list, tuple)):
            return [self.masked_data(value) for value in data]
        return data

    def stream(self) -> MaskStream:
        return MaskStream(self)

    def safe_end(self, text: str) -> int:
        """Up to where `text` can be shown, although what follows may complete a secret that began in it."""
        words = text[-_HELD_CHARS:].rsplit(None, 1)
        end = len(text) if not words or text[-1].isspace() else len(text) - len(words[-1])
        for value in self._values:
            begun = (size for size in range(min(len(value) - 1, len(text)), 0, -1) if text.endswith(value[:size]))
            end = min(end, len(text) - next(begun, 0))
        for match in self._pattern.finditer(text):
            if match.start() < end < match.end():
                return match.start() or match.end()
        return end

    def _label(self, match: re.Match[str]) -> str:
        name = self._names.get(match[0]) or (match.lastgroup or "secret").replace("_", " ")
        return f"[masked {name}]"


class MaskStream:
    """Masks text that arrives in pieces, also a secret that is split over them.

    A word is held back until what follows shows that it is complete; `close` gives what is left.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = ""

    def feed(self, text: str) -> str:
        self._held += text
        end = self._masker.safe_end(self._held)
        ready, self._held = self._held[:end], self._held[end:]
        return self._masker.masked(ready)

    def close(self) -> str:
        ready, self._held = self._held, ""
        return self._masker.masked(ready)
