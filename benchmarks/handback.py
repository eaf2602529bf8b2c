"""From the save of state.json to the handler's decision, as seen by another process."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from benchmarks.report import Goal, Row
from benchmarks.scratch import START, Scratch, eventually, in_turns, scratch

#: The orchestrator is left to come to rest between two hand-backs, as it has when a person is asked.
REST_S = 0.03


def measure(folder: Path, runs: int) -> list[Row]:
    """`design_build` is handed a design that it refuses, so each hand-back is one decision and the next can follow.

    The time is taken from just before the rename that saves state.json until the events of the decision can be read
    from the run database, which is looked at every 0.5 ms.
    """
    with scratch(folder / "handback") as project, closing(_floor_database(folder)) as floor:
        project.run(*START, "parts")
        state = project.wait_asked("approve_design")
        (project.root / ".project" / "runs" / state["run"] / "design.json").write_text("{}")
        with project.database() as database:
            measured, floors = in_turns(
                runs, lambda: _hand_back(project, database), lambda: _replace_and_commit(folder, floor)
            )
    what = "hand-back: state.json saved → handler's decision committed"
    goals = [Goal("median", 10), Goal("p99", 50)]
    return [Row(what, "ms", measured, goals, "fsync'ed replace + one SQLite commit", floors)]


def _hand_back(project: Scratch, database: sqlite3.Connection) -> float:
    asked = _newest(database)
    time.sleep(REST_S)
    state = project.state()
    saved = project.root / ".project" / "saved"
    saved.write_text(json.dumps(state | {"action_owner": "code"}, indent=2))
    begun = time.perf_counter()
    saved.replace(project.state_file)
    eventually(lambda: _newest(database) > asked)
    seconds = time.perf_counter() - begun
    project.wait(lambda shown: shown["rev"] > state["rev"] and shown["action_owner"] == "ci")
    return seconds * 1000


def _newest(database: sqlite3.Connection) -> int:
    """The newest event in which ci was asked for something."""
    (seq,) = database.execute("SELECT max(seq) FROM events WHERE kind = 'asked'").fetchone()
    return int(seq)


def _floor_database(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE events (data TEXT)")
    return connection


def _replace_and_commit(folder: Path, database: sqlite3.Connection) -> float:
    begun = time.perf_counter()
    with (folder / "floor.tmp").open("wb") as file:
        file.write(b"x" * 2000)
        file.flush()
        os.fsync(file.fileno())
    (folder / "floor.tmp").replace(folder / "floor.json")
    directory = os.open(folder, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
    database.execute("INSERT INTO events VALUES (?)", ("x" * 2000,))
    return (time.perf_counter() - begun) * 1000
