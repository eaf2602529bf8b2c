"""`relay trust`, and the question that `relay start` asks on a terminal: what changed, and whether it may be used."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from orchestrator.cli.formats import Format, Json, Output, for_machines, print_json, tell
from orchestrator.cli.project import project_of

if TYPE_CHECKING:
    from lib.project.paths import Project
    from lib.project.trust import Pending

_SHOWN_LINES: Final = 200


def register(app: typer.Typer) -> None:
    app.command()(trust)


def trust(
    show: Annotated[bool, typer.Option("--list", help="Only show what is not trusted.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Trust it without a question.")] = False,
    output: Output = Format.TABLE,
    as_json: Json = False,
) -> None:
    """Allow this project's own handlers, commands, prompts and skills to be used, as they are now."""
    from lib.project import trust as trusting

    project = project_of("default")
    waiting = trusting.pending(project)
    if for_machines(output, as_json):
        print_json([{"path": item.path, "state": item.state, "reason": item.reason} for item in waiting])
        return
    if not waiting:
        typer.echo("Nothing here waits to be trusted.")
        return
    _print(waiting)
    if show:
        tell("Trust them with: relay trust")
    elif yes or not _on_terminal() or _agreed():
        trusting.trust(project, waiting)
        typer.echo("Trusted as they are. If what they run changes, you are asked again.")
    else:
        typer.echo("Nothing was trusted.")
        raise typer.Exit(1)


def ask_for_trust(project: Project) -> None:
    """Shows what is not trusted, and takes the answer of the person at the terminal. Raises `RelayError`."""
    from lib.project import trust as trusting

    waiting = trusting.pending(project)
    if waiting and all(item.state != "refused" for item in waiting):
        _print(waiting)
        if _agreed():
            trusting.trust(project, waiting)
    trusting.require(project)


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _agreed() -> bool:
    return typer.confirm("Trust this, and let Relay use it?")


def _print(waiting: list[Pending]) -> None:
    from lib.display import escaped

    for item in waiting:
        typer.echo(f"  {item.state:8} {escaped(item.path)}{f'  ({escaped(item.reason)})' if item.reason else ''}")
        lines = list(_changes(item))
        for line in lines[:_SHOWN_LINES]:
            typer.echo(f"    {_painted(line)}")
        if len(lines) > _SHOWN_LINES:
            typer.echo(f"    … and {len(lines) - _SHOWN_LINES} lines more: read the file before you trust it")


def _changes(item: Pending) -> Iterator[str]:
    """Changes since it was trusted, as a unified diff without its head, without comments; all of a new file."""
    if item.state == "refused":
        return
    if item.text is None:
        yield "(no text, or too large to be shown)"
        return
    before, after = (_without_comments(item.path, text) for text in (item.trusted or "", item.text))
    diff = difflib.unified_diff(before, after, lineterm="")
    yield from (line for at, line in enumerate(diff) if at > 1)


def _without_comments(path: str, text: str) -> list[str]:
    """The lines of a text; those of a configuration without its comments, if it says the same without them."""
    from lib.config.words import Document, NotYamlError

    lines = text.splitlines()
    if not path.endswith(".yaml"):
        return lines
    telling = [line for line in lines if line.strip() and not line.startswith("#")]
    try:
        same = Document(text).values == Document("\n".join(telling)).values
    except NotYamlError:
        return lines
    return telling if same else lines


def _painted(line: str) -> str:
    from lib.display import escaped
    from orchestrator.status.screen import paint

    style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
    return paint(escaped(line), style)
