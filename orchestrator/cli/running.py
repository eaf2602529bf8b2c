"""`start`, `status`, `logs`, `stop`, `demo`: a run's life."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from lib.errors import RelayError
from lib.names import quote
from lib.project.paths import working_folder
from orchestrator.cli.formats import Format, Json, Output, for_machines, tell
from orchestrator.cli.project import Instance, project_of, tell_of_folder

if TYPE_CHECKING:
    from lib.model import Definition


def register(app: typer.Typer) -> None:
    app.command()(start)
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})(
        status
    )
    app.command()(stop)


def start(
    requirement: Annotated[str, typer.Argument(help="What you want built, in words; - reads standard input.")] = "",
    workflow: Annotated[str, typer.Option("--workflow", "-w", help="NAME or file of the workflow to run.")] = "build",
    given: Annotated[list[str] | None, typer.Option("--input", "--var", help="An input of it: NAME=VALUE.")] = None,
    inputs: Annotated[Path | None, typer.Option("--inputs", help="A JSON or YAML file of inputs.")] = None,
    assistant: Annotated[str | None, typer.Option(help="NAME or NAME:VARIANT; auto picks one installed.")] = None,
    reuse: Annotated[bool, typer.Option("--reuse", help="Take what equal steps gave in other runs.")] = False,
    parallel: Annotated[int | None, typer.Option(min=1, help="Builders at work at once.")] = None,
    verify: Annotated[str | None, typer.Option(help="Shell line that must succeed.")] = None,
    setup: Annotated[str | None, typer.Option(help="Shell line that makes a new worktree ready.")] = None,
    land: Annotated[str | None, typer.Option(help="auto, ask or branch.")] = None,
    poll: Annotated[float | None, typer.Option(help="Seconds between reads of state.json without events.")] = None,
    instance: Instance = "default",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="No gate: build the design without your approval.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until landed, or until you are needed.")] = False,
    foreground: Annotated[bool, typer.Option("--foreground", help="Drive the run in this process.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; make nothing.")] = False,
    output: Output = Format.TABLE,
    as_json: Json = False,
) -> None:
    """Start a run: design, build in parallel, merge, land; or the steps of another workflow."""
    flags = {"assistant": assistant, "parallel": parallel, "verify": verify, "setup": setup, "land": land,
             "poll_s": poll, "gates": {"design": "none"} if yes else None}  # fmt: skip
    try:
        chosen = Chosen(workflow, given or [], inputs, reuse)
        code = _started(requirement, chosen, instance, flags, dry_run=dry_run, wait=wait, foreground=foreground,
                        as_json=for_machines(output, as_json))  # fmt: skip
    except RelayError as error:
        error.remedy = error.remedy.replace(" …", f" {quote(requirement)}")
        raise
    raise typer.Exit(code)


class Chosen(NamedTuple):
    """The workflow that is to be run, its inputs as they were typed, and whether it takes what equal steps gave."""

    workflow: str
    given: list[str]
    inputs: Path | None
    reuse: bool = False


def _started(
    requirement: str,
    chosen: Chosen,
    instance: str,
    flags: dict[str, Any],
    *,
    dry_run: bool,
    wait: bool,
    foreground: bool,
    as_json: bool,
) -> int:
    """The exit code. Raises `RelayError`."""
    from lib.project.lock import refuse_links
    from orchestrator.cli.configuring import configured
    from orchestrator.cli.starting import begin, plan, refuse_home, show_plan

    project = project_of(instance)
    refuse_home(project, working_folder())
    refuse_links(project)  # before anything in Relay's own folder is read
    tell_of_folder(project)
    config = configured(project, flags)
    if not as_json and sys.stdin.isatty() and sys.stdout.isatty():
        from orchestrator.cli.trusting import ask_for_trust

        ask_for_trust(project)
    text = _standard_input() if requirement == "-" else requirement
    definition: Definition | None = None
    if chosen != Chosen("build", [], None):
        from orchestrator.commands.start_workflow import (
            definition_of,
            inputs_of,
            refuse_reuse_of_build,
            within_limits,
            words_of,
        )

        refuse_reuse_of_build(chosen.workflow, reuse=chosen.reuse)
        definition = definition_of(project, chosen.workflow, inputs_of(chosen.given, chosen.inputs), text)
        definition = definition.model_copy(update={"reuse": chosen.reuse})
        text, config = words_of(definition, text), within_limits(config, definition)
    if dry_run:
        show_plan(plan(project, text, config, definition), as_json=as_json)
        return 0
    return begin(project, text, config, definition, wait=wait, foreground=foreground, as_json=as_json)


def status(context: typer.Context) -> None:
    """Show how far the run is, who acts next, and how. (Options: relay status --help.)"""
    from orchestrator.commands.status import main

    raise typer.Exit(main(context.args))


def stop(
    builders: Annotated[
        bool, typer.Option("--builders", help="Stop the builders too; they are retried later.")
    ] = False,
    instance: Instance = "default",
) -> None:
    """Stop the orchestrator; builders go on unless --builders. `relay resume` continues the run."""
    from orchestrator.commands import run_control

    pid = run_control.stop(project_of(instance), builders=builders)
    what = f"orchestrator {pid} stopped" if pid else "no orchestrator was running"
    typer.echo(what + ("; builders stopped" if builders else ""))
    tell("Go on with: ", "relay resume", instance)


def _standard_input() -> str:
    return sys.stdin.read()
