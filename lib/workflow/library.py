"""The folders that workflows are found in: a project's, the user's, and those that ship with Relay, in that order."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lib.errors import UsageError
from lib.project.paths import Project, has_cases
from lib.project.templates import shipped
from lib.workflow.expanding import Source
from lib.workflow.faults import hint
from lib.workflow.loading import SUFFIXES, Loaded, load, name_of
from lib.workflow.located import uncollected
from lib.workflow.plan import Plan

PROJECT: Final = "project"
USER: Final = "user"
BUILT_IN: Final = "built-in"
#: More files than anybody reads through.
_MAX_FILES: Final = 2_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A workflow's file. `shadows` are files of the same name in later folders, which are not used."""

    name: str
    file: Path
    origin: str
    shadows: tuple[Path, ...] = ()


@dataclass(slots=True)
class Shelf:
    """The workflows of some folders, those of the first ones first. Files are read when they are asked for, once."""

    folders: Sequence[tuple[str, Path]]
    _loaded: dict[str, Loaded | None] = field(default_factory=dict)

    def entries(self) -> list[Entry]:
        """All workflows by name."""
        found: dict[str, Entry] = {}
        for origin, folder in self.folders:
            for file in _files(folder):
                name = name_of(file)
                if name in found:
                    first = found[name]
                    found[name] = Entry(name, first.file, first.origin, (*first.shadows, file))
                else:
                    found[name] = Entry(name, file, origin)
        return [found[name] for name in sorted(found)]

    def names(self) -> Collection[str]:
        return [entry.name for entry in self.entries()]

    def entry(self, name: str) -> Entry:
        """The workflow of that name, or in that file. Raises `UsageError` (`no_workflow`)."""
        if "/" in name or name.endswith(SUFFIXES):
            file = Path(name).expanduser()
            return Entry(name_of(file), file, "file")
        found = next((entry for entry in self.entries() if entry.name == name), None)
        if found is None:
            message = f"there is no workflow {name}{hint(name, self.names())}"
            raise UsageError(message, remedy="relay workflows list", code="no_workflow")
        return found

    def load(self, name: str) -> Loaded:
        """The workflow of that name, or in that file. Raises `UsageError` (`no_workflow`, `workflow_invalid`)."""
        return load(self.entry(name).file)

    def plan(self, name: str) -> tuple[Loaded, Plan]:
        """As `load`, with the plan. Raises `UsageError` (`no_workflow`, `workflow_invalid`) with all that is wrong."""
        with uncollected():
            loaded = self.load(name)
            return loaded, loaded.plan(self)

    def find(self, name: str) -> Source | None:
        if name not in self._loaded:
            entry = next((entry for entry in self.entries() if entry.name == name), None)
            self._loaded[name] = load(entry.file) if entry else None
        found = self._loaded[name]
        return found.source() if found else None


def shelf(project: Project | None, environ: Mapping[str, str] = os.environ) -> Shelf:
    """The workflows that are found from a project, or from a folder that is in none."""
    own = [(PROJECT, project_folder(project))] if project else []
    return Shelf([*own, (USER, user_folder(environ)), (BUILT_IN, shipped("workflows"))])


def project_folder(project: Project) -> Path:
    return project.dot / "workflows"


def user_folder(environ: Mapping[str, str] = os.environ) -> Path:
    base = environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "relay" / "workflows"


def _files(folder: Path) -> list[Path]:
    """The workflows in a folder: no hidden files, no cases of `relay workflows test`."""
    try:
        files = sorted(folder.iterdir())[:_MAX_FILES]
    except OSError:
        return []
    wanted = [file for file in files if file.suffix in SUFFIXES and not file.name.startswith((".", "_"))]
    return [file for file in wanted if not has_cases(file)]
