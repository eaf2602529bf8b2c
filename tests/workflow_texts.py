"""Workflows for tests, made of a text."""

from __future__ import annotations

from pathlib import Path

from conftest import ROOT

from lib.workflow.faults import WorkflowError
from lib.workflow.library import Shelf
from lib.workflow.loading import Loaded, load_text
from lib.workflow.plan import Plan

FIXTURES = ROOT / "tests" / "fixtures" / "workflows"
SHIPPED = ROOT / "templates" / "workflows"


def library(*folders: Path) -> Shelf:
    return Shelf([("test", folder) for folder in (*folders, FIXTURES, SHIPPED)])


def loaded(text: str, name: str = "w.yaml") -> Loaded:
    return load_text(text, Path(name))


def compiled(text: str, name: str = "w.yaml", shelf: Shelf | None = None) -> Plan:
    return loaded(text, name).plan(shelf or library())


def wrong(text: str, name: str = "w.yaml", shelf: Shelf | None = None) -> list[str]:
    """All that is wrong with a workflow, as `line:column: message`; nothing if it is right."""
    try:
        compiled(text, name, shelf)
    except WorkflowError as error:
        return [fault.told.removeprefix(f"{name}:") for fault in error.faults]
    return []
