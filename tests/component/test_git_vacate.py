"""The architect's worktree becomes the merged one if it is as it was made; what was left in it is kept, and told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lib.git.checkout import Checkout
from lib.git.rescue import rescued
from lib.git.run import Repo
from lib.git.vacate import vacate
from lib.git.worktrees import prepare, show
from lib.project.paths import find_project

Git = Callable[..., str]
BRANCH = "relay/run/architect"


class Site:
    def __init__(self, root: Path, git: Git) -> None:
        (root / ".git" / "info" / "exclude").write_text(".project/\n*.log\n__pycache__/\n")
        project = find_project(root)
        self.root, self.git, self.repo = root, git, Repo.of(project)
        self.base = git(root, "rev-parse", "HEAD")
        self.path = project.worktree("run", "merged")
        self.aside = project.run_dir("run") / "ignored"
        prepare(self.repo, self.path, BRANCH, self.base)

    def vacate(self) -> list[str]:
        return vacate(self.repo, self.path, BRANCH, self.base, self.aside)

    def status(self) -> str:
        """The merged worktree, shown at the base, by git's own look."""
        show(self.repo, self.path, self.base)
        return self.git(self.path, "status", "--porcelain", "--branch", "--ignored")


@pytest.fixture
def site(repo: Path, git: Git) -> Site:
    return Site(repo, git)


def test_one_that_is_as_it_was_made_stays_where_it_is(site: Site) -> None:
    before = (site.path / "README.md").stat().st_ino
    assert site.vacate() == []
    assert site.vacate() == []
    assert site.status() == "## HEAD (no branch)"
    assert (site.path / "README.md").stat().st_ino == before
    assert site.git(site.root, "branch", "--list", "relay/*") == ""
    assert rescued(site.repo) == []


def _commit(site: Site) -> None:
    (site.path / "plan.md").write_text("plan")
    site.git(site.path, "add", "-A")
    site.git(site.path, "commit", "-qm", "plan")


LEFT: dict[str, Callable[[Site], object]] = {
    "a changed file": lambda site: (site.path / "README.md").write_text("changed"),
    "a new file": lambda site: (site.path / "plan.md").write_text("plan"),
    "a commit": _commit,
    "a commit on another branch": lambda site: (site.git(site.path, "switch", "-qc", "mine"), _commit(site)),
    "a change hidden from git": lambda site: (
        site.git(site.path, "update-index", "--assume-unchanged", "README.md"),
        (site.path / "README.md").write_text("changed"),
    ),
}


@pytest.mark.parametrize("what", LEFT)
def test_work_is_kept_and_told_and_does_not_stay_there(site: Site, what: str) -> None:
    LEFT[what](site)
    tree = sorted(path.name for path in site.path.iterdir())
    said = site.vacate()
    assert site.vacate() == [*said]
    assert not site.path.exists()
    assert site.status() == "## HEAD (no branch)"
    assert (site.path / "README.md").read_text() == site.git(site.root, "show", f"{site.base}:README.md") + "\n"
    assert site.git(site.root, "branch", "--list", "relay/*") == ""
    if "another branch" in what:
        assert site.git(site.root, "show", "mine:plan.md") == "plan"
        return
    (told,) = said
    assert "does not land" in told
    (kept,) = rescued(site.repo)
    assert sorted([*site.git(site.root, "ls-tree", "--name-only", kept.commit).splitlines(), ".git"]) == tree


def test_ignored_files_are_kept_but_for_caches_and_no_verification_meets_them(site: Site) -> None:
    (site.path / "trace.log").write_text("trace")
    (site.path / "src" / "__pycache__").mkdir()
    (site.path / "src" / "__pycache__" / "app.pyc").write_text("cache")
    (told,) = site.vacate()
    assert "trace.log" in told
    assert [file.read_text() for file in site.aside.rglob("*.log")] == ["trace"]
    assert site.status() == "## HEAD (no branch)"


@pytest.mark.parametrize("what", ["a cache", "an empty folder", "a repository", "a deletion"])
def test_what_is_worth_nothing_does_not_stay_either(site: Site, what: str) -> None:
    match what:
        case "a cache":
            (site.path / "__pycache__").mkdir()
            (site.path / "__pycache__" / "app.pyc").write_text("cache")
        case "an empty folder":
            (site.path / "empty" / "er").mkdir(parents=True)
        case "a repository":
            site.git(site.path, "init", "-q", "inner")
        case "a deletion":
            (site.path / "README.md").unlink()
    site.vacate()
    assert site.status() == "## HEAD (no branch)"
    assert not [name for name in ("__pycache__", "empty", "inner") if (site.path / name).exists()]


def test_commits_that_were_taken_back_are_kept(site: Site) -> None:
    _commit(site)
    tip = site.git(site.path, "rev-parse", "HEAD")
    site.git(site.path, "reset", "-q", "--hard", site.base)
    (site.path / "README.md").write_text("changed")
    assert site.vacate() != []
    assert tip in {item.commit for item in rescued(site.repo)}


def test_a_worktree_whose_making_was_killed_is_no_reason_to_stop(site: Site) -> None:
    Checkout.at(site.repo, site.path).index.unlink()
    assert site.vacate() == []
    assert site.status() == "## HEAD (no branch)"
