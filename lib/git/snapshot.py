"""Taking what lies in a work tree, by a private index: nothing in it is believed, and none of its code is run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lib.errors import GitError, RelayError
from lib.files.syncing import sync_filesystems
from lib.git import rescue
from lib.git.checkout import Checkout, head_of, mend
from lib.git.indexfile import read_index
from lib.git.inspect import is_ancestor
from lib.git.leftovers import Left, keep_noted, without
from lib.git.listing import Listing, holds, listed
from lib.git.objects import at, commit_as_user, commit_tree, drop_hollow_objects, gc_safe, move_ref, value
from lib.git.run import CHECKOUT_TIMEOUT_S, Repo, git, identity_env
from lib.git.submodules import declared, out_of_reach, put_aside
from lib.git.trees import TreeEntry, differing, entries, tree_of, with_entries
from lib.git.whole import believed, sound_index, whole_until
from lib.git.worktree_records import records

NOREPLY: Final = "noreply@relay.invalid"
_GITLINK: Final = b"160000 "


@dataclass(frozen=True, slots=True)
class Content:
    """All that a work tree holds: its tree, and the folders in it that had been made repositories of their own.

    `hollow` are folders of submodules that hold plain files. `ignored` are the files that it does not have, as
    `lib.git.listing` has them.
    """

    tree: str
    nested: list[str]
    hollow: list[str]
    ignored: frozenset[str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The work that a builder left, as a commit on its branch.

    `changed` are the paths that differ from the base. `nested` are folders that had been made repositories of their
    own: their files are in the commit, their history is not. `left_out` are changes of Relay's own folder, which are
    nobody's to make. `taken_out` are files that the builder had committed as a command left them, `links` submodules
    that stay at their commit as what was made of them can't land. `ignored` are files that git ignores. `intact` is
    False if the worktree's `.git` file had been replaced; what took its place was set aside.
    """

    commit: str
    tree: str
    changed: list[str]
    nested: list[str]
    left_out: list[str]
    taken_out: list[str]
    links: list[str]
    ignored: frozenset[str]
    intact: bool = True


