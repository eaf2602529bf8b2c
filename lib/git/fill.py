"""Submodules in a worktree, checked out from what the project has of them: contained jobs can't do that, nor need they.

Nothing is ever fetched: where a submodule comes from is the repository's word. A commit that neither the project nor
another worktree has is reported instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from lib.files.remove import remove_whole
from lib.files.replace import replace_file
from lib.git.checkout import Checkout, record_of
from lib.git.run import CHECKOUT_TIMEOUT_S, Repo, git
from lib.git.submodules import GITLINK, declared, has_commit, plain_name
from lib.git.worktree_records import records

#: Where it comes from, and which submodules of its own are in use: without a job would have to write that.
_COPIED: Final = r"^(remote\.origin\.url|submodule\..*\.(url|active))$"
_HEADS: Final = "+refs/heads/*:refs/remotes/origin/*"


def fill_submodules(repo: Repo, checkout: Checkout) -> list[str]:
    """Checks out the submodules of the commit that a worktree shows; gives those that nobody here has.

    One that somebody has changed stays as it is. Calling it again is harmless.
    """
    record = record_of(repo, checkout)
    if record is None or not (checkout.path / ".gitmodules").is_file():
        return []
    others = [each for each, _ in records(repo.common_dir) if each != record]
    sources = [repo.git_dir, repo.common_dir, *sorted(others)]
    return list(_fill(Repo(checkout.path, record, repo.common_dir), sources))


def _fill(there: Repo, sources: Sequence[Path]) -> Iterator[str]:
    names = declared(there, there.root)
    for path, oid in _links(there):
        name = names.get(path)
        if not name or not plain_name(name):
            continue
        copies = [source / "modules" / name for source in sources]
        source = next((copy for copy in copies if has_commit(copy, oid)), None)
        if source is None:
            yield path
        elif inner := _check_out(there, path, name, source, oid):
            yield from (f"{path}/{each}" for each in _fill(inner, copies))


def _links(there: Repo) -> list[tuple[str, str]]:
    """Path and commit of each submodule that is checked out."""
    lines = (line.partition("\t") for line in git(there, "ls-files", "--stage", "-z").fields())
    return [(path, meta.split(" ")[1]) for meta, _, path in lines if meta.startswith(GITLINK)]


def _check_out(there: Repo, path: str, name: str, source: Path, oid: str) -> Repo | None:
    folder, module = there.root / path, there.git_dir / "modules" / name
    inner = Repo(folder, module, module)
    if folder.is_symlink() or folder.parent.resolve() != Path(os.path.normpath(there.root.resolve() / path)).parent:
        return None
    if not (module / "config").is_file() or not os.path.lexists(folder / ".git"):
        if folder.is_dir() and any(folder.iterdir()):
            return None  # somebody put files there
        _begin(inner, source)
    if (module / "HEAD").read_bytes() != oid.encode() + b"\n" or not (module / "index").is_file():
        replace_file(module / "objects" / "info" / "alternates", os.fsencode(source / "objects") + b"\n")
        command = ("checkout", "--quiet", "--detach", oid)
        if git(inner, *command, ok=(0, 1, 128), timeout_s=CHECKOUT_TIMEOUT_S).status:
            return None
    return inner


def _begin(inner: Repo, source: Path) -> None:
    """An empty repository for the submodule, set up as the one that it borrows its objects from."""
    remove_whole(inner.git_dir)
    inner.root.mkdir(parents=True, exist_ok=True)
    inner.git_dir.parent.mkdir(parents=True, exist_ok=True)
    git(inner, "init", "--quiet", "--template=")
    # Without it `git submodule update` finds nothing to write, as a job must not that is contained.
    git(inner, "config", "--unset", "core.worktree", ok=(0, 5))
    settings = git(Repo(source, source, source), "config", "-z", "--get-regexp", _COPIED, ok=(0, 1)).fields()
    for key, _, setting in (entry.partition("\n") for entry in settings):
        git(inner, "config", key, setting)
    git(inner, "config", "remote.origin.fetch", _HEADS)
    (inner.git_dir / "objects" / "info").mkdir(exist_ok=True)
    replace_file(inner.root / ".git", b"gitdir: " + os.fsencode(inner.git_dir) + b"\n")
