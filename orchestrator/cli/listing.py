"""`relay list`: the runs of all projects of this user on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from orchestrator.cli.formats import Format, Json, Output, for_machines, print_json, tell

if TYPE_CHECKING:
    from lib.project.registry import RegistryEntry

OVER: Final = "over"
GONE: Final = "gone"
STOPPED: Final = "stopped"
DRIVEN: Final = "driven"


def register(app: typer.Typer) -> None:
    app.command(name="list")(list_)


def list_(
    tidy: Annotated[bool, typer.Option("--tidy", help="First drop runs from the list that are over or gone.")] = False,
    output: Output = Format.TABLE,
    as_json: Json = False,
) -> None:
    """List the newest run of each project and instance on this machine, the last changed first."""
    from lib.project.registry import entries, forget

    found, notes = entries()
    rows = [(entry, _drive(entry)) for entry in found]
    if tidy:
        for entry, drive in rows:
            if drive in {OVER, GONE}:
                forget(entry)
        rows = [(entry, drive) for entry, drive in rows if drive not in {OVER, GONE}]
    for note in notes:
        typer.echo(f"warning: {note}", err=True)
    if for_machines(output, as_json):
        print_json([{**asdict(entry), "orchestrator": drive} for entry, drive in rows])
        return
    _show(rows)


def _drive(entry: RegistryEntry) -> str:
    """Says if an orchestrator drives the run, or why none does."""
    from lib.jobs import ProcessIdentity
    from lib.process import alive

    if not Path(entry.project, ".git").exists():
        return GONE
    if entry.outcome:
        return OVER
    driven = entry.process is not None and alive(ProcessIdentity.model_validate(entry.process))
    return DRIVEN if driven else STOPPED


def _show(rows: list[tuple[RegistryEntry, str]]) -> None:
    from lib.names import quote
    from orchestrator.status.screen import table, terminal_width
    from orchestrator.status.view import stage

    if not rows:
        tell('No runs on this machine. Start one with: relay start "what you want built"')
        return
    said = {GONE: "; its project is gone", STOPPED: "; its orchestrator has stopped"}
    cells = [
        [entry.project, entry.instance, stage(entry.outcome, entry.phase, entry.owner) + said.get(drive, ""),
         " ".join(entry.requirement.split())]
        for entry, drive in rows
    ]  # fmt: skip
    typer.echo(table(["project", "instance", "status", "requirement"], cells, terminal_width()))
    halted = next((entry for entry, drive in rows if drive == STOPPED), None)
    if halted:
        tell("\nGo on with one that has stopped: ", f"cd {quote(halted.project)} && relay resume", halted.instance)
    if any(drive == GONE for _, drive in rows):
        tell("\nDrop runs that are over or gone from the list: relay list --tidy")
