"""Installations that make jobs import the project's code from the user's checkout, by the environment they get."""

from __future__ import annotations

import os

from lib.config.model import Config
from lib.design.verification import runs_python
from lib.process import environment
from lib.project.editable_installs import Editable, editable
from lib.project.paths import Project


def shadow(project: Project, config: Config) -> Editable | None:
    """The installation that does so."""
    return editable(project.root, environment(os.environ, config.env, passed=config.env_pass))


def warning(project: Project, config: Config) -> str:
    """A sentence for the start of a run; empty where its verify command does not import anything that is installed."""
    found = shadow(project, config) if config.verify is None or runs_python([config.verify]) else None
    return found.sentence() if found else ""
