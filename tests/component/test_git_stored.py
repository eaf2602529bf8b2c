"""Refs that are read without git are as git has them, and the rest is left to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.git.inspect import not_in
from lib.git.objects import value
from lib.git.run import Repo
from lib.git.stored import UnreadError, stored_ref
from lib.project.paths import find_project

Git = Callable[..., str]
REF = "refs/heads/some/branch"


@pytest.fixture
def head(repo: Path, git: Git) -> str:
    git(repo, "branch", "some/branch")
    return git(repo, "rev-parse", "HEAD")


def test_a_ref_is_read_packed_or_not(repo: Path, git: Git, head: str) -> None:
    common = repo / ".git"
    assert stored_ref(common, REF) == head
    git(repo, "pack-refs", "--all")
    assert not (common / REF).exists()
    assert stored_ref(common, REF) == head
    git(repo, "commit", "-q", "--allow-empty", "-m", "on")
    git(repo, "branch", "-f", "some/branch")
    assert stored_ref(common, REF) == git(repo, "rev-parse", "HEAD") != head


@pytest.mark.parametrize("ref", ["refs/heads/none", "refs/heads/some", "refs/heads/some/branch/below", "refs/heads/ma"])
@pytest.mark.parametrize("packed", [False, True])
def test_one_that_is_not_there_is_known_not_to_be(repo: Path, git: Git, head: str, ref: str, *, packed: bool) -> None:
    if packed:
        git(repo, "pack-refs", "--all")
    assert head
    assert stored_ref(repo / ".git", ref) is None
    assert value(Repo.of(find_project(repo)), ref) is None


def test_the_rest_is_left_to_git(repo: Path, git: Git, head: str) -> None:
    common, handle = repo / ".git", Repo.of(find_project(repo))
    git(repo, "symbolic-ref", "refs/heads/link", REF)
    os.mkfifo(common / "refs" / "heads" / "fifo")
    (common / "refs" / "heads" / "torn").write_text(head)
    for ref in ("HEAD", "refs/heads/link", "refs/heads/fifo", "refs/heads/torn"):
        with pytest.raises(UnreadError):
            stored_ref(common, ref)
    (common / "refs" / "heads" / "fifo").unlink()
    assert value(handle, "refs/heads/link") == value(handle, "HEAD") == head
    (common / "reftable").mkdir()
    with pytest.raises(UnreadError):
        stored_ref(common, "refs/heads/none")


def test_tips_that_a_commit_does_not_have(repo: Path, git: Git, head: str) -> None:
    git(repo, "commit", "-q", "--allow-empty", "-m", "on")
    on = git(repo, "rev-parse", "HEAD")
    handle = Repo.of(find_project(repo))
    assert not_in(handle, [head, on], head) == {on}
    assert not_in(handle, [head, on], on) == set()
