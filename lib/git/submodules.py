"""Submodules of a worktree: the commit that one names counts as work only where others can get at it.

Nothing is run in a folder of the work tree: what a submodule holds is asked of the git directories that git itself
keeps of it, the project's and the worktree's own, below `modules/`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from lib.git.checkout import Checkout, record_of
from lib.git.run import Repo, git
from lib.git.trees import Sides, TreeEntry

GITLINK: Final = "160000"
#: A repository that was cloned in part would fetch what it is asked for.
_NO_FETCH: Final = {"GIT_NO_LAZY_FETCH": "1"}


def declared(repo: Repo, path: Path) -> dict[str, str]:
    """The submodules that `.gitmodules` in the work tree `path` declares: the name of each, by its folder."""
    file = path / ".gitmodules"
    if file.is_symlink() or not file.is_file():
        return {}
    command = ("config", "-z", "--no-includes", "--file", file, "--get-regexp", r"^submodule\..*\.path$")
    pairs = (entry.partition("\n") for entry in git(repo, *command, ok=(0, 1, 3, 128)).fields())
    return {folder: key.removeprefix("submodule.").removesuffix(".path") for key, _, folder in pairs}


def out_of_reach(repo: Repo, checkout: Checkout, changed: Sides) -> dict[str, TreeEntry | None]:
    """Of the `changed` paths the submodules that name a commit which only this worktree has, as they were before."""
    links = {path: sides for path, sides in changed.items() if sides[1] and sides[1].mode == GITLINK}
    if not links:
        return {}
    names = declared(repo, checkout.path)
    return {
        path: was for path, (was, now) in links.items() if now and not _reachable(repo, checkout, names.get(path), now)
    }


def put_aside(
    found: Mapping[str, TreeEntry], before: Mapping[str, TreeEntry], hollow: Collection[str]
) -> dict[str, TreeEntry | None]:
    """Entries that make the submodules `hollow`, whose folder was filled with plain files, what they were `before`."""
    wanted: dict[str, TreeEntry | None] = {}
    for name in hollow:
        link = before.get(name)
        if link and link.mode == GITLINK and name not in found:
            wanted |= {path: None for path in found if path.startswith(f"{name}/")} | {name: link}
    return wanted


def plain_name(name: str) -> bool:
    """True if the name of a submodule, which is a path below `modules/`, does not lead out of it."""
    return ".." not in PurePosixPath(name).parts and not PurePosixPath(name).is_absolute()


def has_commit(module: Path, oid: str) -> bool:
    """True if the git directory of a submodule has the commit."""
    return _asked(module, "cat-file", "-e", f"{oid}^{{commit}}") is not None


def _reachable(repo: Repo, checkout: Checkout, name: str | None, entry: TreeEntry) -> bool:
    """True if the project has the commit, or a remote has, by what the worktree's own copy has last seen of it."""
    if not name or not plain_name(name):
        return False
    if any(has_commit(place / "modules" / name, entry.oid) for place in {repo.git_dir, repo.common_dir}):
        return True
    record = record_of(repo, checkout)
    command = ("for-each-ref", "--count=1", "--contains", entry.oid, "refs/remotes/")
    return bool(record and _asked(record / "modules" / name, *command))


def _asked(module: Path, *command: str) -> str | None:
    """The answer of a git directory; None if there is none, or it can't answer."""
    if not (module / "HEAD").is_file() or not (module / "objects").is_dir():
        return None
    done = git(Repo(module, module, module), *command, env=_NO_FETCH, ok=(0, 1, 128, 129))
    return None if done.status else done.text
