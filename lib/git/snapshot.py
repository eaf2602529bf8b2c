"""Taking what lies in a work tree, by a private index: nothing in it is believed, and none of its code is run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lib.errors import GitError, RelayError
from lib.git import rescue
from lib.git.checkout import Checkout, head_of, mend
from lib.git.inspect import changed_paths, is_ancestor
from lib.git.objects import commit_tree, lasting, move_ref, value
from lib.git.run import CHECKOUT_TIMEOUT_S, Repo, git, identity_env
from lib.git.whole import believed, sound_index
from lib.syncing import sync_filesystems

NOREPLY: Final = "noreply@relay.invalid"
OWN_FOLDER: Final = ".project"
_GITLINK: Final = b"160000 "


@dataclass(frozen=True, slots=True)
class Content:
    """All that a work tree holds: its tree, and the folders in it that had been made repositories of their own."""

    tree: str
    nested: list[str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a builder left, as a commit on its branch.

    `changed` are the paths that differ from the base. `nested` are folders that had been made repositories of their
    own: their files are in the commit, their history is not. `left_out` are changes of Relay's own folder, which are
    nobody's to make. `intact` is False if the worktree's `.git` file had been replaced; what took its place was set
    aside.
    """

    commit: str
    tree: str
    changed: list[str]
    nested: list[str]
    left_out: list[str]
    intact: bool = True


def snapshot(
    repo: Repo, path: Path, branch: str, base: str, *, author_name: str, message: str, keep_index: Path | None = None
) -> Snapshot:
    """Takes all that was left in the worktree at `path`, committed or not, into a commit on `branch`.

    Its parent is what the worktree has checked out if that goes on from `base` and from the branch, else the branch,
    else `base`; of what is left aside by that the commits are rescued. No commit is made if nothing differs. The
    worktree then is on `branch`, and clean. Calling it again is harmless.
    """
    checkout = Checkout.at(repo, path, keep_index)
    author = {"GIT_AUTHOR_NAME": author_name, "GIT_AUTHOR_EMAIL": NOREPLY}
    ref = f"refs/heads/{branch}"

    def once(attempt: int) -> tuple[str, Content, list[str]]:
        if attempt:  # it says of objects that are gone that they need not be stored
            checkout.index.unlink(missing_ok=True)
        return _commit(repo, checkout, ref, base, message, author)

    commit, content, left_out = lasting(repo, ref, base, once)
    intact = mend(repo, checkout, ref)
    changed = [name for _, name in changed_paths(repo, base, commit)]
    return Snapshot(commit, content.tree, changed, content.nested, left_out, intact)


def _commit(
    repo: Repo, checkout: Checkout, ref: str, base: str, message: str, author: Mapping[str, str]
) -> tuple[str, Content, list[str]]:
    tip, head = value(repo, ref), head_of(repo, checkout)
    parent = next(commit for commit in (head, tip, base) if commit and _goes_on(repo, commit, base, tip, head))
    content, left_out = _without_own_folder(repo, checkout, base, take(repo, checkout.path, checkout.index, parent))
    commit = parent
    if content.tree != tree_of(repo, parent):
        commit = commit_tree(repo, content.tree, [parent], message, {**identity_env(repo), **author})
    for left in {head, tip} - {None, parent}:
        if left and not is_ancestor(repo, left, commit):
            rescue.keep(repo, checkout.run, checkout.name, left, f"commits aside of {ref.removeprefix('refs/heads/')}")
    if commit != tip and not move_ref(repo, ref, commit, tip, "what the builder left"):
        raise GitError(f"{ref} was moved by somebody else just now")
    return commit, content, left_out


def _without_own_folder(repo: Repo, checkout: Checkout, base: str, content: Content) -> tuple[Content, list[str]]:
    """The content with `.project/` as it is in `base`, and the files of it that were not."""
    changed = git(repo, "diff-tree", "-r", "-z", "--no-renames", base, content.tree, "--", OWN_FOLDER).fields()
    if not changed:
        return content, []
    lines = []
    for meta, name in zip(changed[::2], changed[1::2], strict=True):
        mode, _, oid, *_ = meta.removeprefix(":").split(" ")
        lines.append(f"{mode if int(mode) else 0} {oid}\t{name}")
    _update(repo, checkout.path, checkout.index, "--add", "-z", "--index-info", data=os.fsencode("\0".join(lines)))
    return Content(git(repo, "write-tree", index=checkout.index).text, content.nested), changed[1::2]


def _goes_on(repo: Repo, commit: str, base: str, tip: str | None, head: str | None) -> bool:
    """Whether a commit can be the parent: it continues the base, and what is checked out also the branch."""
    on_branch = commit != head or tip is None or is_ancestor(repo, tip, commit)
    return on_branch and is_ancestor(repo, base, commit)


def tree_of(repo: Repo, commit: str) -> str:
    return git(repo, "rev-parse", "--verify", f"{commit}^{{tree}}").text


