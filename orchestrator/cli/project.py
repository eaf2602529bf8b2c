"""The project and instance that a command is about."""

from __future__ import annotations

from typing import Annotated

import typer

from lib.paths import Project, find_project, working_folder

Instance = Annotated[str, typer.Option("--instance", help="Name of the instance of Relay in this project.")]


def project_of(instance: str) -> Project:
    """The project of the current folder. Raises `RelayError`."""
    return find_project(working_folder(), instance)
