"""Checkpoints of runs: `checkpoints`, and `restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lib.project.paths import Project
from orchestrator.cli.formats import Format, Json, Output, for_machines, print_json, tell
from orchestrator.cli.project import Instance, project_of

if TYPE_CHECKING:
    from orchestrator.commands.checkpoints import Line
    from orchestrator.commands.fork import Fork


def register(app: typer.Typer) -> None:
    for command in (checkpoints, restore):
        app.command()(command)


def checkpoints(
    run: Annotated[str, typer.Argument(help="The run's id, or the beginning of it; the newest if left out.")] = "",
    create: Annotated[str, typer.Option("--create", metavar="LABEL", help="Make one now, with this label.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Can each be restored? Exit code 1 if one can't.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove old ones, by the run's settings or as told.")] = False,
    older_than: Annotated[str, typer.Option(help="With --prune: those older than that: 7d, 12h, 90m.")] = "",
    keep: Annotated[int | None, typer.Option(min=0, help="With --prune: all but so many, the newest.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --prune: show what would go.")] = False,
    output: Output = Format.TABLE,
    as_json: Json = False,
    instance: Instance = "default",
) -> None:
    """List the checkpoints of a run; make, check or prune them."""
    from lib.errors import UsageError
    from orchestrator.cli.history import run_named

    if sum((bool(create), check, prune)) > 1 or ((older_than or keep is not None or dry_run) and not prune):
        message = "--create, --check and --prune go one at a time; --older-than, --keep and --dry-run belong to --prune"
        raise UsageError(message, remedy="relay checkpoints --help", code="usage")
    project = project_of(instance)
    db, name = run_named(project, run)
    machines = for_machines(output, as_json)
    if create:
        _create(project, name, create, machines=machines)
    elif check:
        _check(project, name, machines=machines)
    elif prune:
        _prune(project, name, older_than, keep, dry_run=dry_run, machines=machines)
    else:
        from orchestrator.commands.checkpoints import lines

        found = lines(db, name)
        _show(found, machines=machines)
        if found and not machines:
            useful = [line for line in found if line.phase != "storage"] or found
            tell("\nA new run from one of them:  ", f"relay restore {useful[-1].number}", instance)


def _create(project: Project, run: str, label: str, *, machines: bool) -> None:
    from orchestrator.commands.checkpoints import create

    number, warnings = create(project, run, label)
    if machines:
        print_json({"number": number, "run": run, "label": label, "warnings": warnings})
        return
    typer.echo(f"Made checkpoint {number} of {run}: {label}")
    for words in warnings:
        typer.echo(f"  warning: {words}")
    tell("\nA new run from it:  ", f"relay restore {number}", project.instance)


def _check(project: Project, run: str, *, machines: bool) -> None:
    from lib.store.rundb import RunDB
    from orchestrator.commands.checkpoints import check

    db = RunDB.open_readonly(project.database)
    found = list(check(project, db, run)) if db else []
    if machines:
        print_json([each._asdict() for each in found])
    else:
        from lib.display import escaped
        from orchestrator.status.screen import paint

        for each in found:
            mark = paint("ok", "green") if each.ok else paint("!!", "red")
            typer.echo(f"  {mark}  {each.number:4}  {escaped(each.message)}")
    raise typer.Exit(0 if all(each.ok for each in found) else 1)


def _prune(
    project: Project, run: str, older_than: str, keep: int | None, *, dry_run: bool, machines: bool
) -> None:  # fmt: skip
    from orchestrator.commands.checkpoints import prune

    found = prune(project, run, older_than, keep, dry_run=dry_run)
    _show(found, machines=machines)
    if machines:
        return
    from lib.display import counted

    if not found:
        typer.echo("Nothing to prune.")
    elif dry_run:
        typer.echo(f"\nNothing was removed. Leave out --dry-run to remove {counted(len(found), 'checkpoint')}.")
    else:
        typer.echo(f"\nRemoved {counted(len(found), 'checkpoint')} of {run}, with their refs.")


def _show(found: list[Line], *, machines: bool) -> None:
    if machines:
        print_json([line._asdict() for line in found])
        return
    if not found:
        return
    from lib.process import now
    from orchestrator.commands.checkpoints import age_s
    from orchestrator.status.screen import ago, table, terminal_width, thousands

    instant = now()
    rows = [[str(line.number), ago(age_s(line, instant)), line.phase, f"{line.done} of {line.steps}", str(line.commits),
             f"{thousands(line.size)}B", line.fault or line.what] for line in found]  # fmt: skip
    typer.echo(table(["no.", "age", "phase", "done", "commits", "size", "made when"], rows, terminal_width()))


def restore(
    checkpoint: Annotated[str, typer.Argument(help="Its number, or the label of one of the newest run.")],
    run: Annotated[str, typer.Option("--run", help="Look for the label in this run; its id, or its beginning.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it would do; start nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until landed, or until you are needed.")] = False,
    foreground: Annotated[bool, typer.Option("--foreground", help="Drive the run in this process.")] = False,
    output: Output = Format.TABLE,
    as_json: Json = False,
    instance: Instance = "default",
) -> None:
    """Start a new run with state and code as a checkpoint has them; the old run stays as it is."""
    from orchestrator.cli.history import run_named
    from orchestrator.cli.starting import begin_fork
    from orchestrator.commands.restore import fork_from, number_of

    project = project_of(instance)
    db, name = run_named(project, run)
    fork = fork_from(project, db, number_of(db, checkpoint, name, is_given=bool(run)))
    machines = for_machines(output, as_json)
    if dry_run:
        _show_fork(project, fork, machines=machines)
        return
    raise typer.Exit(begin_fork(project, fork, wait=wait, foreground=foreground, as_json=machines))


def _show_fork(project: Project, fork: Fork, *, machines: bool) -> None:
    from orchestrator.commands.fork import plan

    values: dict[str, Any] = plan(project, fork)
    if machines:
        print_json(values)
        return
    from lib.display import escaped

    for key, value in values.items():
        for place, text in enumerate(value if isinstance(value, list) else [value]):
            typer.echo(f"{'' if place else key:10} {escaped(str(text))}")
    typer.echo("\nNothing was started. Leave out --dry-run to start it.")