def take(repo: Repo, path: Path, index: Path, start: str) -> Content:
    """Stores the files of the work tree at `path`: all but the ignored ones that are not in the commit `start` either.

    They are made durable first, so that what is stored of them is never more than what there is. `index` is private to
    Relay; it makes this quick and is made from `start` where it is missing, damaged, or older than a power cut. A
    repository within that is no declared submodule is taken as the files it consists of; nothing is run in it.
    """
    if path.is_symlink() or not path.is_dir():
        raise RelayError(f"the worktree {path} is gone", remedy="relay retry", code="worktree_gone")
    sync_filesystems(path)
    if not sound_index(index) or not believed(Checkout(path, index)):
        index.parent.mkdir(parents=True, exist_ok=True)
        git(repo, "read-tree", start, index=index)
    submodules, hollow = _submodules(repo, path, index)
    nested = hollow + _opened(repo, path, index, submodules)
    # With the submodules left out, git does not start itself inside them, where their own configuration would rule.
    exclude = [f":(top,exclude,literal){name}" for name in submodules]
    magic = {"GIT_LITERAL_PATHSPECS": "0"}
    add = ("add", "--all", "--sparse", "--", ":/", *exclude)
    git(repo, *add, index=index, work_tree=path, env=magic, timeout_s=CHECKOUT_TIMEOUT_S)
    if submodules:
        names = "\0".join(submodules)
        _update(repo, path, index, "--add", "--remove", "-z", "--stdin", data=os.fsencode(names))
    if committed := _ignored_but_committed(repo, path, index, start):
        _update(repo, path, index, "--add", "-z", "--stdin", data=os.fsencode("\0".join(committed)))
    return Content(git(repo, "write-tree", index=index).text, nested)


def _ignored_but_committed(repo: Repo, path: Path, index: Path, start: str) -> list[str]:
    """Files of `start` that are still there, and that `git add` passed over."""
    gone = ("diff-index", "--cached", "--no-renames", "--diff-filter=D", "--name-only", "-z", start)
    names = git(repo, *gone, index=index, work_tree=path).fields()
    return [name for name in names if _is_file_of(path, name)]


def _is_file_of(path: Path, name: str) -> bool:
    """Whether a file or a link is at `name`, and no link led there."""
    file = path / name
    plain = file.is_symlink() or file.is_file()
    return plain and file.parent.resolve() == Path(os.path.normpath(path.resolve() / name)).parent


def _submodules(repo: Repo, path: Path, index: Path) -> tuple[list[str], list[str]]:
    """The submodules in the index, and those of them whose folder holds plain files; the latter leave the index."""
    staged = git(repo, "ls-files", "--stage", "-z", index=index, work_tree=path).out
    if _GITLINK not in staged:
        return [], []
    lines = [line for line in staged.split(b"\0") if line.startswith(_GITLINK)]
    names = [os.fsdecode(line.partition(b"\t")[2]) for line in lines]
    hollow = [name for name in names if _holds_plain_files(path / name)]
    if hollow:
        _update(repo, path, index, "--force-remove", "-z", "--stdin", data=os.fsencode("\0".join(hollow)))
    return [name for name in names if name not in hollow], hollow


def _holds_plain_files(folder: Path) -> bool:
    return folder.is_dir() and not os.path.lexists(folder / ".git") and any(folder.iterdir())


def _opened(repo: Repo, path: Path, index: Path, submodules: list[str]) -> list[str]:
    """Repositories within, made to look like plain folders to `git add`: it enters a folder that has a tracked file.

    A declared submodule is appended to `submodules` instead.
    """
    opened: list[str] = []
    while found := _repositories(repo, path, index) - {*opened, *submodules}:
        declared = found & _declared(repo, path)
        submodules += sorted(declared)
        opened += sorted(found - declared)
        seed = git(repo, "hash-object", "-w", "--stdin", input=b"").text
        seeds = [f"100644 {seed}\t{name}/.relay-seed" for name in found - declared]
        _update(repo, path, index, "--add", "-z", "--index-info", data=os.fsencode("\0".join(seeds)))
    return opened


def _repositories(repo: Repo, path: Path, index: Path) -> set[str]:
    """Untracked folders that are repositories: git lists their name, with a slash, instead of their files."""
    others = git(repo, "ls-files", "--others", "--exclude-standard", "-z", index=index, work_tree=path).fields()
    return {name[:-1] for name in others if name.endswith("/")}


def _declared(repo: Repo, path: Path) -> set[str]:
    file = path / ".gitmodules"
    if file.is_symlink() or not file.is_file():
        return set()
    command = ("config", "-z", "--no-includes", "--file", file, "--get-regexp", r"^submodule\..*\.path$")
    return {entry.partition("\n")[2] for entry in git(repo, *command, ok=(0, 1, 3, 128)).fields()}


def _update(repo: Repo, path: Path, index: Path, *options: str, data: bytes) -> None:
    git(repo, "update-index", *options, input=data, index=index, work_tree=path)
