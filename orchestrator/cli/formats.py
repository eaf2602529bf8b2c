"""The two ways to ask any command that prints a table or a page for JSON: `--format json` and `--json`."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from lib.project.paths import DEFAULT_INSTANCE


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"


Output = Annotated[Format, typer.Option("--format", help="table for people, json for machines.")]
Json = Annotated[bool, typer.Option("--json", help="The same as --format json.")]


def for_machines(output: Format, as_json: bool) -> bool:
    return as_json or output is Format.JSON


def print_json(data: Any) -> None:  # noqa: ANN401 - JSON can be anything
    typer.echo(json.dumps(data, indent=2))


def tell(words: str, command: str = "", instance: str = DEFAULT_INSTANCE) -> None:
    """Prints words, and a command for that instance as it can be typed here."""
    from lib.spelling import for_instance
    from orchestrator.status.screen import Look

    typer.echo(Look.of(sys.stdout).spelled(for_instance(words + command, instance)))
