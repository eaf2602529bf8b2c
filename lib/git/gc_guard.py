"""Holding off `git gc` for a moment, by its own lock."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lib.git.locks import remove_if_stale, wait_for_others
from lib.git.run import Repo

COMMANDS: Final = frozenset({"gc", "prune", "repack", "prune-packed"})
_PATIENCE_S: Final = 120.0


@contextmanager
def held_off(repo: Repo) -> Iterator[None]:
    """While it lasts a `git gc` of the user's says that another one is running; those that run are waited for first.

    `gc.pid` holds a process number and a host; git takes no notice of it once that process is gone (git's
    builtin/gc.c, `lock_repo_for_gc`). After some minutes of waiting it goes on without.
    """
    ours = f"{os.getpid()} {os.uname().nodename}"
    file = repo.common_dir / "gc.pid"
    lock = file.with_name("gc.pid.lock")
    deadline = time.monotonic() + _PATIENCE_S
    while not (taken := _take(file, lock, ours)) and time.monotonic() < deadline:
        remove_if_stale(lock, repo.root)
        time.sleep(0.005)
    wait_for_others(repo.common_dir, COMMANDS, _PATIENCE_S, roots=[repo.root])
    try:
        yield
    finally:
        if taken:
            file.unlink(missing_ok=True)


def _take(file: Path, lock: Path, ours: str) -> bool:
    try:
        with lock.open("x") as made:
            made.write(ours)
    except FileExistsError:
        return False
    if _held(file):
        lock.unlink()
        return False
    lock.replace(file)
    return True


def _held(file: Path) -> bool:
    try:
        pid, _, host = file.read_text().partition(" ")
        if host == os.uname().nodename:
            os.kill(int(pid), 0)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
