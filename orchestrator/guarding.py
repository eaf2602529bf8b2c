"""What is pointed out before a landing: files in it that steer what is run, and whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib.flagged import ATTRIBUTES, kind_of, runs_programs
from lib.git.inspect import changed_paths
from lib.git.run import Repo, git

NOTED = 200


def steering(repo: Repo, args: Mapping[str, Any], base: str, head: str) -> list[dict[str, str]]:
    """The files that steer what is run and that `head` changes of `base`: `path`, `kind`, and the `builder` first to
    bring the change, as far as builders did.
    """
    found = {path: kind_of(path) for _, path in changed_paths(repo, base, head)}
    wanted = {path: kind for path, kind in found.items() if kind and _counts(repo, head, path)}
    flagged: list[dict[str, str]] = []
    for tip in args["tips"] if wanted else ():
        for _, path in changed_paths(repo, args["base"], tip["tip"]):
            if kind := wanted.pop(path, None):
                flagged.append({"path": path, "kind": kind, "builder": tip["id"]})
    return flagged[:NOTED]


def _counts(repo: Repo, head: str, path: str) -> bool:
    if path.rpartition("/")[2] != ATTRIBUTES:
        return True
    done = git(repo, "cat-file", "blob", f"{head}:{path}", ok=(0, 128))
    return done.status == 0 and runs_programs(done.out.decode(errors="replace"))
