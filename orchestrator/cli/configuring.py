"""`relay config`: what is set, where it comes from, and setting it; and the configuration that `start` uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lib.project.paths import Project
from orchestrator.cli.formats import Format, Json, Output, for_machines, print_json, tell
from orchestrator.cli.project import project_of

if TYPE_CHECKING:
    from lib.config.model import Config, Settings

Key = Annotated[str, typer.Argument(help="A setting, or a part of one: parallel, gates.design, env.NAME.")]


def register(app: typer.Typer) -> None:
    settings = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
    settings.callback()(config)
    for command in (get, set_, explain):
        settings.command(command.__name__.rstrip("_"))(command)
    app.add_typer(settings, name="config")


def configured(project: Project, flags: Mapping[str, Any]) -> Config:
    """The configuration, with a warning on standard error for each variable that is none of it. Raises `UsageError`."""
    return _settings(project, flags).config


def _settings(project: Project, flags: Mapping[str, Any]) -> Settings:
    from lib.config.model import read_settings
    from lib.display import escaped

    settings = read_settings(project.config_file, flags)
    for warning in settings.warnings:
        typer.echo(f"warning: {escaped(warning)}", err=True)
    return settings


def config(context: typer.Context, output: Output = Format.TABLE, as_json: Json = False) -> None:
    """Show what is set and where it comes from, and set it."""
    if context.invoked_subcommand is None:
        get("", output, as_json)


def get(key: Key = "", output: Output = Format.TABLE, as_json: Json = False) -> None:
    """Show the value of a setting, or all that differ from their defaults."""
    from orchestrator.commands import configuration

    settings = _settings(project_of("default"), {})
    if key:
        found = configuration.entry(settings, key)
        if for_machines(output, as_json):
            print_json(found.value)
        else:
            typer.echo(configuration.shown(found.value))
        return
    entries = configuration.entries(settings)
    if for_machines(output, as_json):
        print_json({found.key: found.value for found in entries})
        return
    changed = [found for found in entries if found.origin != "default"]
    if changed:
        _print_table(["setting", "value", "from"], [[found.key, configuration.shown(found.value), found.origin]
                                                   for found in changed])  # fmt: skip
    else:
        typer.echo("Every setting has its default.")
    tell("\nAll of them, with what they do: relay config explain")


def explain(key: Key = "", output: Output = Format.TABLE, as_json: Json = False) -> None:
    """Show the value of a setting, where it comes from, its default, and what it does; of all of them without KEY."""
    from orchestrator.commands import configuration

    settings = _settings(project_of("default"), {})
    found = [configuration.entry(settings, key)] if key else configuration.entries(settings)
    if for_machines(output, as_json):
        data = [entry._asdict() for entry in found]
        print_json(data[0] if key else data)
    elif key:
        for name, value in found[0]._asdict().items():
            typer.echo(f"{name:12} {configuration.shown(value)}".rstrip())
    else:
        rows = [[entry.key, configuration.shown(entry.value), entry.origin, entry.description] for entry in found]
        _print_table(["setting", "value", "from", "what it does"], rows)


def set_(key: Key, value: Annotated[str, typer.Argument(help="Lists as A,B or [A, B]; '' for none.")]) -> None:
    """Set a value in the project's config.yaml; comments stay, and nothing is written that would not be valid."""
    from lib.display import escaped
    from orchestrator.commands import configuration

    project = project_of("default")
    configuration.change(project, key, value)
    typer.echo(f"Set {escaped(key)} in {project.own}/config.yaml, from the next run on.")
    origin = _settings(project, {}).origins.of(key.split("."))
    if origin.kind == "variable":
        typer.echo(f"But {origin.where} is set, and wins over the file: unset {origin.where}", err=True)


def _print_table(headers: list[str], rows: list[list[str]]) -> None:
    from orchestrator.status.screen import table, terminal_width

    typer.echo(table(headers, rows, terminal_width()))
