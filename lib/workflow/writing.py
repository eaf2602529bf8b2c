"""Workflows as text: YAML that reads back as exactly the same data, with the line by which editors find the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from lib.workflow.located import Written, reads_as_text

SCHEMA_NAME: Final = "workflow.schema.json"
CASES_SCHEMA_NAME: Final = "workflow-test.schema.json"
#: The schema lies beside workflows under this name, hidden from those who list them.
LOCAL_SCHEMA: Final = f".{SCHEMA_NAME}"
_HEAD: Final = "# yaml-language-server: $schema="
_WIDTH: Final = 110


def headed(text: str, schema: str = LOCAL_SCHEMA) -> str:
    """The text with a first line that names the schema, relative to the file."""
    return f"{_HEAD}{schema}\n{text}"


def without_head(text: str) -> str:
    """The text without that line."""
    return text.partition("\n")[2] if text.startswith(_HEAD) else text


def as_yaml(data: Mapping[str, Any]) -> str:
    """The data in YAML, in its own order."""
    text: str = yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return text


class _Dumper(yaml.SafeDumper):
    """Quotes what would read back as something else, and writes several lines as several lines."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - as PyYAML has it
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    odd = not reads_as_text(value) or not value.replace("\n", "").isprintable()
    style = '"' if odd else "|" if "\n" in value and not _is_awkward(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _is_awkward(value: str) -> bool:
    """True of a text whose lines a block would not keep."""
    return value != value.strip() + ("\n" if value.endswith("\n") else "") or any(
        line != line.rstrip() or "\t" in line for line in value.split("\n")
    )


def _written(dumper: _Dumper, value: Written) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:float", value.text)


def _list(dumper: _Dumper, value: Sequence[object]) -> yaml.SequenceNode:
    short = all(isinstance(each, str | int | float) for each in value) and len(str(value)) < _WIDTH // 2
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=short)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Written, _written)
_Dumper.add_representer(tuple, _list)
_Dumper.add_representer(list, _list)
