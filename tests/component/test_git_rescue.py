"""Rescued work can be listed and brought back, and never replaces anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lib.errors import RelayError
from lib.git.rescue import keep, rescued, restore
from lib.git.run import Repo
from lib.project.paths import find_project

Git = Callable[..., str]


@pytest.fixture
def lost(repo: Path, git: Git) -> str:
    """A commit that no branch holds."""
    tree = git(repo, "rev-parse", "HEAD^{tree}")
    return git(repo, "commit-tree", tree, "-p", "HEAD", "-m", "lost work")


def test_a_commit_is_kept_once_with_reason_and_date(repo: Path, git: Git, lost: str) -> None:
    handle = Repo.of(find_project(repo))
    ref = keep(handle, "run", "api", lost, "its worktree was removed")
    assert ref == "refs/relay/rescue/run/api/1"
    assert keep(handle, "run", "api", lost, "again") == ref
    assert keep(handle, "run", "api", git(repo, "rev-parse", "HEAD"), "other").endswith("/2")
    git(repo, "reflog", "expire", "--expire=now", "--all")
    git(repo, "gc", "-q", "--prune=now")
    [kept] = [item for item in rescued(handle) if item.ref == ref]
    assert (kept.commit, kept.reason) == (lost, "its worktree was removed")
    assert kept.when[4] == "-"
    assert git(repo, "log", "-1", "--format=%s", ref) == "lost work"


def test_it_comes_back_as_a_branch_that_was_not_there(repo: Path, git: Git, lost: str) -> None:
    handle = Repo.of(find_project(repo))
    ref = keep(handle, "run", "api", lost, "why")
    assert restore(handle, ref, "back") == "back"
    assert restore(handle, "run/api/1", "rescued/run/api/1") == "rescued/run/api/1"
    assert git(repo, "rev-parse", "back", "rescued/run/api/1").split() == [lost, lost]


@pytest.mark.parametrize(
    ("ref", "branch", "code"),
    [
        ("run/api/1", "main", "branch_exists"),
        ("run/api/9", "x", "unknown_rescue"),
        ("../../heads/main", "x", "unknown_rescue"),
        ("run/api/1", "-d", "bad_branch_name"),
        ("run/api/1", "a..b", "bad_branch_name"),
        ("run/api/1", "x" * 300, "bad_branch_name"),
        ("run/api/1", "a\nb", "bad_branch_name"),
    ],
)
def test_what_can_not_be_brought_back_is_refused(
    repo: Path, git: Git, lost: str, ref: str, branch: str, code: str
) -> None:
    handle = Repo.of(find_project(repo))
    keep(handle, "run", "api", lost, "why")
    before = git(repo, "for-each-ref")
    with pytest.raises(RelayError) as caught:
        restore(handle, ref, branch)
    assert caught.value.code == code
    assert git(repo, "for-each-ref") == before
