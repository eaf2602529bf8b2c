"""The builders that a builder depends on, and the order in which their work is merged. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lib.design.document import order
from lib.design.globs import overlap
from lib.effects import Tip
from lib.model import Step

#: How many paths a sentence names.
SHOWN = 5


def ancestors(builder: Step, builders: Mapping[str, Step]) -> list[Step]:
    """All that it depends on, directly or not."""
    found: dict[str, Step] = {}
    waiting = [builder]
    while waiting:
        for name in waiting.pop().needs:
            if name in builders and name not in found:
                found[name] = builders[name]
                waiting.append(builders[name])
    return list(found.values())


def tips(builders: Iterable[Step]) -> tuple[Tip, ...]:
    """The work to be merged: that of each builder that has any, after those that it depends on.

    Merging is deterministic, so what a dependent builder starts from are the commits that the run's branch gets too.
    """
    known = {builder.part.id: builder for builder in builders if builder.commit}
    ordered = [known[name] for name in order([builder.part for builder in known.values()])]
    return tuple(Tip(id=each.id, tip=each.commit, title=each.part.title or each.id) for each in ordered)


def trespasses(builder: Step, changed: Sequence[str], builders: Iterable[Step]) -> list[str]:
    """A sentence for each other builder whose files, and not its own, are among those that `builder` changed."""
    own = builder.part.files
    foreign = [path for path in changed if not any(overlap(pattern, path) for pattern in own)]
    found = []
    for other in builders if foreign else ():
        theirs = [path for path in foreign if any(overlap(pattern, path) for pattern in other.part.files)]
        if theirs and other.id != builder.id:
            more = f" and {len(theirs) - SHOWN} more" if len(theirs) > SHOWN else ""
            found.append(f"{builder.id} changed files of {other.id}: {', '.join(theirs[:SHOWN])}{more}")
    return found
