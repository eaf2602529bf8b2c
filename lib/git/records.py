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
    for pointer in (common_dir / "worktrees").glob("*/gitdir"):
        with suppress(OSError):  # it is gone, or about to be
            said = pointer.read_bytes()
            if said.endswith(b"\n"):  # else git has not written all of it yet
                # relative where git's worktree.useRelativePaths says so
                yield pointer.parent, Path(os.path.normpath(pointer.parent / os.fsdecode(said[:-1]))).parent
