"""Relay's worktrees: made, made ready, shown another commit, removed; each may be called again after any kill."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lib.errors import GitError, RelayError
from lib.files.safe_read import NotPlainError, read_own
from lib.git import rescue
from lib.git.blobs import foreign
from lib.git.checkout import Checkout, begin, copy_index, drop, end_of_making, head_of, intact, mend, record_of
from lib.git.damage import Damage, revive, sound_branch
from lib.git.fill import fill_submodules
from lib.git.ignored import note_known
from lib.git.inner import end_inner
from lib.git.inspect import ignored
from lib.git.leftovers import note, noted
from lib.git.listing import listed
from lib.git.locks import wait_for_others
from lib.git.objects import commit_tree, delete_ref, drop_hollow_objects, gc_safe, move_ref, value
from lib.git.pins import holders
from lib.git.run import CHECKOUT_TIMEOUT_S, Repo, git, identity_env
from lib.git.snapshot import Content, Snapshot, snapshot, take
from lib.git.trees import tree_of
from lib.git.whole import believe, believed, forget, sound_index, whole_until
from lib.names import quote

__all__ = ["Prepared", "Snapshot", "held", "prepare", "remove", "restore", "show", "snapshot"]

INCLUDE_FILE: Final = ".worktreeinclude"
_INCLUDE_MAX_BYTES: Final = 1_000_000
#: Settings of one work tree, which git gives to a new one: which files it leaves out, say.
_OWN_SETTINGS: Final = ("config.worktree", "info/sparse-checkout")


@dataclass(frozen=True, slots=True)
class Prepared:
    """Findings from making a worktree ready.

    `damage` is what a power cut had emptied, which is put right; `missing` are the submodules of a new worktree that
    can't be checked out, as nobody here has them.
    """

    damage: Damage = field(default_factory=Damage)
    missing: list[str] = field(default_factory=list)


def prepare(
    repo: Repo, path: Path, branch: str, start: str, *, include_from: Path | None = None, keep_index: Path | None = None
) -> Prepared:
    """Makes `branch` at the commit `start` and a worktree of it at `path`; a branch that is there stays where it is.

    What a kill left half-made is made again, after rescuing whatever in it is somebody's work. The ignored files that
    `.worktreeinclude` in the folder `include_from` names are copied from there.
    """
    checkout, ref = Checkout.at(repo, path, keep_index), f"refs/heads/{branch}"
    cut = checkout.complete and not believed(checkout)
    if cut:
        drop_hollow_objects(repo, whole_until(checkout))
    if cut or value(repo, ref) is None:
        sound_branch(repo, ref, start)
    if value(repo, ref) is None:
        move_ref(repo, ref, start, None, "start of a builder")
    tip = value(repo, ref) or start
    if not checkout.complete:
        return Prepared(missing=_make(repo, checkout, tip, ref, include_from))
    found = revive(repo, checkout, tip) if cut else Damage()
    if found or not intact(repo, checkout) or not sound_index(checkout.index):
        take(repo, checkout.path, checkout.index, tip)
        mend(repo, checkout, ref)
    return Prepared(found)


def show(
    repo: Repo, path: Path, commit: str, *, include_from: Path | None = None, keep_index: Path | None = None
) -> None:
    """Makes the worktree at `path` hold exactly `commit`, on no branch; ignored files stay.

    Uncommitted work in it and commits that only it has are rescued first.
    """
    checkout = Checkout.at(repo, path, keep_index)
    if not checkout.complete:
        _make(repo, checkout, commit, commit, include_from)
        return
    head = head_of(repo, checkout)
    content = rescued_content(repo, checkout, head or commit, [commit], "found where another commit was to be shown")
    bring(repo, checkout, commit, content.tree)
    fill_submodules(repo, checkout)
    note(checkout, {})


def held(repo: Repo, path: Path, commit: str) -> str:
    """The tree of all that the worktree at `path` holds, of which `commit` is checked out there."""
    checkout = Checkout.at(repo, path)
    return take(repo, checkout.path, checkout.index, commit).tree


def restore(repo: Repo, path: Path, branch: str, tip: str, tree: str) -> bool:
    """Makes `branch`, and the worktree at `path` that was left with `tree`, what they were; whether they were not.

    The branch was at `tip`. What is taken back is rescued; ignored files stay.
    """
    checkout, ref = Checkout.at(repo, path), f"refs/heads/{branch}"
    moved = value(repo, ref)
    if moved is not None and moved != tip:
        rescue.keep(repo, checkout.run, checkout.name, moved, f"{checkout.name}: its branch was moved by another")
    if moved != tip and not move_ref(repo, ref, tip, moved, "back to what was built"):
        raise GitError(f"{ref} was moved by somebody else just now")
    if not checkout.complete:
        return True
    head = head_of(repo, checkout) or tip
    if head == tip and held(repo, path, tip) == tree and intact(repo, checkout):
        return moved != tip
    content = rescued_content(repo, checkout, head, [tip], "changed after it was built")
    bring(repo, checkout, tip, content.tree, ref)
    note(checkout, {})
    return True


def bring(repo: Repo, checkout: Checkout, commit: str, tree: str = "", head: str = "") -> None:
    """Makes a worktree hold `commit`. What it holds now, of which `tree` may be known, must be in its private index.

    `head` is what is checked out then, if that is a branch's full ref.
    """
    if tree != tree_of(repo, commit):
        command = ("read-tree", "--reset", "-u", commit)
        git(repo, *command, index=checkout.index, work_tree=checkout.path, timeout_s=CHECKOUT_TIMEOUT_S)
    mend(repo, checkout, head or commit)
    believe(checkout)


def remove(repo: Repo, path: Path, branch: str | None = None, *, keep_index: Path | None = None) -> None:
    """Removes the worktree at `path`, and `branch` if given; what no other ref holds is rescued first."""
    checkout = Checkout.at(repo, path, keep_index)
    ref = f"refs/heads/{branch}"
    tip = value(repo, ref) if branch else None
    head = head_of(repo, checkout) or tip or value(repo, "HEAD")
    if checkout.present and head:
        rescued_content(repo, checkout, head, [], "in its worktree when that was removed")
    end_inner(repo, checkout)
    drop(repo, checkout)
    if tip:
        _rescue_commit(repo, checkout, tip, "on its branch when that was removed", besides=ref)
        delete_ref(repo, ref, tip)


def _make(repo: Repo, checkout: Checkout, commit: str, head: str, include_from: Path | None) -> list[str]:
    """Makes the worktree again, with `head`, a branch's full ref or the commit itself; submodules that nobody has."""
    words = {f"--work-tree={checkout.path}", str(checkout.path)}
    wait_for_others(repo.common_dir, words, roots=[repo.root])
    checkout.index.unlink(missing_ok=True)
    forget(checkout)
    if checkout.present:
        rescued_content(repo, checkout, commit, [], "found where a worktree was to be made")
    end_inner(repo, checkout)
    drop(repo, checkout)
    record = _checked_out(repo, checkout, commit, head)
    included = include_from is not None and _include(repo, include_from, checkout.path)
    missing = fill_submodules(repo, checkout)
    believe(checkout)
    end_of_making(record)
    copy_index(record / "index", checkout.index)
    if included:
        note_known(checkout, listed(repo, checkout).ignored)
    return missing


