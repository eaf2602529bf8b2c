"""The place that each setting comes from, and errors in settings, in words that name that place."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lib.display import clip, escaped
from lib.errors import UsageError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from lib.config.words import Document

#: Flags of `relay start` that are not called like the setting.
_FLAGS: Final = {"poll_s": "--poll", "gates": "--yes"}
_SHOWN_ERRORS: Final = 5
_SHOWN_VALUE: Final = 60
_EDITORS: Final = ("sensible-editor", "editor", "nano", "vim", "vi")

#: What a value must be, by pydantic's type of error (https://docs.pydantic.dev/latest/errors/validation_errors/).
_MUST_BE: Final = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
    "string_unicode": "text in UTF-8",
    "tuple_type": "a list",
    "list_type": "a list",
    "mapping_type": "`name: value` lines",
    "dict_type": "`name: value` lines",
    "model_type": "`name: value` lines",
    "too_short": "at least one",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "enum": "one of {expected}",
    "string_pattern_mismatch": "a name of small letters, digits, - and _",
}


class Origin(NamedTuple):
    """`kind` is default, file, variable or flag; `where` its place in words: `config.yaml, line 7`, `--parallel`."""

    kind: str
    where: str


def flag_of(key: str) -> str:
    return _FLAGS.get(key, f"--{key.replace('_', '-')}")


class Origins:
    """The sources of a configuration's values, the last of file, variables and flags winning."""

    def __init__(self, file: Path, document: Document, variables: Mapping[str, str], flags: Collection[str]) -> None:
        """`variables` maps settings to the names of variables; `flags` has the settings that flags give."""
        self._file = file
        self._document = document
        self._variables = variables
        self._flags = flags

    def of(self, path: Sequence[int | str]) -> Origin:
        """The place that the value at `path` comes from."""
        key = str(path[0]) if path else ""
        if key in self._flags:
            return Origin("flag", flag_of(key))
        if key in self._variables:
            return Origin("variable", self._variables[key])
        if isinstance(self._document.values, dict) and key in self._document.values:
            return Origin("file", f"{self._file.name}, line {self._document.line(path)}")
        return Origin("default", "default")

    def error(self, errors: Sequence[ErrorDetails], known: Mapping[str, Collection[str]]) -> UsageError:
        """One error for all that is wrong; `known` has the keys that may be set, by the key that they are below."""
        told = [self._told(error, known) for error in errors]
        more = [f"… and {len(told) - _SHOWN_ERRORS} more"] if len(told) > _SHOWN_ERRORS else []
        first = self.of(errors[0]["loc"])
        remedies = {"flag": "relay start --help", "variable": f"unset {first.where}"}
        remedy = remedies.get(first.kind) or editing(self._file)
        return UsageError("\n".join(told[:_SHOWN_ERRORS] + more), remedy=remedy, code="config_invalid")

    def _told(self, error: ErrorDetails, known: Mapping[str, Collection[str]]) -> str:
        path = [part for part in error["loc"] if part != "[key]"]
        origin, name = self.of(path), ".".join(map(str, path))
        if error["type"] == "extra_forbidden":
            near = nearest(str(path[-1]), known.get(".".join(map(str, path[:-1])), ()))
            return f"{origin.where}: unknown key {escaped(name)}" + (f"; did you mean {near}?" if near else "")
        subject = name if origin.kind == "file" or len(path) > 1 else ""
        where = f"{origin.where}: {subject}" if subject else origin.where
        return f"{escaped(where)} must be {_must_be(error)}, not {_shown(error['input'])}"


def _must_be(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    words = _MUST_BE.get(error["type"])
    if words is None:
        return re.sub("^value error, ", "", error["msg"], flags=re.IGNORECASE)
    expected = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
    return words.format(**{**context, "expected": expected})


def _shown(value: Any) -> str:  # noqa: ANN401 - whatever was written
    if value is None or value in ("", (), []):
        return "empty"
    if isinstance(value, dict | list | tuple):
        return "`name: value` lines" if isinstance(value, dict) else "a list"
    return f'"{clip(escaped(str(value)), _SHOWN_VALUE)}"'


def nearest(name: str, known: Collection[str]) -> str:
    """The known name that is most like it; empty if none is."""
    import difflib

    return next(iter(difflib.get_close_matches(name, known, n=1)), "")


def editing(file: Path, environ: Mapping[str, str] = os.environ) -> str:
    """A command that opens the file in an editor, also where `$EDITOR` is not set."""
    from lib.names import quote

    return f"{'$EDITOR' if environ.get('EDITOR') else editor()} {quote(str(file))}"


def editor() -> str:
    """An editor of this machine, for whoever has set none."""
    import shutil

    return next(filter(shutil.which, _EDITORS), "less")
