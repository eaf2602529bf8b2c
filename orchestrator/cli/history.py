"""Commands that show one run, a past one too: `show`, `logs`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from lib.project.paths import Project
from lib.store.rows import StepRow, Stored
from lib.store.rundb import RunDB
from orchestrator.cli.formats import Format, Json, Output, for_machines, print_json, tell
from orchestrator.cli.past_runs import as_dict
from orchestrator.cli.project import Instance, project_of


def register(app: typer.Typer) -> None:
    for command in (show, logs):
        app.command()(command)


def _data(project: Project, text: str) -> Any:  # noqa: ANN401 - any JSON value
    """A row's JSON, with paths as they are in this project."""
    return json.loads(project.named(text))


def _listed(project: Project, rows: Iterable[StepRow]) -> dict[str, list[dict[str, Any]]]:
    """The builders, and the steps of another workflow but for the worktree that they share."""
    from lib.steps import StepKind

    found = [_data(project, row.data) for row in rows]
    others = [each for each in found if each["kind"] not in {StepKind.BUILDER, StepKind.WORKSPACE}]
    return {"builders": [each for each in found if each["kind"] == StepKind.BUILDER], "steps": others}


def _outputs(stored: Stored) -> dict[str, Any]:
    """The outputs of the run's workflow, with secrets masked."""
    from lib.secrets.masking import Masker

    masker = Masker.from_environ(stored.options.get("env", {}))
    return dict(masker.masked_data(stored.header.get("engine", {}).get("outputs", {})))


def show(
    run: Annotated[str, typer.Argument(help="The run's id, or the beginning of it; the newest if left out.")] = "",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Every event.")] = False,
    output: Output = Format.TABLE,
    as_json: Json = False,
) -> None:
    """Show one run: what happened, from its start to its end."""
    project = project_of("default")
    db, name = _find(project, run)
    with db.look(name) as run_look:
        stored, steps = run_look.stored, run_look.steps() if for_machines(output, as_json) else []
    events = db.events(name)
    if for_machines(output, as_json):
        facts = [{"seq": row.seq, "at": row.at, "kind": row.kind, "data": _data(project, row.data)} for row in events]
        print_json({**as_dict(stored.row), **_listed(project, steps), "outputs": _outputs(stored), "events": facts})
        return
    import sys
    from dataclasses import replace

    from lib.display import escaped
    from lib.logs.sentences import is_story, sentence
    from orchestrator.status.page import output_lines
    from orchestrator.status.screen import Look
    from orchestrator.status.whereabouts import Place

    row, look = stored.row, Look.of(sys.stdout)
    place = Place.of(replace(project, instance=row.instance))
    typer.echo(
        f"{row.id}\n  {escaped(row.requirement)}\n"
        f"  {row.outcome or row.phase}, on {escaped(stored.header['base']['branch'])}\n"
    )
    for event in events:
        data = json.loads(event.data)
        if (verbose or is_story(event.kind, data)) and (said := sentence(event.kind, data)):
            typer.echo(f"  {event.at[11:19]}  {escaped(look.spelled(place.told(said)))}")
    for line in output_lines(_outputs(stored), look):
        typer.echo(line)
    if not verbose:
        tell(f"\nEvery event: relay show -v {name}")


def _find(project: Project, run: str) -> tuple[RunDB, str]:
    """The run that `run` begins. Raises `RelayError` (`unknown_run`)."""
    from lib.errors import RelayError

    db = RunDB.open_readonly(project.database)
    known = [row.id for row in db.runs(limit=10_000)] if db else []
    matching = [name for name in known if name.startswith(run)]
    if db is None or not matching:
        raise RelayError(f"there is no run {run}".rstrip(), remedy="relay runs", code="unknown_run")
    return db, matching[0]


def run_named(project: Project, run: str) -> tuple[RunDB, str]:
    """The run that `run` begins, else the newest of the instance. Raises `RelayError` (`unknown_run`, `no_run`)."""
    from lib.errors import RelayError

    if run:
        return _find(project, run)
    newest = RunDB.open_readonly(project.database)
    latest = newest.latest_run(project.instance_dir.name) if newest else None
    if newest is None or latest is None:
        raise RelayError("there is no run here yet", remedy='relay start "what you want built"', code="no_run")
    return newest, latest


def logs(
    name: Annotated[str, typer.Argument(metavar="[NAME[/ATTEMPT]]", help="A builder or step, design, reviewer, "
                                        "resolver or merged; the run's events if left out.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run is over.")] = False,
    lines: Annotated[int | None, typer.Option("--lines", "-n", min=0, help="How many lines of what is there.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Only what the verify command printed.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only what failed: the command and its last lines.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All attempts, from the first.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="As it was printed, an assistant's JSON too.")] = False,
    instance: Instance = "default",
) -> None:  # fmt: skip
    """Show the log of the run, or what a builder or another assistant printed."""
    from orchestrator.commands.logs import Choice, show_events, show_jobs

    project = project_of(instance)
    if not name:
        show_events(project, lines=50 if lines is None else lines, follow=follow, echo=typer.echo)
        return
    choice = Choice.of(name, verify=verify, failed=failed, every=every, raw=raw)
    most = lines if lines is not None else 22 if failed else 1_000_000 if every else 50
    show_jobs(project, choice, lines=most, follow=follow, echo=typer.echo)
