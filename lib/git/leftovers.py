"""Files that commands (setup, verify) leave in a worktree, told apart from work by a look right after each command.

What differs from the checked-out commit then is a leftover for as long as it stays as it is; what is changed afterwards
is somebody's work. The look is a file beside the private index: it names objects, and needs none of them to exist.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import PurePosixPath

from lib.files.replace import replace_file
from lib.git.checkout import Checkout
from lib.git.run import Repo
from lib.git.trees import Sides, TreeEntry, entries, with_entries

Left = Mapping[str, TreeEntry | None]


def note(checkout: Checkout, sides: Sides) -> None:
    """Notes the leftovers: each path as it was in the commit, and as a command left it. Replaces the last look."""
    rows = [[path, was, left] for path, (was, left) in sides.items()]
    if rows:
        replace_file(checkout.look, json.dumps(rows).encode())
    else:
        checkout.look.unlink(missing_ok=True)


def noted(checkout: Checkout) -> Sides:
    """The leftovers that the last look has found."""
    with suppress(FileNotFoundError):
        rows = json.loads(checkout.look.read_bytes())
        return {path: (_entry(was), _entry(left)) for path, was, left in rows}
    return {}


def without(repo: Repo, checkout: Checkout, tree: str, head: str = "") -> tuple[str, Left]:
    """`tree`, which the private index holds, with each leftover as it was before the command.

    With `head`, as it is in that commit. The index holds the result then. Also gives the leftovers, as they are.
    """
    look = noted(checkout)
    if not look:
        return tree, {}
    found = entries(repo, tree)
    left = {path: made for path, (_, made) in look.items() if found.get(path) == made}
    known = entries(repo, head) if head else {path: was for path, (was, _) in look.items()}
    places = _Places(found.keys() - left.keys())
    wanted = {path: entry for path in left if (entry := known.get(path)) != left[path] and places.free(path, entry)}
    return with_entries(repo, checkout.path, checkout.index, tree, wanted) if wanted else tree, left


def note_work(checkout: Checkout, sides: Sides) -> None:
    """Notes which of the paths that differ now are work, for the look after the command that is about to run."""
    look = noted(checkout)
    names = [path for path, (_, now) in sides.items() if path not in look or look[path][1] != now]
    replace_file(checkout.work, json.dumps(names).encode())


def without_work(checkout: Checkout, sides: Sides) -> Sides:
    """The paths that were not noted as work before the command ran."""
    with suppress(FileNotFoundError):
        names = set(json.loads(checkout.work.read_bytes()))
        return {path: each for path, each in sides.items() if path not in names}
    return sides


def keep_noted(checkout: Checkout, names: Iterable[str]) -> None:
    """Forgets all leftovers but those at `names`: the others were changed since, and are work, as a commit has it."""
    checkout.work.unlink(missing_ok=True)
    look, kept = noted(checkout), set(names)
    if look.keys() - kept:
        note(checkout, {path: sides for path, sides in look.items() if path in kept})


class _Places:
    """The files of somebody's work, and the folders that they are in."""

    def __init__(self, files: set[str]) -> None:
        self._files = files
        self._folders = {str(parent) for file in files for parent in PurePosixPath(file).parents}

    def free(self, path: str, entry: TreeEntry | None) -> bool:
        """True if `entry` can be put at `path` beside them."""
        parents = {str(parent) for parent in PurePosixPath(path).parents}
        return entry is None or not (path in self._folders or parents & self._files)


def _entry(row: list[str] | None) -> TreeEntry | None:
    return TreeEntry(*row) if row else None
