"""Commits that a builder reset, and what it stashed, are kept; what it merely rewrote is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import run_git

from lib.git.checkout import Checkout
from lib.git.clean import clean_run
from lib.git.dropped import keep_dropped, keep_stashes
from lib.git.rescue import rescued
from lib.git.run import Repo
from lib.git.worktrees import prepare, snapshot
from lib.project.paths import find_project

Git = Callable[..., str]
BRANCH = "relay/run/api"


class Site:
    """A project with one builder's worktree, in which git is used."""

    def __init__(self, root: Path, git: Git) -> None:
        self.root = root
        self.project = find_project(root)
        self.repo = Repo.of(self.project)
        self.path = self.project.worktree("run", "api")
        (root / ".git" / "info" / "exclude").write_text(".project/\n")
        self.base = git(root, "rev-parse", "HEAD")
        self._git = git
        prepare(self.repo, self.path, BRANCH, self.base)

    def git(self, *args: str) -> str:
        return self._git(self.path, *args)

    def commit(self, name: str) -> str:
        (self.path / name).write_text(f"{name}\n")
        self.git("add", "-A")
        self.git("commit", "-qm", name)
        return self.git("rev-parse", "HEAD")

    def collect(self) -> tuple[list[str], list[str]]:
        """The commits that are kept of what was dropped, and of what was stashed."""
        tip = snapshot(self.repo, self.path, BRANCH, self.base, author_name="api", message="api").commit
        checkout = Checkout.at(self.repo, self.path)
        found = keep_dropped(self.repo, checkout, BRANCH, tip, (self.base,)), keep_stashes(self.repo, checkout, BRANCH)
        dropped, stashed = ([self.git("rev-parse", f"{ref}^{{commit}}") for ref in refs] for refs in found)
        return dropped, stashed


@pytest.fixture
def site(repo: Path, git: Git) -> Site:
    return Site(repo, git)


def test_commits_that_were_reset_are_kept_and_told_each_time(site: Site) -> None:
    site.commit("one")
    site.commit("two")
    lost = site.commit("three")
    site.git("reset", "-q", "--hard", "HEAD~2")
    site.commit("other")
    for _ in range(2):
        assert site.collect() == ([lost], [])
    assert [item.commit for item in rescued(site.repo)] == [lost]


def test_commits_that_were_made_elsewhere_and_left_are_kept(site: Site) -> None:
    site.git("switch", "-q", "--detach")
    lost = site.commit("one")
    site.git("switch", "-q", BRANCH)
    site.commit("two")
    assert site.collect() == ([lost], [])


def test_what_was_amended_or_picked_again_is_not_lost(site: Site) -> None:
    site.commit("one")
    site.git("commit", "-q", "--amend", "-m", "better words")
    picked = site.commit("two")
    site.git("reset", "-q", "--hard", "HEAD~1")
    site.commit("between")
    site.git("cherry-pick", picked)
    assert site.collect() == ([], [])
    assert rescued(site.repo) == []


def test_what_another_branch_holds_is_not_lost(site: Site) -> None:
    site.commit("one")
    site.git("branch", "mine")
    site.git("reset", "-q", "--hard", "HEAD~1")
    assert site.collect() == ([], [])


@pytest.mark.parametrize("words", [(), ("-m", "for later")])
def test_what_was_stashed_is_kept_and_the_stash_stays(site: Site, words: tuple[str, ...]) -> None:
    (site.root / "README.md").write_text("the user's\n")
    run_git(site.root, "stash", "-q")
    for name in ("new", "newer"):
        (site.path / name).write_text(name)
        site.git("stash", "push", "-q", "-u", *words)
    dropped, stashed = site.collect()
    assert dropped == []
    assert [site.git("show", "--format=", "--name-only", f"{commit}^3") for commit in stashed] == ["newer", "new"]
    assert site.git("stash", "list").count("\n") == 2


def test_commits_of_a_builder_that_was_never_collected_outlive_its_worktree(site: Site) -> None:
    lost = site.commit("one")
    site.git("reset", "-q", "--hard", "HEAD~1")
    clean_run(site.repo, site.project, "run", "main")
    assert not site.path.exists()
    assert [item.commit for item in rescued(site.repo)] == [lost]
