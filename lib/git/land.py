"""Landing: the user's branch moves by fast-forward only, and nothing of the user's is overwritten."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.files.replace import replace_file
from lib.files.safe_read import read_plain
from lib.files.syncing import mounted, sync_filesystems
from lib.git.alone import alone
from lib.git.blobs import Is, judge
from lib.git.inspect import Worktree, in_progress, is_ancestor, unseen_branch, worktrees
from lib.git.landing_blockers import Blocked, busy, in_the_way
from lib.git.locks import remove_if_stale, wait_for_others
from lib.git.moved_refs import left_behind
from lib.git.objects import move_ref, value
from lib.git.run import CHECKOUT_TIMEOUT_S, Repo, explained, git
from lib.git.trees import TreeEntry, entries
from lib.names import quote

_MARKER_MAX_BYTES = 65_536

__all__ = ["Blocked", "Landed", "MovedOn", "land"]

Journal = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Landed:
    commit: str


@dataclass(frozen=True, slots=True)
class MovedOn:
    """The branch has commits that are not in what was to land: to be merged first."""

    tip: str


def land(
    repo: Repo, branch: str, old: str, new: str, journal: Journal, *, waiting: Callable[[], object] = lambda: None
) -> Landed | MovedOn | Blocked:
    """Moves `branch` on to the commit `new`, with the files of whoever has it checked out.

    `old` is where the branch was last seen; that it moved on since is an answer, not an error. `journal` is called
    with what is about to be done, before it is. Called again after a kill, it finishes what was begun: files that hold
    an old or a new version, or the beginning of the new one, are git's; anything else is the user's and stays.
    """
    with alone(repo, waiting=waiting):
        return _land(repo, branch, old, new, journal)


def _land(repo: Repo, branch: str, old: str, new: str, journal: Journal) -> Landed | MovedOn | Blocked:
    ref = f"refs/heads/{branch}"
    tip = value(repo, ref)
    if tip is None:
        remedy = f"git branch {quote(branch)} {old or new}"
        return Blocked("branch_gone", f"the branch {branch} is gone", remedy, "makes the branch again", [])
    places = [place for place in worktrees(repo) if ref in {place.branch, busy(place.git_dir)}]
    for place in places:
        _finish(_of(repo, place))
    tip = value(repo, ref) or tip
    there = _of(repo, places[0]) if len(places) == 1 and places[0].branch == ref else None
    behind = left_behind(there, tip) if there else None
    if is_ancestor(repo, new, tip):
        if behind is None:
            return Landed(tip)
        new = tip
    if not is_ancestor(repo, tip, new):
        return MovedOn(tip)
    if not places:
        if unseen_branch(repo) == ref:
            return _out_of_sight(repo, branch)
        journal({"branch": branch, "old": tip, "new": new, "worktree": None})
        return Landed(new) if move_ref(repo, ref, new, tip, "land") else MovedOn(value(repo, ref) or tip)
    if len(places) > 1:
        folders = " and ".join(str(place.path) for place in places)
        return Blocked("checked_out_twice", f"{branch} is checked out in {folders}",
                       f"git -C {quote(places[1].path)} switch --detach", "frees the branch there", [])  # fmt: skip
    journal({"branch": branch, "old": behind or tip, "new": new, "worktree": str(places[0].path)})
    if there and behind:
        return _land_behind(there, branch, behind, tip, new)
    return _land_there(_of(repo, places[0]), branch, tip, new)


def _out_of_sight(repo: Repo, branch: str) -> Blocked:
    message = f"{branch} is checked out in the main work tree of {repo.common_dir}, and git does not record its folder"
    remedy = f"git --git-dir={quote(repo.common_dir)} update-ref --no-deref HEAD {quote(f'refs/heads/{branch}')}"
    return Blocked("checked_out_elsewhere", message, remedy, "frees the branch there", [])


def _land_behind(there: Repo, branch: str, behind: str, tip: str, new: str) -> Landed | MovedOn | Blocked:
    """Lands where somebody moved the branch on to `tip` and left the files `behind`: they come along from there."""
    ref = f"refs/heads/{branch}"
    if not move_ref(there, ref, behind, tip, "back to what is checked out"):
        return MovedOn(value(there, ref) or tip)
    done = _land_there(there, branch, behind, new)
    if isinstance(done, Blocked):
        move_ref(there, ref, tip, behind, "forward again")
    return done


def _of(repo: Repo, place: Worktree) -> Repo:
    return Repo(place.path, place.git_dir, repo.common_dir)


def _land_there(there: Repo, branch: str, tip: str, new: str) -> Landed | MovedOn | Blocked:
    if what := in_progress(there.git_dir):
        message = f"a {what} is in progress in {there.root}"
        end = "git bisect reset" if what == "bisect" else f"git {what} --continue"
        return Blocked("in_progress", message, f"cd {quote(there.root)} && {end}", "brings that to its end", [])
    if obstacle := in_the_way(there, tip, new):
        return obstacle
    marker = _marker(there)
    begun = {"branch": branch, "old": tip, "new": new, "mount": mounted(there.root)}
    replace_file(marker, json.dumps(begun).encode())
    options = (
        "--ff-only",
        "--no-overwrite-ignore",
        "--no-autostash",
        "--no-squash",
        "--no-edit",
        "--no-stat",
        "--quiet",
    )
    done = git(there, "merge", *options, new, ok=(0, 1, 2, 128), timeout_s=CHECKOUT_TIMEOUT_S)
    now = value(there, f"refs/heads/{branch}") or tip
    if now == new:
        sync_filesystems(there.root, there.git_dir)
        marker.unlink()
        return Landed(new)
    failure = explained(there, ("merge", *options, new), done)  # before what git has written is taken back
    _finish(there)
    if now != tip and not is_ancestor(there, now, new):
        return MovedOn(now)
    if obstacle := in_the_way(there, now, new):
        return obstacle
    raise failure


def _marker(there: Repo) -> Path:
    """The file that says what is landing in a work tree, for as long as it is; written once nothing blocks that."""
    return there.git_dir / "relay-landing"


def _finish(there: Repo) -> None:
    """Ends a landing that was killed: forward where git has written its index, else back to where it began.

    What a power cut has taken of the files that were written is written again.
    """
    marker = _marker(there)
    text = read_plain(marker, limit=_MARKER_MAX_BYTES)
    if text is None:
        return
    begun = json.loads(text)
    wait_for_others(there.git_dir, {begun["new"]}, roots=[there.root])
    ref, old, new = f"refs/heads/{begun['branch']}", begun["old"], begun["new"]
    for name in ("index", "HEAD", "ORIG_HEAD"):
        remove_if_stale(there.git_dir / f"{name}.lock", there.root)
    remove_if_stale(there.common_dir / f"{ref}.lock", there.root)
    if value(there, ref) == old and git(there, "symbolic-ref", "-q", "HEAD", ok=(0, 1)).text == ref:
        before, after = entries(there, old), entries(there, new)
        paths = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
        staged = _staged(there)
        if all(staged.get(path) == after.get(path) for path in paths):
            move_ref(there, ref, new, old, "land")
        else:
            _take_back(there, paths, before, after, staged)
    tip = value(there, ref)
    if begun.get("mount") != mounted(there.root) and tip and is_ancestor(there, new, tip):
        _write_again(there, entries(there, old), entries(there, new))
    sync_filesystems(there.root, there.git_dir)
    marker.unlink()


def _write_again(there: Repo, before: Mapping[str, TreeEntry], after: Mapping[str, TreeEntry]) -> None:
    """Writes files that landed before a power cut; those that the user has changed or staged since are left alone."""
    staged, gone = _staged(there), _missing(there)

    def lost(path: str) -> bool:
        state = judge(there, there.root, path, before.get(path), after[path])
        return path in gone or state in {Is.OLD, Is.TORN}

    landed = [path for path, entry in after.items() if before.get(path) != entry and staged.get(path) == entry]
    if again := [path for path in landed if lost(path)]:
        _check_out(there, again)


def _staged(there: Repo) -> dict[str, TreeEntry]:
    lines = (line.partition("\t") for line in git(there, "ls-files", "--stage", "-z").fields())
    return {path: TreeEntry(*meta.split(" ")[:2]) for meta, _, path in lines}


def _take_back(
    there: Repo,
    paths: list[str],
    before: Mapping[str, TreeEntry],
    after: Mapping[str, TreeEntry],
    staged: Mapping[str, TreeEntry],
) -> None:
    """Gives the files that git had begun to write or had removed their old content again."""
    paths = [path for path in paths if staged.get(path) == before.get(path)]
    states = {path: judge(there, there.root, path, before.get(path), after.get(path)) for path in paths}
    begun = [path for path, state in states.items() if state in {Is.NEW, Is.TORN}]
    for path in begun:
        file = there.root / path
        file.unlink()
        if path not in before:
            _remove_empty(file.parent, there.root)
    if restored := before.keys() & _missing(there) & states.keys():
        _check_out(there, restored)


def _missing(there: Repo) -> set[str]:
    """Files of the index that are not there; what a sparse checkout leaves out is not among them."""
    return set(git(there, "diff-files", "--name-only", "--diff-filter=D", "-z").fields())


def _check_out(there: Repo, paths: Iterable[str]) -> None:
    names = os.fsencode("\0".join(paths))
    git(there, "checkout-index", "--force", "-z", "--stdin", input=names, timeout_s=CHECKOUT_TIMEOUT_S)


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
