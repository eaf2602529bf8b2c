"""The project and instance that a command is about."""

from __future__ import annotations

from typing import Annotated

import typer

from lib.errors import RelayError
from lib.project.paths import BESIDE, OWN, Project, find_project, working_folder

Instance = Annotated[str, typer.Option("--instance", help="Name of the instance of Relay in this project.")]


def project_of(instance: str) -> Project:
    """The project of the current folder. Raises `RelayError`."""
    return find_project(working_folder(), instance)


def project_if_any() -> Project | None:
    """The project of the current folder; None outside of any. Raises `RelayError` for one that can't be used."""
    try:
        return find_project(working_folder())
    except RelayError as error:
        if error.code != "not_a_repository":
            raise
        return None


def tell_of_folder(project: Project) -> None:
    """Says where Relay's files go, before they are there, if that is not where they go as a rule."""
    if project.own == BESIDE and not project.dot.exists():
        typer.echo(f"{OWN} is a file here (of Eclipse?): Relay keeps its files in {BESIDE}/", err=True)
