"""The command that shows what was changed: `diff`."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.formats import Format, Json, Output, for_machines, print_json
from orchestrator.cli.project import Instance, project_of


def register(app: typer.Typer) -> None:
    app.command()(diff)


def diff(
    builder: Annotated[str, typer.Argument(help="One builder's part; all that is merged if left out.")] = "",
    stat: Annotated[bool, typer.Option("--stat", help="A line a file instead of the patch.")] = False,
    output: Output = Format.TABLE,
    as_json: Json = False,
    run: Annotated[str, typer.Option(help="A run's id, or the beginning of it; the newest if left out.")] = "",
    instance: Instance = "default",
) -> None:
    """Show what a run changed, or one builder, before it lands and after; files outside a component are marked."""
    import sys

    from lib.secrets.masking import Masker
    from orchestrator.cli.history import run_named
    from orchestrator.commands import diff_page, run_diff
    from orchestrator.status.screen import Look, say

    project = project_of(instance)
    db, name = run_named(project, run)
    with db.look(name) as run_look:
        found = run_diff.compare(project, run_look, builder)
        masker = Masker.from_environ(run_look.stored.options.get("env", {}))
    if for_machines(output, as_json):
        print_json(masker.masked_data(found.as_dict()))
        return
    look = Look.of(sys.stdout)
    say(masker.masked(diff_page.head(found)))
    lines = diff_page.table(found, look) if stat else diff_page.patch(run_diff.patch(project, found), look)
    for line in lines:
        say(masker.masked(line))
