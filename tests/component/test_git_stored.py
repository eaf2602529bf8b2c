"""Refs and commits that are read without git are as git has them, and the rest is left to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.git.inspect import is_ancestor, not_in, resolve
from lib.git.objects import value
from lib.git.run import Repo
from lib.git.snapshot import tree_of
from lib.git.stored import UnreadError, stored_commit, stored_ref
from lib.paths import find_project

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


def test_a_tree_is_read_of_a_commit_only(repo: Path, git: Git, head: str) -> None:
    common, handle = repo / ".git", Repo.of(find_project(repo))
    tree = git(repo, "rev-parse", "HEAD^{tree}")
    assert stored_commit(common, head).tree == tree_of(handle, head) == tree_of(handle, "main") == tree
    git(repo, "tag", "-am", "a tag", "tagged")
    blob, tag = git(repo, "rev-parse", "HEAD:README.md"), git(repo, "rev-parse", "refs/tags/tagged")
    for other in (tree, blob, tag, "main", "0" * 40):
        with pytest.raises(UnreadError):
            stored_commit(common, other)
    assert resolve(handle, tag) == resolve(handle, "refs/tags/tagged") == resolve(handle, REF) == head
    assert [resolve(handle, other) for other in (tree, blob, "0" * 40, "refs/heads/none")] == [None] * 4


def test_one_that_is_packed_or_emptied_is_left_to_git(repo: Path, git: Git, head: str) -> None:
    common, handle = repo / ".git", Repo.of(find_project(repo))
    file = common / "objects" / head[:2] / head[2:]
    file.chmod(0o644)
    whole = file.read_bytes()
    for torn in (b"", b"\0" * len(whole), whole[:-8]):
        file.write_bytes(torn)
        with pytest.raises(UnreadError):
            stored_commit(common, head)
        assert resolve(handle, REF) is None
    file.write_bytes(whole)
    git(repo, "gc", "-q")
    assert not file.exists()
    with pytest.raises(UnreadError):
        stored_commit(common, head)
    assert resolve(handle, REF) == head
    assert tree_of(handle, head) == git(repo, "rev-parse", "HEAD^{tree}")


def test_the_parents_of_a_commit(repo: Path, git: Git, head: str) -> None:
    common, handle = repo / ".git", Repo.of(find_project(repo))
    git(repo, "commit", "-q", "--allow-empty", "-m", "on")
    on = git(repo, "rev-parse", "HEAD")
    git(repo, "merge", "-q", "--no-ff", "-m", "both", git(repo, "commit-tree", "-p", head, "-m", "x", "HEAD^{tree}"))
    both = git(repo, "rev-parse", "HEAD")
    assert stored_commit(common, both).parents == git(repo, "rev-parse", "HEAD^@").splitlines()
    assert stored_commit(common, head).parents == []
    assert [is_ancestor(handle, each, both) for each in (head, on, both)] == [True] * 3
    assert not is_ancestor(handle, both, on)


def test_tips_that_a_commit_does_not_have(repo: Path, git: Git, head: str) -> None:
    git(repo, "commit", "-q", "--allow-empty", "-m", "on")
    on = git(repo, "rev-parse", "HEAD")
    handle = Repo.of(find_project(repo))
    assert not_in(handle, [head, on], head) == {on}
    assert not_in(handle, [head, on], on) == set()
