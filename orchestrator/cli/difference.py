"""What was changed: `diff`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from orchestrator.cli.project import Instance, project_of


def register(app: typer.Typer) -> None:
    app.command()(diff)


def diff(
    builder: Annotated[str, typer.Argument(help="One builder's part; all that is merged if left out.")] = "",
    stat: Annotated[bool, typer.Option("--stat", help="A line a file instead of the patch.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The files, for machines.")] = False,
    run: Annotated[str, typer.Option(help="A run's id, or the beginning of it; the newest if left out.")] = "",
    instance: Instance = "default",
) -> None:
    """Show what a run changed, or one builder, before it lands and after; files outside a component are marked."""
    import sys

    from lib.masking import Masker
    from orchestrator import differing, diffpage
    from orchestrator.cli.history import stored_run
    from orchestrator.screen import Look, say

    project = project_of(instance)
    stored = stored_run(project, run)
    found = differing.compare(project, stored, builder)
    masker = Masker.from_environ({**_environ(), **stored.options.get("env", {})})
    if as_json:
        typer.echo(json.dumps(masker.masked_data(found.as_dict()), indent=2))
        return
    look = Look.of(sys.stdout)
    say(masker.masked(diffpage.head(found)))
    lines = diffpage.table(found, look) if stat else diffpage.patch(differing.patch(project, found), look)
    for line in lines:
        say(masker.masked(line))


def _environ() -> dict[str, str]:
    import os

    return dict(os.environ)