def snapshot(
    repo: Repo, path: Path, branch: str, base: str, *, author_name: str, message: str, keep_index: Path | None = None
) -> Snapshot:
    """Takes all that was left in the worktree at `path`, committed or not, into a commit on `branch`.

    Not what a command left there, as the last look has noted it, if it is as it was then (`lib.git.leftovers`).
    Its parent is what the worktree has checked out if that goes on from `base` and from the branch, else the branch,
    else `base`; of what is left aside by that the commits are rescued. No commit is made if nothing differs. The
    worktree then is on `branch`, and clean. Calling it again is harmless.
    """
    checkout = Checkout.at(repo, path, keep_index)
    author = {"GIT_AUTHOR_NAME": author_name, "GIT_AUTHOR_EMAIL": NOREPLY}
    ref = f"refs/heads/{branch}"

    def once(attempt: int) -> _Taken:
        if attempt:  # it says of objects that are gone that they need not be stored
            checkout.index.unlink(missing_ok=True)
        return _commit(repo, checkout, ref, base, message, author)

    taken = gc_safe(repo, ref, base, once)
    intact = mend(repo, checkout, ref)
    keep_noted(checkout, taken.left)
    return Snapshot(
        taken.commit, taken.tree, taken.changed, taken.nested, taken.left_out, taken.taken_out, taken.links,
        taken.ignored, intact,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Taken:
    """A commit of what a worktree holds; `left` are the leftovers of commands that it does not have."""

    commit: str
    tree: str
    changed: list[str]
    nested: list[str]
    left_out: list[str]
    taken_out: list[str]
    links: list[str]
    ignored: frozenset[str]
    left: Left


def _commit(repo: Repo, checkout: Checkout, ref: str, base: str, message: str, author: Mapping[str, str]) -> _Taken:
    tip, head = value(repo, ref), head_of(repo, checkout)
    parent = next(commit for commit in (head, tip, base) if commit and _goes_on(repo, commit, base, tip, head))
    content = take(repo, checkout.path, checkout.index, parent)
    tree, left = without(repo, checkout, content.tree)
    changed = differing(repo, base, tree)
    own = {path: was for path, (was, _) in changed.items() if path.partition("/")[0] == repo.own}
    links = filled(repo, checkout, tree, content.hollow, parent) | out_of_reach(repo, checkout, changed)
    if own or links:
        tree = with_entries(repo, checkout.path, checkout.index, tree, {**own, **links})
        changed = differing(repo, base, tree)
    taken_out = _committed(repo, parent, left) if parent != base and left else []
    commit = parent
    if tree != tree_of(repo, parent):
        commit = commit_as_user(repo, tree, [parent], message, author)
    for aside in {head, tip} - {None, parent}:
        if aside and not is_ancestor(repo, aside, commit):
            rescue.keep(repo, checkout.run, checkout.name, aside, f"commits aside of {ref.removeprefix('refs/heads/')}")
    if commit != tip and not move_ref(repo, ref, commit, tip, "what the builder left"):
        raise GitError(f"{ref} was moved by somebody else just now")
    kept = [path for path, entry in links.items() if entry]
    return _Taken(commit, tree, list(changed), content.nested, list(own), taken_out, kept, content.ignored, left)


def filled(repo: Repo, checkout: Checkout, tree: str, hollow: list[str], parent: str) -> dict[str, TreeEntry | None]:
    """The entries that restore, as in `parent`, the submodules whose folder was filled with plain files.

    The files are rescued, as a commit of nothing but them, which is the same one each time.
    """
    names = declared(repo, checkout.path).keys() & hollow if hollow else set()
    found = entries(repo, tree) if names else {}
    wanted = put_aside(found, entries(repo, parent), names) if names else {}
    if wanted:
        index = checkout.index.with_name(f"{checkout.name}.aside")
        index.unlink(missing_ok=True)
        files = {path: found[path] for path, entry in wanted.items() if entry is None}
        reason = f"{checkout.name}: files in the folder of a submodule"
        kept = with_entries(repo, checkout.path, index, tree, files)
        index.unlink(missing_ok=True)
        commit = commit_tree(repo, kept, [], reason, identity_env(repo) | at(0))
        rescue.keep(repo, checkout.run, checkout.name, commit, reason)
    return wanted


def _committed(repo: Repo, parent: str, left: Left) -> list[str]:
    """The leftovers that the commit has as they are in the work tree: somebody committed all that there was."""
    has = entries(repo, parent)
    return sorted(path for path, entry in left.items() if entry and has.get(path) == entry)


def _goes_on(repo: Repo, commit: str, base: str, tip: str | None, head: str | None) -> bool:
    """True if a commit can be the parent: it continues the base, and what is checked out also the branch."""
    on_branch = commit != head or tip is None or is_ancestor(repo, tip, commit)
    return on_branch and is_ancestor(repo, base, commit)


def take(repo: Repo, path: Path, index: Path, start: str, seen: Listing | None = None) -> Content:
    """Stores the files of the work tree at `path`: all but the ignored ones that are not in the commit `start` either.

    They are made durable first, so that what is stored of them is never more than what there is. `index` is private to
    Relay; it makes this quick and is made from `start` where it is missing, damaged, or older than a power cut. A
    repository within that is no declared submodule is taken as the files it consists of; nothing is run in it. Another
    worktree of this repository is left out. `seen` is a look by that index, if nothing can have changed since.
    """
    if path.is_symlink() or not path.is_dir():
        raise RelayError(f"the worktree {path} is gone", remedy="relay retry", code="worktree_gone")
    sync_filesystems(path)
    checkout = Checkout(path, index)
    if not believed(checkout):
        drop_hollow_objects(repo, whole_until(checkout))
    if not sound_index(index) or not believed(checkout):
        index.parent.mkdir(parents=True, exist_ok=True)
        git(repo, "read-tree", start, index=index)
        seen = None
    submodules, hollow = _submodules(repo, path, index, len(start))
    seen = listed(repo, checkout) if seen is None or hollow else seen
    tree = tree_of(repo, start)
    if holds(checkout, tree, seen):
        return Content(tree, [], [], seen.ignored)
    nested, linked = _opened(repo, path, index, submodules, seen)
    # With the submodules left out, git does not start itself inside them, where their own configuration would rule.
    exclude = [f":(top,exclude,literal){name}" for name in (*submodules, *linked)]
    magic = {"GIT_LITERAL_PATHSPECS": "0"}
    add = ("add", "--all", "--sparse", "--", ":/", *exclude)
    git(repo, *add, index=index, work_tree=path, env=magic, timeout_s=CHECKOUT_TIMEOUT_S)
    if submodules:
        names = "\0".join(submodules)
        _update(repo, path, index, "--add", "--remove", "-z", "--stdin", data=os.fsencode(names))
    held = git(repo, "write-tree", index=index).text
    ignored = seen.ignored
    if committed := _ignored_but_committed(repo, path, tree, held):
        _update(repo, path, index, "--add", "-z", "--stdin", data=os.fsencode("\0".join(committed)))
        held = git(repo, "write-tree", index=index).text
    if committed or submodules or hollow or nested:
        ignored = listed(repo, checkout).ignored
    return Content(held, hollow + nested, hollow, ignored)


def _ignored_but_committed(repo: Repo, path: Path, start: str, held: str) -> list[str]:
    """Files of the tree `start` that are still there, and that `git add` passed over."""
    gone = [name for name, (_, now) in differing(repo, start, held).items() if now is None]
    return [name for name in gone if _is_file_of(path, name)]


def _is_file_of(path: Path, name: str) -> bool:
    """True if a file or a link is at `name`, and no link led there."""
    file = path / name
    plain = file.is_symlink() or file.is_file()
    return plain and file.parent.resolve() == Path(os.path.normpath(path.resolve() / name)).parent


def _submodules(repo: Repo, path: Path, index: Path, oid_chars: int) -> tuple[list[str], list[str]]:
    """The submodules in the index, and those of them whose folder holds plain files; the latter leave the index."""
    known = read_index(index, oid_chars)
    if known and not known.submodules:
        return [], []
    staged = git(repo, "ls-files", "--stage", "-z", index=index, work_tree=path).out
    lines = [line for line in staged.split(b"\0") if line.startswith(_GITLINK)]
    names = [os.fsdecode(line.partition(b"\t")[2]) for line in lines]
    hollow = [name for name in names if _holds_plain_files(path / name)]
    if hollow:
        _update(repo, path, index, "--force-remove", "-z", "--stdin", data=os.fsencode("\0".join(hollow)))
    return [name for name in names if name not in hollow], hollow


def _holds_plain_files(folder: Path) -> bool:
    return folder.is_dir() and not os.path.lexists(folder / ".git") and any(folder.iterdir())


def _opened(repo: Repo, path: Path, index: Path, submodules: list[str], seen: Listing) -> tuple[list[str], list[str]]:
    """Repositories within, made to look like plain folders to `git add`: it enters a folder that has a tracked file.

    A declared submodule is appended to `submodules` instead. Worktrees of this repository are the second list.
    """
    opened: list[str] = []
    linked: list[str] = []
    others = seen.untracked
    while found := {name[:-1] for name in others if name.endswith("/")} - {*opened, *linked, *submodules}:
        places = {tree for _, tree in records(repo.common_dir)}
        own = {name for name in found if path.resolve() / name in places}
        known = (found & declared(repo, path).keys()) - own
        linked += sorted(own)
        submodules += sorted(known)
        if new := sorted(found - own - known):
            opened += new
            seed = git(repo, "hash-object", "-w", "--stdin", input=b"").text
            seeds = [f"100644 {seed}\t{name}/.relay-seed" for name in new]
            _update(repo, path, index, "--add", "-z", "--index-info", data=os.fsencode("\0".join(seeds)))
        others = listed(repo, Checkout(path, index)).untracked
    return opened, linked


def _update(repo: Repo, path: Path, index: Path, *options: str, data: bytes) -> None:
    git(repo, "update-index", *options, input=data, index=index, work_tree=path)
