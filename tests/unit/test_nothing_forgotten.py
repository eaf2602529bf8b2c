"""A change that takes several files fails here where one of them was forgotten: see "What a change touches"."""

from __future__ import annotations

import ast
import pkgutil
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from importlib import import_module
from typing import get_args

import pytest
from conftest import ROOT

from lib.config.model import Config
from lib.effects import KNOWN
from lib.events import Event
from lib.model import EDITABLE, Base, State, StepChange
from lib.project.plugins import load
from lib.steps import TRANSITIONS, BuilderStatus, Stage, StepKind, StepStatus, shown_status
from lib.store.history import History
from lib.store.migrations import MIGRATIONS, VERSION, WITH_VIEWS, show_as_migrated
from lib.store.views import VIEWS
from orchestrator import cli
from orchestrator.cli.app import app
from orchestrator.effects._registry import ATTRIBUTE, known
from orchestrator.effects._runner import Runner, Runs
from orchestrator.status.page import SIGNS
from orchestrator.status.step_views import BuilderView
from phases.steps import mover_of

EVENTS = get_args(get_args(Event)[0])
#: What the table of builders leaves to `status --json`.
FOR_MACHINES = {"title", "outside", "condition", "branch", "worktree"}
#: A table that a statement of SQL writes, or reads.
WRITTEN = re.compile(r"\b(?:INSERT(?: OR \w+)? INTO|UPDATE(?! SET)|DELETE FROM) (\w+)")
READ = re.compile(r"(?<!DELETE )\bFROM (\w+)")
#: Tables of FTS5, that of the database and that of one connection, and a table that only writers of the first need.
INDEXES = {"search", "unindexed"}
BOOKKEEPING = {"indexed"}


@cache
def code() -> dict[str, tuple[ast.AST, ...]]:
    """Every node of the code, by the path of its file."""
    files = (file for folder in ("lib", "phases", "orchestrator") for file in sorted((ROOT / folder).rglob("*.py")))
    return {str(file.relative_to(ROOT)): tuple(ast.walk(ast.parse(file.read_text()))) for file in files}


def outside(*places: str) -> Iterator[ast.AST]:
    """Every node of the code but for those files and folders."""
    return (node for path, nodes in code().items() if not path.startswith(places) for node in nodes)


