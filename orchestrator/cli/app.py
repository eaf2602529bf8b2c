"""The typer application: every command is registered here, and each group of them lives in a file of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli import (
    assistants,
    care,
    checkpointing,
    configuring,
    difference,
    handback,
    history,
    listing,
    past_runs,
    rerunning,
    running,
    trusting,
    workflows,
)

app = typer.Typer(
    name="relay",
    help="Carry a requirement to merged, verified code, with a team of AI coding assistants.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_LIFE = (running, rerunning, checkpointing, handback)
_LOOKING = (past_runs, history, listing, difference, workflows)
_CARE = (trusting, care, configuring, assistants)
for group in (*_LIFE, *_LOOKING, *_CARE):
    group.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError
        from importlib.metadata import version as installed

        try:
            typer.echo(f"relay {installed('relay-orchestrator')}")
        except PackageNotFoundError:
            typer.echo("relay from a checkout, not installed")
        raise typer.Exit


@app.callback()
def relay(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Carry a requirement to merged, verified code, with a team of AI coding assistants."""
