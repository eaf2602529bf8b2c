"""`relay assistants`: what is installed, of which version, logged in or not, and a tiny real turn of each."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from lib.project.paths import working_folder
from orchestrator.cli.formats import Format, Json, Output, for_machines, print_json, tell

if TYPE_CHECKING:
    from orchestrator.commands.assistant_check import Found, Trial


def register(app: typer.Typer) -> None:
    app.command()(assistants)


def assistants(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]…", help="Only these.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Run one tiny real turn of each that is ready.")] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", min=1, help="Longest turn of --check, in seconds.")] = 180.0,
    output: Output = Format.TABLE,
    as_json: Json = False,
) -> None:
    """List the assistants of this machine, with version and login."""
    from orchestrator.commands.assistant_check import configuration, survey

    config = configuration(working_folder())
    found = survey(config, names or ())
    if check:
        tried = [row for row in found if names or _is_tried(row)]
        raise typer.Exit(_check(tried, timeout_s, for_machines(output, as_json)))
    if for_machines(output, as_json):
        print_json([asdict(row) for row in found])
        return
    _show(found)


def _is_tried(row: Found) -> bool:
    """True if it is ready, and not a program of which nothing says whether it is logged in."""
    return row.ready and (row.logged_in is not None or row.version is None)


def _show(found: list[Found]) -> None:
    from orchestrator.status.screen import table, terminal_width

    logins = {True: "logged in", False: "not logged in", None: ""}
    rows = [
        [row.name, "ready" if row.ready else "--", row.version or "", logins[row.logged_in], row.detail]
        for row in found
    ]
    typer.echo(table(["assistant", "", "version", "login", "note"], rows, terminal_width()))
    missing = [row for row in found if row.remedy]
    if missing:
        typer.echo("\nTo have the others:")
    for row in missing:
        typer.echo(f"  {row.name:10} {row.remedy}")
    if ready := next((row.name for row in found if _is_tried(row)), ""):
        tell(f"\nTry one with a tiny real turn: relay assistants --check {ready}")


def _check(rows: list[Found], timeout_s: float, as_json: bool) -> int:
    """The exit code: 0 if all turns went well. Each line is printed as soon as it is known."""
    from orchestrator.commands.assistant_check import configuration, try_out

    config = configuration(working_folder())
    trials: list[Trial] = []
    for row in rows:
        trials.append(try_out(row.name, config, timeout_s))
        if not as_json:
            typer.echo(_line(trials[-1]))
    if as_json:
        print_json([_as_dict(trial) for trial in trials])
    elif not rows:
        tell("None is ready. To see what is missing: relay assistants")
    return 0 if rows and all(trial.result.ok for trial in trials) else 1


def _line(trial: Trial) -> str:
    from lib.display import escaped
    from orchestrator.status.screen import paint

    result, used = trial.result, trial.result.usage
    mark = paint("ok", "green") if result.ok else paint("!!", "red")
    cost = f", ${used.cost_usd:.4f}" if used.cost_usd else ""
    told = " ".join(result.text.split())[:60] if result.ok else f"{result.code}: {result.message}"
    line = (
        f"  {mark}  {trial.name:10} {trial.seconds:6.1f} s  {used.input_tokens} + {used.output_tokens} tokens{cost}  "
    )
    line += escaped(told)
    return line if result.ok or not result.remedy else f"{line}\n      {'':10} fix: {result.remedy}"


def _as_dict(trial: Trial) -> dict[str, object]:
    result = trial.result
    return {
        "name": trial.name, "ok": result.ok, "code": result.code, "message": result.message, "remedy": result.remedy,
        "seconds": round(trial.seconds, 3), "text": result.text, **result.usage.model_dump(),
    }  # fmt: skip
