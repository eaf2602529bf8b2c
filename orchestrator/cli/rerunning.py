"""`relay rerun`: a run of a workflow again, from one of its steps on."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.formats import Format, Json, Output, for_machines
from orchestrator.cli.project import Instance, project_of


def register(app: typer.Typer) -> None:
    app.command()(rerun)


def rerun(
    run: Annotated[str, typer.Argument(help="The run's id, or the beginning of it.")],
    step: Annotated[str, typer.Option("--from", help="The step that it begins with; those before it are kept.")],
    reuse: Annotated[bool, typer.Option("--reuse", help="Take what equal steps after it gave in other runs.")] = False,
    instance: Instance = "default",
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until landed, or until you are needed.")] = False,
    foreground: Annotated[bool, typer.Option("--foreground", help="Drive the run in this process.")] = False,
    output: Output = Format.TABLE,
    as_json: Json = False,
) -> None:
    """Start a new run of a workflow from a step on, with the tree and the outputs that it saw; the old run stays."""
    from orchestrator.cli.history import run_named
    from orchestrator.cli.starting import begin_fork
    from orchestrator.commands.rerun import fork_at

    project = project_of(instance)
    db, name = run_named(project, run)
    fork = fork_at(project, db, name, step, reuse=reuse)
    raise typer.Exit(begin_fork(project, fork, wait=wait, foreground=foreground, as_json=for_machines(output, as_json)))
