r"""Names in any bytes: a file, branch or folder that is not UTF-8, in memory, in JSON, on a screen, in a command.

In memory a name is what `os.fsdecode` makes of it (PEP 383): a byte that is not UTF-8 is a lone surrogate, U+DC80 to
U+DCFF, and `os.fsencode` gives the bytes back. What Relay stores and what machines read is JSON in ASCII, where that is
the escape `\udce9`: also lossless. Whatever a person reads or edits is UTF-8 and shows the byte as `\xe9`; a command
to be typed has it as `$'\351'`, which bash, zsh, ksh and BusyBox understand.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel

    Model = TypeVar("Model", bound=BaseModel)

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_ESCAPED_BYTES: Final = range(0xDC80, 0xDD00)
#: Begins what `json.dumps` makes of such a byte; pydantic's own reader refuses it.
_IN_JSON: Final = re.compile(r"\\u[dD][89a-fA-F]")
_SPECIAL_IN_QUOTES: Final = re.compile(rb"[^ -&(-\[\]-~]")


def shown(text: str) -> str:
    r"""The text as every UTF-8 encoder takes it: a byte that is not UTF-8 as `\xe9`, another surrogate as `\ud800`."""
    return text if text.isascii() else _SURROGATE.sub(lambda match: surrogate(match[0]), text)


def surrogate(char: str) -> str:
    """A lone surrogate, spelt out."""
    code = ord(char)
    return f"\\x{code - 0xDC00:02x}" if code in _ESCAPED_BYTES else f"\\u{code:04x}"


def shown_data(data: Any) -> Any:  # noqa: ANN401 - JSON can be anything
    """JSON-like data with every string, keys included, as `shown` has it."""
    if isinstance(data, str):
        return shown(data)
    if isinstance(data, Mapping):
        return {shown(str(key)): shown_data(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [shown_data(value) for value in data]
    return data


def quote(name: str | os.PathLike[str]) -> str:
    """The name as one word of a shell command that can be typed, whatever its bytes are."""
    text = os.fspath(name)
    if text.isprintable():
        return shlex.quote(text)
    data = os.fsencode(text)
    return "$'" + _SPECIAL_IN_QUOTES.sub(lambda match: b"\\%03o" % match[0][0], data).decode("ascii") + "'"


def show_on(*streams: TextIO | None) -> None:
    """Makes the streams show what their encoding does not have, instead of failing or passing raw bytes on."""
    codecs.register_error("shown", _encodable)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="shown")


def _encodable(error: UnicodeError) -> tuple[str | bytes, int]:
    """An error handler of codecs; it is asked for a character, or several, that can't be encoded."""
    if isinstance(error, UnicodeEncodeError):
        text = shown(error.object[error.start : error.end])
        return text.encode("ascii", "backslashreplace").decode("ascii"), error.end
    raise error


def to_json(value: BaseModel, *, exclude: set[str] | None = None) -> str:
    """The JSON that `from_json` reads back without loss."""
    try:
        return value.model_dump_json(exclude=exclude)
    except ValueError:  # pydantic encodes each text as UTF-8
        return json.dumps(value.model_dump(exclude=exclude), default=_in_json)


def from_json(kind: type[Model], text: str) -> Model:
    """The value that `to_json` wrote. Raises `pydantic.ValidationError`."""
    return kind.model_validate(json.loads(text)) if _IN_JSON.search(text) else kind.model_validate_json(text)


def to_readable_json(value: BaseModel) -> str:
    """Indented JSON that every reader of UTF-8 and every editor carries through, with names as they are shown."""
    try:
        return value.model_dump_json(indent=2, by_alias=True)
    except ValueError:
        return json.dumps(shown_data(value.model_dump(mode="json", by_alias=True)), indent=2, ensure_ascii=False)


def _in_json(value: object) -> object:
    """Converts a value of a dumped model that `json` does not know: times, and enumerations."""
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value)
