"""Refs that somebody moved who had no business to: noticed by git's own log of them, put back, and told.

A builder outside a sandbox can move any branch of the repository. What it moved is never believed: a branch of Relay's
goes back to where Relay or its own builder left it, the user's branch is for the user to judge.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lib.git import rescue
from lib.git.checkout import Checkout, record_of
from lib.git.inspect import is_ancestor, resolve, worktrees
from lib.git.objects import move_ref, refs_below, value
from lib.git.reflog import checked_out, read_log
from lib.git.run import Repo, git
from lib.names import quote
from lib.project.paths import RESERVED

#: Begins the reason of every move that Relay makes, in git's log of the ref.
_OURS: Final = "relay: "


@dataclass(frozen=True, slots=True)
class Taken:
    """The user's branch at `tip` has commits that builders made, `count` of them; before, it was at `before`.

    `remedy` puts it back.
    """

    tip: str
    before: str
    count: int
    remedy: str


def put_back(repo: Repo, run: str, ref: str, wanted: str) -> str | None:
    """Moves `ref` to the commit `wanted`, and rescues what it held; a sentence about it if it was elsewhere."""
    found = value(repo, ref)
    if found is None or found == wanted:
        return None
    branch = ref.removeprefix("refs/heads/")
    kept = rescue.keep(repo, run, ref.rpartition("/")[2], found, f"{branch} was moved there by somebody else")
    if not move_ref(repo, ref, wanted, found, "put back"):
        return put_back(repo, run, ref, wanted)
    return f"{branch} was moved by somebody else: it is back at {wanted[:10]}, and what it held is kept as {kept}"


def put_back_builders(repo: Repo, run: str, tips: dict[str, str]) -> list[str]:
    """The branches of builders, by id, that are no longer at what was collected of them."""
    prefix = f"refs/heads/relay/{run}/"
    found = dict(refs_below(repo, prefix))
    moved = [name for name, tip in tips.items() if found.get(prefix + name, tip) != tip]
    return [told for name in moved if (told := put_back(repo, run, prefix + name, tips[name]))]


def put_back_own(repo: Repo, run: str, ref: str, path: Path | None = None) -> list[str]:
    """`ref` as it was last moved by Relay, or in the worktree at `path`, which has it checked out.

    A branch that a builder at work has is only looked at in git's log of it.
    """
    log = _log(repo, ref)
    allowed = _moved_in(repo, path) if path is not None else set()
    wanted = next((commit for commit, why in log if why.startswith(_OURS) or commit in allowed), None)
    if wanted is None or (path is not None and (log[0][0] == wanted or not allowed)):
        return []
    told = put_back(repo, run, ref, wanted)
    return [told] if told else []


def taken(
    repo: Repo, run: str, branch: str, base: str, tips: Collection[str], landed: Collection[str] = ()
) -> Taken | None:
    """Finds the commits on `branch`, which was at `base` when the run began, that builders of the run made.

    Those of a commit `landed` that Relay was about to move it to, and that it has, are no builder's doing.
    """
    tip = value(repo, f"refs/heads/{branch}")
    if tip is None or tip == base:
        return None
    theirs = _made_by_builders(repo, run, base, tips)
    for commit in landed:
        if resolve(repo, commit) and is_ancestor(repo, commit, tip):
            theirs -= set(git(repo, "rev-list", commit, f"^{base}", "--").text.split())
    count = _count(repo, tip, base, theirs)
    if not count:
        return None
    log = (commit for commit, _ in _log(repo, f"refs/heads/{branch}"))
    before = next((commit for commit in log if commit != tip and not _count(repo, commit, base, theirs)), base)
    rescue.keep(repo, run, "base", tip, f"{branch} when commits of builders were found on it")
    return Taken(tip, before, count, _remedy(repo, f"refs/heads/{branch}", before, tip))


def left_behind(there: Repo, tip: str) -> str | None:
    """The commit that the work tree `there` shows, if its branch was moved on to `tip` from elsewhere meanwhile."""
    last = next(reversed(checked_out(there.git_dir)), tip)
    if last == tip or not is_ancestor(there, last, tip):
        return None
    return last if git(there, "diff-index", "--cached", "--quiet", last, ok=(0, 1)).status == 0 else None


def _made_by_builders(repo: Repo, run: str, base: str, tips: Collection[str]) -> set[str]:
    """Commits since `base` on builders' branches, kept of them, and that were checked out in their worktrees."""
    roots = set(tips)
    for prefix in (f"refs/heads/relay/{run}/", f"{rescue.PREFIX}{run}/"):
        found = refs_below(repo, prefix)
        roots |= {commit for ref, commit in found if ref.removeprefix(prefix).partition("/")[0] not in RESERVED}
    for place in worktrees(repo):
        if place.path.parent.name == run and place.path.name not in RESERVED:
            roots.update(checked_out(place.git_dir))
    known = git(repo, "rev-list", "--ignore-missing", *sorted(roots), f"^{base}", "--").text.split() if roots else []
    return set(known)


def _count(repo: Repo, tip: str, base: str, theirs: set[str]) -> int:
    return len(theirs.intersection(git(repo, "rev-list", tip, f"^{base}", "--").text.split()))


def _remedy(repo: Repo, ref: str, before: str, tip: str) -> str:
    """The command that moves the branch back, also in a work tree whose files went along."""
    for place in worktrees(repo):
        there = Repo(place.path, place.git_dir, repo.common_dir)
        if place.branch == ref and git(there, "diff-index", "--cached", "--quiet", tip, ok=(0, 1)).status == 0:
            return f"git -C {quote(str(place.path))} reset --keep {before}"
    return f"git update-ref {quote(ref)} {before} {tip}"


def _moved_in(repo: Repo, path: Path) -> set[str]:
    record = record_of(repo, Checkout.at(repo, path))
    return set(checked_out(record)) if record else set()


def _log(repo: Repo, ref: str) -> list[tuple[str, str]]:
    """Commits that the ref was moved to, each with the reason, the newest first; nothing if git keeps no log of it."""
    return read_log(repo.common_dir / "logs" / ref)
