"""Commits of checkpoints, held by refs `refs/relay/checkpoints/RUN/N/NAME`, so that `git gc` leaves them there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Final

from lib.errors import GitError
from lib.git.landed import is_landed
from lib.git.objects import delete_refs, refs_below, value
from lib.git.run import Repo, git

PREFIX: Final = "refs/relay/checkpoints/"


def pin(repo: Repo, wanted: Mapping[str, str]) -> list[str]:
    """Pins commits by names `RUN/N/NAME`, all at once; gives the names that are left out, as their commits are gone.

    One git process, unless any is gone. Raises `RelayError`; it may be called again, also after a kill.
    """
    if not wanted:
        return []
    try:
        _update(repo, wanted)
    except GitError as error:
        gone = missing(repo, wanted) if error.code == "git_failed" else []
        if not gone:
            raise
        _update(repo, {name: commit for name, commit in wanted.items() if name not in gone})
        return gone
    return []


def drop_landed(repo: Repo, run: str, target: str) -> tuple[list[str], list[str]]:
    """Drops the pins of each checkpoint of `run` whose commits are all in the branch `target`.

    Gives the numbers of these checkpoints, and of those whose pins stay.
    """
    goal = value(repo, f"refs/heads/{target}")
    pins = {number: held for (_, number), held in pinned(repo, run).items()}

    @cache
    def is_in(commit: str) -> bool:
        return goal is not None and is_landed(repo, commit, goal)

    dropped = [number for number, held in pins.items() if all(is_in(commit) for _, commit in held)]
    if dropped:
        delete_refs(repo, [pair for number in dropped for pair in pins[number]])
    return dropped, [number for number in pins if number not in dropped]


def pinned(repo: Repo, run: str = "") -> dict[tuple[str, str], list[tuple[str, str]]]:
    """The pins of each checkpoint of a run, or of all, each with its commit, by the run and the checkpoint's number."""
    found: defaultdict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for ref, commit in refs_below(repo, f"{PREFIX}{run}/" if run else PREFIX):
        owner, _, rest = ref.removeprefix(PREFIX).partition("/")
        found[owner, rest.partition("/")[0]].append((ref, commit))
    return dict(found)


def holders(repo: Repo, commit: str) -> set[str]:
    """The refs that hold a commit, without the pins: these go with their checkpoint, whatever it held."""
    found = git(repo, "for-each-ref", "--contains", commit, "--format=%(refname)").lines()
    return {ref for ref in found if not ref.startswith(PREFIX)}


def _update(repo: Repo, wanted: Mapping[str, str]) -> None:
    lines = "".join(f"update {PREFIX}{name} {commit}\n" for name, commit in wanted.items())
    git(repo, "update-ref", "--stdin", input=lines.encode())


def missing(repo: Repo, wanted: Mapping[str, str]) -> list[str]:
    """The names whose commits are no longer in the repository."""
    if not wanted:
        return []
    asked = "".join(f"{commit}\n" for commit in wanted.values())
    answers = git(repo, "cat-file", "--batch-check", input=asked.encode()).lines()
    return [name for name, answer in zip(wanted, answers, strict=True) if answer.endswith(" missing")]