def name_of(node: ast.AST) -> str:
    """The last part of a name, dotted or not; empty for anything else."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def made(*places: str) -> set[str]:
    """The names of what is called, and so of the classes of which values are made, but for those places."""
    return {name_of(node.func) for node in outside(*places) if isinstance(node, ast.Call)}


def settings_of(*called: str) -> Iterator[tuple[str, ast.AST]]:
    """Names and values that are given by keyword in calls of these."""
    for node in outside():
        if isinstance(node, ast.Call) and name_of(node.func) in called:
            yield from ((each.arg, each.value) for each in node.keywords if each.arg)


def entries() -> Iterator[tuple[str, ast.AST]]:
    """Names and values of all dicts that are written out."""
    for node in outside():
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value


# --- a step status ---------------------------------------------------------------------------------------------------


def test_each_status_of_a_step_can_be_reached_and_is_shown() -> None:
    assert TRANSITIONS.keys() == set(StepStatus)
    assert set().union(*TRANSITIONS.values()) == set(StepStatus)
    shown = {shown_status(kind, status, stage, merged=False, landed=False)
             for kind in StepKind for status in StepStatus for stage in Stage}  # fmt: skip
    assert shown == set(BuilderStatus) - {BuilderStatus.MERGED, BuilderStatus.LANDED}


def test_each_status_of_a_step_is_given_to_one() -> None:
    given = {name_of(part) for name, value in entries() if name == "status" for part in ast.walk(value)}
    assert {status.name for status in StepStatus} <= given


def test_each_kind_of_step_has_a_mover() -> None:
    folder = ROOT / "phases" / "steps"
    assert {file.stem for file in folder.glob("[a-z]*.py")} == {kind.value for kind in StepKind}
    for kind in StepKind:
        assert callable(mover_of(kind).move)
        assert isinstance(mover_of(kind).takes_slot, bool)


def test_each_status_has_a_sign_on_the_screen() -> None:
    assert SIGNS.keys() == set(BuilderStatus)


# --- a config key, an event, a field of state.json -------------------------------------------------------------------


def test_each_setting_is_read() -> None:
    read = {node.attr for node in outside("lib/config") if isinstance(node, ast.Attribute)
            and name_of(node.value).endswith("config")}  # fmt: skip
    assert not set(Config.model_fields) - read


def test_each_event_is_stated() -> None:
    assert not {kind.__name__ for kind in EVENTS} - made("lib/events.py")


def test_each_field_of_the_state_is_set() -> None:
    by_name = {name for name, _ in settings_of("State", "_state")}
    assert not by_name - State.model_fields.keys()
    given = by_name | {name for name, _ in entries()}
    assert not State.model_fields.keys() - given - {*EDITABLE, "schema_ref", "schema_version"}


def test_a_field_that_a_value_does_not_have_can_not_be_changed() -> None:
    with pytest.raises(TypeError, match="Base has no comit"):
        Base(branch="main", commit="c").model_copy(update={"comit": "d"})


# --- a command, an effect --------------------------------------------------------------------------------------------


def test_each_group_of_commands_is_registered() -> None:
    modules = (import_module(f"{cli.__name__}.{found.name}") for found in pkgutil.iter_modules(cli.__path__))
    groups = {module.__name__ for module in modules if hasattr(module, "register")}
    within = (each.typer_instance for each in app.registered_groups)
    commands = [one for each in (app, *within) if each for one in each.registered_commands]
    assert groups == {command.callback.__module__ for command in commands if command.callback}


def test_each_effect_can_be_done_and_is_asked_for() -> None:
    runners = {name: load(source, Runs, ATTRIBUTE) for name, source in known().items()}
    assert {name: each.args for name, each in runners.items() if isinstance(each, Runner)} == KNOWN
    assert not {args.__name__ for args in KNOWN.values()} - made("lib/effects.py")


# --- a column of status ----------------------------------------------------------------------------------------------


def test_each_field_that_a_step_can_change_is_changed() -> None:
    assert not StepChange.__annotations__.keys() - {name for name, _ in entries()}


def test_each_field_of_a_builder_is_on_the_screen_or_for_machines_alone() -> None:
    shown = {node.attr for node in code()["orchestrator/status/page.py"] if isinstance(node, ast.Attribute)
             and name_of(node.value) == "builder"}  # fmt: skip
    assert set(BuilderView._fields) - shown == FOR_MACHINES


# --- a table ---------------------------------------------------------------------------------------------------------


def columns(database: sqlite3.Connection, kinds: str = "main.sqlite_schema") -> dict[str, set[str]]:
    """The columns of each table that is Relay's own."""
    names = [name for (name,) in database.execute(f"SELECT name FROM {kinds} WHERE type IN ('table', 'view')")]  # noqa: S608
    of = "SELECT name FROM pragma_table_info(?)"
    return {name: {column for (column,) in database.execute(of, (name,))} for name in names if name[:7] != "sqlite_"}


def database_of(version: int) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    for statement in (statement for step in MIGRATIONS[:version] for statement in step):
        database.execute(statement)
    return database


def test_each_table_is_written_and_read_and_no_other_is() -> None:
    texts = [node.value for path, nodes in code().items() if path.startswith("lib/store/")
             and path not in {"lib/store/migrations.py", "lib/store/views.py"} for node in nodes
             if isinstance(node, ast.Constant) and isinstance(node.value, str)]  # fmt: skip
    with closing(database_of(VERSION)) as database:
        tables = columns(database).keys() - VIEWS.keys()
    assert {table for text in texts for table in WRITTEN.findall(text)} - INDEXES == tables
    named = {text for text in texts if text in tables}  # as an argument of a query
    read = named | {table for text in texts for table in READ.findall(text)}
    assert read - VIEWS.keys() - INDEXES - {"pragma_module_list", "sqlite_schema"} == tables


@pytest.mark.parametrize("version", range(1, VERSION))
def test_a_reader_of_an_older_database_finds_each_table_and_column(version: int) -> None:
    with closing(database_of(version)) as older, closing(database_of(VERSION)) as newest:
        show_as_migrated(older, version)
        if version < WITH_VIEWS:
            History(older, has_views=False)
        found = columns(older) | columns(older, "temp.sqlite_schema")
        wanted = {name: names for name, names in columns(newest).items() if name not in BOOKKEEPING}
        assert {name: found.get(name, set()) & names for name, names in wanted.items()} == wanted
