"""Forgetting the history of runs that ended long ago: those that nothing which is left is explained by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from lib.display import counted
from lib.errors import RelayError
from lib.git.objects import refs_below
from lib.git.pins import PREFIX as CHECKPOINTS
from lib.git.rescue import PREFIX as RESCUED
from lib.git.run import Repo
from lib.project.paths import Project
from lib.store.rundb import RunDB

#: Refs of runs, by what they are called.
_REFS: Final = {"refs/heads/relay/": "branches", RESCUED: "rescued work", CHECKPOINTS: "checkpoints"}


@dataclass(frozen=True, slots=True)
class Old:
    """Runs that ended long ago: those that can be forgotten, and those that are kept, each with the reason."""

    forgettable: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]


def old_runs(project: Project, days: int) -> Old:
    """The runs that ended more than so many days ago. Raises `StoreError`, `GitError`.

    The newest run of an instance is none of them: state.json is made of it.
    """
    db = RunDB.open_readonly(project.database)
    if db is None:
        return Old((), ())
    before = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    with db.history() as history:
        ended = history.ended_before(before)
    left = _left(project) if ended else {}
    unpinned = {each.run for each in db.unpinned()} if ended else set()
    forgettable, kept = [], []
    for row in ended:
        worktrees = replace(project, root=Path(row.root)).worktrees / row.id
        why = left.get(row.id) or ("worktrees" if worktrees.exists() else "")
        why = why or ("checkpoints" if row.id in unpinned else "")
        if why:
            kept.append((row.id, why))
        else:
            forgettable.append(row.id)
    return Old(tuple(forgettable), tuple(kept))


def forget_old(project: Project, days: int, *, dry: bool = False) -> list[str]:
    """Forgets them; lines that say what was forgotten, or with `dry` would be. Raises `RelayError`, `StoreError`."""
    old = old_runs(project, days)
    gone = old.forgettable
    if gone and not dry:
        with RunDB.open(project) as db:
            gone = tuple(db.forget(gone))
    verb = "would forget" if dry else "forgot"
    lines = [f"{verb} the history of {name}" for name in gone]
    return lines + [f"kept    the history of {name}: it has {why} left" for name, why in old.kept]


def forget_quietly(project: Project, days: int) -> str:
    """Forgets them where that can be done; a sentence on it, empty if there was none."""
    try:
        gone = [line for line in forget_old(project, days) if line.startswith("forgot")]
    except RelayError as error:
        return f"keep_history_days: {error.message}"
    return f"keep_history_days: the history of {counted(len(gone), 'run')} is forgotten" if gone else ""


def _left(project: Project) -> dict[str, str]:
    """All that git has of runs, by their ids."""
    repo, found = Repo.of(project), dict[str, str]()
    for prefix, what in _REFS.items():
        for ref, _ in refs_below(repo, prefix):
            found.setdefault(ref.removeprefix(prefix).partition("/")[0], what)
    return found