def _checked_out(repo: Repo, checkout: Checkout, commit: str, head: str) -> Path:
    """Git's record of the new worktree, which holds the files of the commit."""
    # The index is copied elsewhere, so it must be all in one file.
    plain = ("-c", "core.splitIndex=false", "-c", "core.untrackedCache=false")
    if not any((repo.git_dir / name).exists() for name in _OWN_SETTINGS):
        record = begin(repo, checkout, head, commit)
        fill = ("read-tree", "--reset", "-u", commit)
        git(repo, *plain, *fill, index=record / "index", work_tree=checkout.path, timeout_s=CHECKOUT_TIMEOUT_S)
        return record
    what = ("--detach", commit) if head == commit else (head.removeprefix("refs/heads/"),)
    checkout.path.parent.mkdir(parents=True, exist_ok=True)
    git(repo, *plain, "worktree", "add", "--quiet", "--force", checkout.path, *what, timeout_s=CHECKOUT_TIMEOUT_S)
    made = record_of(repo, checkout)
    assert made is not None  # noqa: S101 - git has just made it
    return made


def rescued_content(repo: Repo, checkout: Checkout, head: str, known: list[str], reason: str) -> Content:
    """Keeps what the worktree holds beyond `head`.

    Not if it is all leftovers of commands, and files that an interrupted checkout of `known` left there.
    """
    ref = f"refs/relay/taken/{checkout.run}/{checkout.name}"

    def once(attempt: int) -> Content:
        if attempt:
            checkout.index.unlink(missing_ok=True)
        content = take(repo, checkout.path, checkout.index, head)
        left = {path: entry for path, (_, entry) in noted(checkout).items()}
        if content.tree != tree_of(repo, head) and foreign(repo, checkout.path, content.tree, [head, *known], left):
            commit = commit_tree(repo, content.tree, [head], f"{checkout.name}: {reason}", identity_env(repo))
            move_ref(repo, ref, commit, value(repo, ref), reason)
        return content

    content = gc_safe(repo, ref, head, once)
    if commit := value(repo, ref):
        rescue.keep(repo, checkout.run, checkout.name, commit, f"{checkout.name}: {reason}")
        delete_ref(repo, ref, commit)
    _rescue_commit(repo, checkout, head, f"checked out: {reason}")
    return content


def _rescue_commit(repo: Repo, checkout: Checkout, commit: str, reason: str, besides: str = "") -> None:
    if not holders(repo, commit) - {besides}:
        rescue.keep(repo, checkout.run, checkout.name, commit, f"{checkout.name}: {reason}")


def _include(repo: Repo, source: Path, target: Path) -> bool:
    """Copies the files that `.worktreeinclude` (in the syntax of gitignore(5)) names, if git ignores them there too.

    Gives whether there are any.
    """
    file = source / INCLUDE_FILE
    try:
        if read_own(file, limit=_INCLUDE_MAX_BYTES) is None:
            return False
    except NotPlainError as error:
        message = f"{file} is {error.what}, not a plain file"
        raise RelayError(message, remedy=f"ls -ld {quote(file)}", code="include_refused") from error
    listing = ("ls-files", "--others", "--ignored", "-z", f"--exclude-from={source / INCLUDE_FILE}")
    wanted = [name for name in git(repo, *listing, work_tree=source).fields() if not name.startswith(f"{repo.own}/")]
    found = ignored(repo, target, wanted)
    for name in found:
        _copy(source / name, target / name, target)
    return bool(found)


def _copy(source: Path, target: Path, within: Path) -> None:
    """Copies a plain file to a place where there is none; nothing leads out of `within` by a link."""
    plain = stat.S_ISREG(source.lstat().st_mode)
    if plain and not os.path.lexists(target) and target.parent.resolve().is_relative_to(within):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
