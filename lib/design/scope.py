"""A builder's change against the files of its component: what is outside, and whether a person has to see it. Pure.

A component without `files`, or with `**`, owns everything; a deletion of many files is reported all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lib.config.model import Scope
from lib.design.globs import matcher
from lib.display import clip, counted, escaped
from lib.model import Reach

#: More files than that outside a component's own are asked about; fewer are only shown, unless any is deleted.
FEW: Final = 5
#: Names that are kept of a change, and columns of each.
NAMES: Final = 20
_COLUMNS: Final = 120
#: Names that a sentence has.
SHOWN: Final = 4
#: More files than that which are gone are always told; so many if they are half of all, and all of them in any case.
_MANY: Final = 20
_SOME: Final = 2
#: From so many files on, a tree that lost nine of ten is an emptied one, unless it was written again.
_LEAST: Final = 2
_LOCKS: Final = frozenset(
    {
        *("package-lock.json", "npm-shrinkwrap.json", "packages.lock.json", "pnpm-lock.yaml", "bun.lockb"),
        *("go.sum", "Package.resolved", "gradle.lockfile", ".terraform.lock.hcl"),
    }
)


def judge(changes: Sequence[tuple[str, str]], owned: Sequence[str], *, moved: int = 0, total: int = 0) -> Reach:
    """The reach of a builder that made `changes` (git's status letter and path of each; a rename is a D and an A).

    `owned` are the globs of its component. `moved` of the deleted files are still there under another name; `total` is
    how many files there were.
    """
    owns = matcher(owned or ["**"])
    outside = [(status, path) for status, path in changes if not owns(path)]
    own = [path for status, path in changes if status == "D" and owns(path)]
    locks = [path for _, path in outside if is_lock(path)]
    first = sorted(outside, key=lambda change: (change[0] != "D", not is_lock(change[1])))
    return Reach(
        outside=len(outside),
        deleted=sum(status == "D" for status, _ in outside),
        locks=len(locks),
        names=tuple(f"{status} {_name(path)}" for status, path in first[:NAMES]),
        lost=max(0, sum(status == "D" for status, _ in changes) - moved),
        total=total,
        gone=tuple(_name(path) for path in own[:SHOWN]),
    )


def _name(path: str) -> str:
    return clip(escaped(path), _COLUMNS)


def is_lock(path: str) -> bool:
    """True if a file pins the versions of dependencies."""
    name = path.rpartition("/")[2]
    return name in _LOCKS or name.endswith(".lock")


def is_emptied(reach: Reach, left: int) -> bool:
    """True if nothing, or next to nothing, is left of a tree, of which `left` files are there, new ones included."""
    if not left:
        return reach.lost > 0
    return reach.total >= _LEAST and reach.lost * 10 >= reach.total * 9 and left * 2 <= reach.total


def is_refused(reach: Reach, scope: Scope) -> bool:
    """True if the change goes back to the builder."""
    return scope is Scope.REFUSE and reach.outside > 0


def asks(reach: Reach, scope: Scope) -> bool:
    """True if a person has to see the change before it lands."""
    if scope is Scope.WARN:
        return False
    return bool(reach.deleted or reach.locks) or reach.outside > FEW or _is_loss(reach)


def sentence(builder: str, reach: Reach) -> str:
    """The fact in words, for a log, a gate and a screen; empty where there is nothing to tell."""
    parts = []
    if reach.outside:
        gone = f", {reach.deleted} of them deleted" if reach.deleted else ""
        more = f" and {reach.outside - SHOWN} more" if reach.outside > SHOWN else ""
        parts.append(f"{counted(reach.outside, 'file')} outside its own{gone} ({', '.join(reach.names[:SHOWN])}{more})")
    if _is_loss(reach) and reach.lost > reach.deleted:
        names = f" ({', '.join(reach.gone)}, …)" if reach.gone else ""
        parts.append(f"{reach.lost} of {reach.total} files deleted in all{names}")
    return f"{builder} changed {'; '.join(parts)}" if reach.outside else f"{builder}: {parts[0]}" if parts else ""


def _is_loss(reach: Reach) -> bool:
    return (
        reach.lost > _MANY or (reach.lost >= _SOME and reach.lost * 2 >= reach.total) or 0 < reach.total == reach.lost
    )
