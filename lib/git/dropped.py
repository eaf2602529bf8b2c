"""Work that a builder put away with git of its own: commits that it reset, and stashes. Kept, and told."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Final

from lib.git import pins, rescue
from lib.git.checkout import Checkout, record_of
from lib.git.landed import is_landed
from lib.git.reading import UnreadError, read_commit
from lib.git.reflog import checked_out, read_log
from lib.git.run import Repo, git

STASH: Final = "refs/stash"


def keep_dropped(repo: Repo, checkout: Checkout, branch: str, tip: str, known: Collection[str]) -> list[str]:
    """Rescues commits that were checked out in the worktree, or that `branch` had, and that no ref holds any more.

    Not those whose changes are all in the commit `tip`, as after an amendment. `known` are commits that need no look.
    Gives the refs of what is kept; those of an earlier call, too.
    """
    record = record_of(repo, checkout)
    entries = {*(checked_out(record) if record else ()), *(commit for commit, _ in _log(repo, f"refs/heads/{branch}"))}
    entries -= {tip, *known}
    with suppress(UnreadError):  # what the tip has needs no look either
        entries -= {*read_commit(repo, tip).parents}
    lost = [commit for commit in _unheld(repo, entries, tip) if not is_landed(repo, commit, tip)] if entries else []
    return [rescue.keep(repo, checkout.run, checkout.name, commit, f"{branch} no longer has it") for commit in lost]


def keep_stashes(repo: Repo, checkout: Checkout, branch: str) -> list[str]:
    """Rescues what was stashed while `branch` was checked out; the stash stays, as all work trees share it."""
    begin = f"WIP on {branch}: ", f"On {branch}: "
    stashed = [commit for commit, why in _log(repo, STASH) if why.startswith(begin)]
    return [rescue.keep(repo, checkout.run, checkout.name, commit, f"stashed on {branch}") for commit in stashed]


def _unheld(repo: Repo, entries: Collection[str], tip: str) -> Iterator[str]:
    """Commits of the given ones that nothing but a rescue or a checkpoint holds, and none of the others."""
    there = sorted(commit for commit in entries if commit.strip("0"))
    held = (tip, f"--exclude={rescue.PREFIX}*", f"--exclude={pins.PREFIX}*", "--all")
    rows = git(repo, "rev-list", "--ignore-missing", "--parents", *there, "--not", *held, "--").text.splitlines()
    parents = {parent for row in rows for parent in row.split()[1:]}
    return (commit for commit in (row.split()[0] for row in rows) if commit not in parents)


def _log(repo: Repo, ref: str) -> list[tuple[str, str]]:
    return read_log(repo.common_dir / "logs" / ref)
