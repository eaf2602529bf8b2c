"""Git's records of worktrees, `worktrees/*/` in the git directory that they share (gitrepository-layout(5)).

They are read while git and other builders make and remove some: what is half-made, or gone meanwhile, is left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def records(common_dir: Path) -> Iterator[tuple[Path, Path]]:
    """Git's folder about each worktree, and the absolute path of the worktree that it is about."""
    folder = common_dir / "worktrees"
    for name in os.listdir(folder) if folder.is_dir() else ():  # noqa: PTH208 - asked for often, with many worktrees
        if tree := _tree_of(os.path.join(folder, name)):  # noqa: PTH118 - as above
            yield folder / name, Path(tree)


def record_about(common_dir: Path, tree: Path) -> Path | None:
    """Git's folder about the worktree with that absolute path, which as a rule bears its name."""
    likely = common_dir / "worktrees" / tree.name
    if _tree_of(str(likely)) == str(tree):
        return likely
    return next((record for record, path in records(common_dir) if path == tree), None)


def _tree_of(record: str) -> str | None:
    """The absolute path of the worktree; None if the record is half-made, gone, or about to be."""
    with suppress(OSError), open(f"{record}/gitdir", "rb") as file:  # noqa: PTH123 - as above
        said = file.read()
        if said.endswith(b"\n"):  # else git has not written all of it yet
            # relative where git's worktree.useRelativePaths says so
            return os.path.dirname(os.path.normpath(os.path.join(record, os.fsdecode(said[:-1]))))  # noqa: PTH118, PTH120
    return None
