"""Removing what programs have left behind, whatever they have made of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

REMOVE_TIMEOUT_S: Final = 120.0


def remove_whole(thing: Path) -> None:
    """Removes a file, a link, or a folder with all that is in it; nothing if it is not there.

    Raises `ValueError` for a path that is not absolute, or the root, as what a torn record names is; `OSError` if
    something in it can't be removed.
    """
    if not thing.is_absolute() or thing == Path(thing.anchor):
        raise ValueError(f"{str(thing)!r} is no place to remove")
    try:
        if thing.is_symlink() or not thing.is_dir():
            thing.unlink(missing_ok=True)
        else:
            shutil.rmtree(thing)
    except FileNotFoundError:
        if os.path.lexists(thing):  # another one removed something in it at the same time
            _remove_by_force(thing)
    except (OSError, RecursionError):  # folders that may not be entered, or too deep for Python
        _remove_by_force(thing)


def _remove_by_force(folder: Path) -> None:
    for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        done = subprocess.run(
            [*command, "--", str(folder)], check=False, capture_output=True, text=True, timeout=REMOVE_TIMEOUT_S
        )
    if done.returncode:
        raise OSError(f"{folder} can't be removed: {done.stderr.strip()[:200]}")
