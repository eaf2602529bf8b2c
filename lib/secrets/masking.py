"""Secrets in text, replaced by their names.

Known are the values of variables whose name is a secret's, also as JSON has them, and tokens by their shape.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from lib.secrets.stream import AFTER, CREDENTIALS, CREDENTIALS_SHAPE, MARKS, TOKEN_SHAPES, label, named

#: A variable with such a name holds a secret, if its value is long enough not to be an ordinary word.
SECRET_NAME: Final = re.compile(r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE", re.IGNORECASE)
SECRET_MIN_CHARS: Final = 8

_SPECIAL_IN_JSON: Final = re.compile(r'["\\]|[^ -~]')
#: A tool's arguments are often JSON in a string of JSON.
_JSON_LEVELS: Final = 2


class Masker:
    """Replaces known secrets and well-known token shapes by `[masked NAME]`."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """`secrets` maps a name, which is shown, to the value, which is not; a value of many lines masks each."""
        self._names: dict[str, str] = {}
        for name, value in secrets.items():
            for part in (value, *value.splitlines()):
                if len(part.strip()) >= SECRET_MIN_CHARS:
                    for form in _forms(part.strip()):
                        self._names.setdefault(form, re.sub(r"\W", "_", name))
        #: Longest first, so that a secret which begins with another one is masked whole.
        self._values = sorted(self._names, key=len, reverse=True)
        self._marks = (*self._values, *MARKS, AFTER)

    @classmethod
    def from_environ(cls, added: Mapping[str, str] | None = None, declared: Mapping[str, str] | None = None) -> Masker:
        """A masker of what the variables of this process name as secret, and those that are `added` for its jobs.

        Those that are `declared` are secret whatever their names.
        """
        environ = {**os.environ, **(added or {})}
        named = {name: value for name, value in environ.items() if SECRET_NAME.search(name)}
        return cls({**named, **(declared or {})})

    def masked(self, text: str) -> str:
        for mark in self._marks:  # as fast as can be: each string of each event comes by here
            if mark in text:
                return self._pattern.sub(self._label, text)
        return text

    def masked_data(self, data: Any) -> Any:  # noqa: ANN401 - JSON can be anything
        """JSON-like data with every string masked, keys included."""
        if isinstance(data, str):
            return self.masked(data)
        if data is None or isinstance(data, (bool, int, float)):  # most of what is no text, and cheaper to ask
            return data
        if isinstance(data, Mapping):
            return {self.masked(str(key)): self.masked_data(value) for key, value in data.items()}
        if isinstance(data, (list, tuple)):
            return [self.masked_data(value) for value in data]
        return data

    def known(self) -> dict[bytes, str]:
        """The values that are replaced, as bytes, each with its name."""
        return {os.fsencode(value): name for value, name in self._names.items()}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        shapes = named({**TOKEN_SHAPES, CREDENTIALS: CREDENTIALS_SHAPE})
        return re.compile("|".join([*map(re.escape, self._values), shapes]))

    def _label(self, match: re.Match[str]) -> str:
        return label(self._names.get(match[0]) or (match.lastgroup or "secret").replace("_", " "))


def _forms(value: str) -> set[str]:
    """The value as it is, and as JSON spells it."""
    forms = {value}
    if _SPECIAL_IN_JSON.search(value):
        import json

        for _ in range(_JSON_LEVELS):
            forms |= {json.dumps(form, ensure_ascii=plain)[1:-1] for form in forms for plain in (True, False)}
    return forms
