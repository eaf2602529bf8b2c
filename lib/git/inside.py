"""Files changed inside of submodules: a commit of the project can't have them, so they are kept beside it, and told."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress

from lib.files.replace import replace_file
from lib.git import rescue
from lib.git.checkout import Checkout, record_of
from lib.git.objects import at, commit_tree
from lib.git.run import Repo, git, identity_env
from lib.git.submodules import declared, plain_name


def note_inside(repo: Repo, checkout: Checkout) -> None:
    """Notes that what is changed inside of submodules now was made by a command."""
    found = dict(_changed(repo, checkout))
    if found:
        replace_file(checkout.inside, json.dumps(found).encode())
    else:
        checkout.inside.unlink(missing_ok=True)


def keep_inside(repo: Repo, checkout: Checkout) -> list[str]:
    """Rescues what somebody changed inside of submodules, as commits of nothing but that, and gives their paths."""
    noted: dict[str, str] = {}
    with suppress(FileNotFoundError):
        noted = json.loads(checkout.inside.read_bytes())
    kept = []
    for path, tree in _changed(repo, checkout):
        if noted.get(path) != tree:
            reason = f"{checkout.name}: changed in the submodule {path}"
            commit = commit_tree(repo, tree, [], reason, identity_env(repo) | at(0))
            rescue.keep(repo, checkout.run, checkout.name, commit, reason)
            kept.append(path)
    return kept


def _changed(repo: Repo, checkout: Checkout) -> Iterator[tuple[str, str]]:
    """The submodules that hold new or changed files, each with a tree of these files at their place."""
    record = record_of(repo, checkout)
    if record is None or not (record / "modules").is_dir():
        return
    for path, name in sorted(declared(repo, checkout.path).items()):
        module, folder = record / "modules" / name, checkout.path / path
        if plain_name(name) and (module / "index").is_file() and folder.is_dir() and not folder.is_symlink():
            files = [f"{path}/{file}" for file in _files(Repo(folder, module, module))]
            if files:
                yield path, _tree(repo, checkout, files)


def _files(inner: Repo) -> list[str]:
    """Files that git would have to commit there; nothing of a submodule within."""
    command = ("status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=all", "--untracked-files=all")
    names = [line[3:] for line in git(inner, *command).fields()]
    return [name for name in names if (inner.root / name).is_file() or (inner.root / name).is_symlink()]


def _tree(repo: Repo, checkout: Checkout, files: list[str]) -> str:
    index = checkout.index.with_name(f"{checkout.name}.inside-index")
    index.unlink(missing_ok=True)
    try:
        data = os.fsencode("\0".join(files))
        command = ("update-index", "--add", "-z", "--stdin")
        git(repo, *command, input=data, index=index, work_tree=checkout.path)
        return git(repo, "write-tree", index=index).text
    finally:
        index.unlink(missing_ok=True)
