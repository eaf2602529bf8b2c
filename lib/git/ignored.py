"""Ignored files that a builder made: no commit has them, so they are reported before its worktree is removed.

Those that commands made, or that were copied into a new worktree, are known from a listing right after it, and caches
by their names. A folder that is ignored as a whole is listed as one (`lib.git.listing`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Final

from lib.files.replace import replace_file
from lib.git.checkout import Checkout

#: What programs make again by themselves.
_CACHES: Final = frozenset(
    (
        *("__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".cache", ".tox", ".nox"),
        *(".venv", "venv", "node_modules", ".gradle", ".parcel-cache", ".eslintcache", ".turbo", ".next", ".nuxt"),
        ".DS_Store",
    )
)
#: Those of them that what runs in the worktree may need.
_INSTALLED: Final = frozenset({".venv", "venv", "node_modules"})
_CACHED: Final = (".pyc", ".pyo", ".tsbuildinfo", ".swp")
_SHOWN: Final = 6
_COUNTED: Final = 1000
_KEPT_BYTES: Final = 10_000_000


def note_known(checkout: Checkout, ignored: frozenset[str]) -> None:
    """Of the `ignored` files that are there now those that were not noted as built are none of the builder's."""
    built = _read(checkout)[1]
    _write(checkout, sorted(ignored - set(built)), built)


def note_built(checkout: Checkout, ignored: frozenset[str]) -> list[str]:
    """Files of the `ignored` ones that the builder made; they are its own whatever command runs after this."""
    known, before = _read(checkout)
    built = sorted(name for name in ignored - set(known) if not _is_cache(name))
    if built != before:
        _write(checkout, known, built)
    return built


def is_partial(checkout: Checkout, ignored: frozenset[str]) -> bool:
    """True if any of the `ignored` files was made after the worktree was ready, and is more than a cache."""
    made = ignored - set(_read(checkout)[0])
    return any(not _is_cache(name) or _INSTALLED.intersection(PurePosixPath(name).parts) for name in made)


def keep_ignored(checkout: Checkout, ignored: frozenset[str], folder: Path) -> list[str]:
    """Moves what the builder made of the `ignored` files to `folder/NAME`, as its worktree is about to be removed.

    Large things go with the worktree. Gives sentences on it.
    """
    kept: list[str] = []
    lost: list[str] = []
    told = []
    for name in note_built(checkout, ignored):
        small = _bytes(checkout.path / name) <= _KEPT_BYTES
        (kept if small and _moved(checkout, name, folder / checkout.name) else lost).append(name)
    if kept:
        place = folder / checkout.name
        told.append(f"ignored files of {checkout.name} are kept in {place}: {in_words(place, kept)}")
    if lost:
        told.append(f"ignored files of {checkout.name} go with its worktree: {in_words(checkout.path, lost)}")
    return told


def _moved(checkout: Checkout, name: str, folder: Path) -> bool:
    source, target = checkout.path / name, folder / name
    if not source.parent.resolve().is_relative_to(checkout.path) or os.path.lexists(target):
        return False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
    except OSError:  # another file system, or a disk that is full: told as lost
        return False
    return True


def _bytes(thing: Path) -> int:
    below = (Path(folder, name) for folder, _, names in os.walk(thing) for name in names)
    return sum(each.lstat().st_size for each in chain([thing], islice(below, _COUNTED)))


def in_words(root: Path, names: Sequence[str]) -> str:
    """The first of some ignored files, folders with how much is in them, and how many more there are."""
    shown = [f"{name} ({_count(root / name)})" if name.endswith("/") else name for name in names[:_SHOWN]]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(shown) + more


def _is_cache(name: str) -> bool:
    return bool(_CACHES.intersection(PurePosixPath(name).parts)) or name.endswith(_CACHED)


def _count(folder: Path) -> str:
    files = (name for _, _, found in os.walk(folder) for name in found)
    count = sum(1 for _ in islice(files, _COUNTED))
    return f"{count}{'+' if count == _COUNTED else ''} file{'s' if count != 1 else ''}"


def _read(checkout: Checkout) -> tuple[list[str], list[str]]:
    with suppress(FileNotFoundError):
        known, built = json.loads(checkout.ignored.read_bytes())
        return known, built
    return [], []


def _write(checkout: Checkout, known: Iterable[str], built: Iterable[str]) -> None:
    replace_file(checkout.ignored, json.dumps([list(known), list(built)]).encode())
