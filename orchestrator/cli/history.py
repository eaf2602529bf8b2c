"""What was: `runs`, `show`, `logs`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from lib.paths import Project
from lib.records import RunRow, Stored
from lib.rundb import RunDB
from orchestrator.cli.formats import Format, Json, Output, for_machines, print_json
from orchestrator.cli.project import Instance, project_of


def register(app: typer.Typer) -> None:
    for command in (runs, show, logs):
        app.command()(command)


def runs(
    search: Annotated[str, typer.Argument(help="Only runs whose requirement has these words.")] = "",
    outcome: Annotated[str | None, typer.Option(help="landed, stored or cancelled.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 20,
    output: Output = Format.TABLE,
    as_json: Json = False,
) -> None:
    """List the runs of this repository, the newest first."""
    project = project_of("default")
    db = RunDB.open_readonly(project.database)
    found = db.runs(text=search, outcome=outcome, limit=limit) if db else []
    if for_machines(output, as_json):
        print_json([_as_dict(row) for row in found])
        return
    if not found:
        typer.echo('No runs. Start one with: relay start "what you want built"')
        return
    from orchestrator.screen import table, terminal_width

    rows = [[row.id, row.outcome or f"{row.phase}/{row.owner}", row.created_at[:16].replace("T", " "),
             " ".join(row.requirement.split())] for row in found]  # fmt: skip
    typer.echo(table(["run", "stands", "started", "requirement"], rows, terminal_width()))
    typer.echo("\nMore of one: relay show RUN")


def _as_dict(row: RunRow) -> dict[str, object]:
    return {
        "run": row.id, "instance": row.instance, "project": row.root, "workflow": row.workflow,
        "requirement": row.requirement, "phase": row.phase, "action_owner": row.owner, "action_needed": row.action,
        "outcome": row.outcome, "created_at": row.created_at, "updated_at": row.updated_at,
    }  # fmt: skip


def show(
    run: Annotated[str, typer.Argument(help="The run's id, or the beginning of it; the newest if left out.")] = "",
    output: Output = Format.TABLE,
    as_json: Json = False,
) -> None:
    """Show one run: what happened, event by event."""
    project = project_of("default")
    db, name = _find(project, run)
    stored = db.load(name)
    events = db.events(name)
    if for_machines(output, as_json):
        told = [{"seq": row.seq, "at": row.at, "kind": row.kind, "data": json.loads(row.data)} for row in events]
        builders = [json.loads(row.data) for row in stored.builders]
        print_json({**_as_dict(stored.row), "builders": builders, "events": told})
        return
    from lib.display import escaped
    from lib.wording import sentence

    row = stored.row
    typer.echo(
        f"{row.id}\n  {escaped(row.requirement)}\n"
        f"  {row.outcome or row.phase}, on {escaped(stored.header['base']['branch'])}\n"
    )
    for event in events:
        said = sentence(event.kind, json.loads(event.data))
        if said:
            typer.echo(f"  {event.at[11:19]}  {escaped(said)}")


def _find(project: Project, run: str) -> tuple[RunDB, str]:
    """The run that `run` begins. Raises `RelayError` (`unknown_run`)."""
    from lib.errors import RelayError

    db = RunDB.open_readonly(project.database)
    known = [row.id for row in db.runs(limit=10_000)] if db else []
    matching = [name for name in known if name.startswith(run)]
    if db is None or not matching:
        raise RelayError(f"there is no run {run}".rstrip(), remedy="relay runs", code="unknown_run")
    return db, matching[0]


def stored_run(project: Project, run: str) -> Stored:
    """The run that `run` begins, else the newest of the instance. Raises `RelayError` (`unknown_run`, `no_run`)."""
    from lib.errors import RelayError

    if run:
        db, name = _find(project, run)
        return db.load(name)
    newest = RunDB.open_readonly(project.database)
    latest = newest.latest_run(project.instance_dir.name) if newest else None
    if newest is None or latest is None:
        raise RelayError("there is no run here yet", remedy='relay start "what you want built"', code="no_run")
    return newest.load(latest)


def logs(
    builder: Annotated[str, typer.Argument(help="A builder's own output; the run's events if left out.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines of what is there.")] = 50,
    instance: Instance = "default",
) -> None:
    """Show the log of the run, or what a builder printed."""
    from orchestrator.logs import builder_logs, known_secrets, show_logs

    project = project_of(instance)
    files, growing = builder_logs(project, builder) if builder else ([project.logs / "workflow.log"], False)
    show_logs(files, known_secrets(project), growing=growing, lines=lines, follow=follow, echo=typer.echo)
