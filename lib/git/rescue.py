"""Work that something is about to remove or reset, kept under `refs/relay/rescue/RUN/NAME/N`.

Each is a tag object: it points to the commit, and its message says why and its date when it was kept.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from itertools import count
from typing import Final

from lib.errors import RelayError
from lib.git.objects import move_ref, value
from lib.git.run import FALLBACK_EMAIL, FALLBACK_NAME, Repo, git
from lib.names import shown

PREFIX: Final = "refs/relay/rescue/"
#: A branch is a file, and while it is written there is one with `.lock` behind its name.
_NAME_MAX: Final = 250
_FORMAT: Final = "%(refname)%00%(*objectname)%00%(taggerdate:iso-strict)%00%(contents:subject)"


@dataclass(frozen=True, slots=True)
class RescuedCommit:
    """Something that was kept. `when` is ISO 8601; `files` counts what the commit changes."""

    ref: str
    commit: str
    when: str
    reason: str
    files: int


def keep(repo: Repo, run: str, name: str, commit: str, reason: str) -> str:
    """Keeps `commit` and gives its ref: the same one for the same commit."""
    folder = f"{PREFIX}{run}/{name}/"
    for ref, kept, _, _ in _listed(repo, folder):
        if kept == commit:
            return ref
    stamp = f"tagger {FALLBACK_NAME} <{FALLBACK_EMAIL}> {int(time.time())} +0000"
    lines = (f"object {commit}", "type commit", f"tag {name}", stamp, "", reason, "")
    tag = git(repo, "mktag", input=shown("\n".join(lines)).encode()).text
    return next(ref for number in count(1) if move_ref(repo, ref := f"{folder}{number}", tag, None, "rescue"))


def rescued(repo: Repo) -> list[RescuedCommit]:
    """All that is kept, the newest first."""
    found = [
        RescuedCommit(ref, commit, when, reason, _files(repo, commit))
        for ref, commit, when, reason in _listed(repo, PREFIX)
    ]
    return sorted(found, key=lambda item: item.when, reverse=True)


def restore(repo: Repo, ref: str, branch: str) -> str:
    """Makes `branch` of what is kept under `ref`, which may be given without its prefix; never moves a branch.

    Raises `RelayError` (`unknown_rescue`, `bad_branch_name`, `branch_exists`).
    """
    full = PREFIX + ref.removeprefix(PREFIX)
    commit = next((commit for name, commit, _, _ in _listed(repo, PREFIX) if name == full), None)
    if commit is None:
        raise RelayError(f"nothing is kept as {ref}", remedy="relay recover", code="unknown_rescue")
    again = f"relay recover {full.removeprefix(PREFIX)} --branch {_free(repo)}"
    target = f"refs/heads/{branch}"
    too_long = any(len(os.fsencode(part)) > _NAME_MAX for part in branch.split("/"))
    if too_long or branch.startswith("-") or git(repo, "check-ref-format", target, ok=(0, 1)).status:
        raise RelayError(f"{branch!r} can't be a branch", remedy=again, code="bad_branch_name")
    if not move_ref(repo, target, commit, None, "recover"):
        raise RelayError(f"the branch {branch} exists already", remedy=again, code="branch_exists")
    return branch


def _free(repo: Repo) -> str:
    """The name of a branch that there is none of."""
    names = (f"rescued-{number}" for number in count(1))
    return next(name for name in names if value(repo, f"refs/heads/{name}") is None)


def _listed(repo: Repo, folder: str) -> list[tuple[str, str, str, str]]:
    lines = git(repo, "for-each-ref", f"--format={_FORMAT}", folder).lines()
    rows = (line.split("\0") for line in lines)
    return [(ref, commit, when, reason) for ref, commit, when, reason in rows]


def _files(repo: Repo, commit: str) -> int:
    """The number of files that the commit changes, against its first parent."""
    command = ("show", "--format=", "--name-only", "--first-parent", "-m", "-z")
    return len(git(repo, *command, commit).fields())
