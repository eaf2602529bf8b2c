"""Trees that are read through open processes differ as git says, and what is missing of them is missed."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from lib.git.inspect import changed_paths
from lib.git.reading import find
from lib.git.run import Repo
from lib.git.run import git as run
from lib.git.trees import TreeEntry, complete, differing, tree_of
from lib.project.paths import find_project

Git = Callable[..., str]


@pytest.fixture
def handle(repo: Path) -> Repo:
    return Repo.of(find_project(repo))


@pytest.fixture
def head(repo: Path, git: Git) -> str:
    return git(repo, "rev-parse", "HEAD")


def commit_file(repo: Path, git: Git, name: str, content: str) -> str:
    (repo / name).parent.mkdir(exist_ok=True)
    (repo / name).write_text(content)
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", name)
    return git(repo, "rev-parse", "HEAD")


def by_git(handle: Repo, old: str, new: str) -> list[tuple[str, str, TreeEntry | None, TreeEntry | None]]:
    """Letter, path and both sides of each file, in git's order."""
    fields = run(handle, "diff-tree", "-r", "-z", "--no-renames", old, new).fields()
    rows = [(*said.lstrip(":").split(" "), path) for said, path in zip(fields[::2], fields[1::2], strict=True)]
    return [
        (letter, path, TreeEntry(was, was_oid) if int(was) else None, TreeEntry(now, now_oid) if int(now) else None)
        for was, now, was_oid, now_oid, letter, path in rows
    ]


def by_relay(handle: Repo, old: str, new: str) -> list[tuple[str, str, TreeEntry | None, TreeEntry | None]]:
    sides = differing(handle, old, new)
    return [(letter, path, *sides[path]) for letter, path in changed_paths(handle, old, new)]


@pytest.fixture
def no_more_git(handle: Repo, head: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on no git can be started, so that all is read by those that are open."""
    os.utime(handle.common_dir / "objects" / "pack", (0, 0))  # it was made just now, and may change again
    assert tree_of(handle, head)
    assert find(handle, head)
    return lambda: monkeypatch.setenv("PATH", "/nowhere")


def test_trees_differ_as_git_says(repo: Path, git: Git, handle: Repo, no_more_git: Callable[[], None]) -> None:
    """Each state of the repository is compared with the one before, and with the first, either way."""

    def file(name: str, content: str = "x") -> None:
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text(content)

    def start() -> None:
        for name in ("a", "a.c", "a0", "b/c/d/e", "b/c/f", "run.sh", "z/only", os.fsdecode(b"\xe9/\xff\nx"), "ü/ü"):
            file(name)

    def change() -> None:
        file("b/c/d/e", "changed")
        (repo / "run.sh").chmod(0o755)
        (repo / "z" / "only").unlink()

    def swap() -> None:
        (repo / "a").unlink()
        file("a/inner/deep")
        (repo / "b" / "c" / "d" / "e").unlink()
        (repo / "b" / "c" / "d").rmdir()
        (repo / "b" / "c" / "d").symlink_to("f")
        (repo / "a0").unlink()
        (repo / "a0").symlink_to("a.c")

    def link() -> None:
        git(repo, "update-index", "--add", "--cacheinfo", f"160000,{commits[0]},module")

    commits = [git(repo, "rev-parse", "HEAD")]
    for act in (start, change, swap, link):
        act()
        if act is not link:
            git(repo, "add", "-A")
        git(repo, "commit", "-qm", act.__name__)
        commits.append(git(repo, "rev-parse", "HEAD"))
    empty = git(repo, "hash-object", "-t", "tree", "/dev/null")
    pairs = [*pairwise(commits), *((commits[0], each) for each in commits), (empty, commits[-1])]
    pairs += [(new, old) for old, new in pairs]
    expected = [by_git(handle, *pair) for pair in pairs]
    no_more_git()
    assert [by_relay(handle, *pair) for pair in pairs] == expected


def test_permissions_of_old_trees_are_no_difference(
    repo: Path, git: Git, handle: Repo, no_more_git: Callable[[], None]
) -> None:
    file = git(repo, "hash-object", "-w", "README.md")
    stored = b"100664 f\0" + bytes.fromhex(file)
    old = run(handle, "hash-object", "-w", "-t", "tree", "--literally", "--stdin", input=stored).text
    new = run(handle, "mktree", input=f"100644 blob {file}\tf\n".encode()).text
    assert old != new
    assert by_git(handle, old, new) == []
    no_more_git()
    assert by_relay(handle, old, new) == []


def test_more_than_is_quickly_read_is_left_to_git(repo: Path, git: Git, handle: Repo, head: str) -> None:
    for number in range(120):
        (repo / f"d{number}").mkdir()
        (repo / f"d{number}" / "file").write_text(str(number))
    on = commit_file(repo, git, "last", "last")
    assert by_relay(handle, head, on) == by_git(handle, head, on)
    assert complete(handle, on, head)


def test_what_a_commit_adds_is_all_there_or_not(
    repo: Path, git: Git, handle: Repo, head: str, no_more_git: Callable[[], None]
) -> None:
    commit_file(repo, git, "src/one", "one")
    second = commit_file(repo, git, "src/two", "two")
    assert complete(handle, second, head)
    for name in ("HEAD:src/one", "HEAD:src", "HEAD^{tree}", "HEAD~1", "HEAD~1:src", "HEAD"):
        oid = git(repo, "rev-parse", name)
        file = repo / ".git" / "objects" / oid[:2] / oid[2:]
        aside = file.rename(repo / ".git" / "aside")
        assert not complete(handle, second, head), name
        aside.rename(file)
    no_more_git()
    assert complete(handle, second, head)
