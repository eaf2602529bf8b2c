"""Submodules in a worktree: checked out from what the project has, and landed only at a commit that others can have."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.git.checkout import Checkout
from lib.git.clean import clean_run
from lib.git.inside import keep_inside
from lib.git.look import look
from lib.git.rescue import rescued
from lib.git.run import Repo
from lib.git.worktrees import Snapshot, prepare, show, snapshot
from lib.project.paths import find_project

Git = Callable[..., str]
BRANCH = "relay/run/api"


class Site:
    """A project with a submodule `lib`, which has a submodule `deep`, all checked out; and a builder's worktree."""

    def __init__(self, root: Path, git: Git, folder: Path) -> None:
        self.root, self.git = root, git
        self.project = find_project(root)
        self.repo = Repo.of(self.project)
        self.path = self.project.worktree("run", "api")
        self.lib = self.path / "lib"
        (root / ".git" / "info" / "exclude").write_text(".project/\n")
        git(root, "config", "--global", "protocol.file.allow", "always")
        for name in ("deep", "lib"):
            self._library(folder / name)
        self.git(folder / "lib", "submodule", "--quiet", "add", str(folder / "deep"), "deep")
        self.git(folder / "lib", "commit", "-qm", "deep")
        self.git(root, "submodule", "--quiet", "add", str(folder / "lib"), "lib")
        self.git(root, "submodule", "--quiet", "update", "--init", "--recursive")
        self.git(root, "commit", "-qm", "submodule")
        self.base = git(root, "rev-parse", "HEAD")

    def _library(self, folder: Path) -> None:
        folder.mkdir()
        self.git(folder, "init", "-q")
        (folder / f"{folder.name}.c").write_text("1")
        self.git(folder, "add", "-A")
        self.git(folder, "commit", "-qm", folder.name)

    def prepare(self) -> list[str]:
        return prepare(self.repo, self.path, BRANCH, self.base).missing

    def look(self) -> None:
        look(self.repo, self.path)

    def snapshot(self) -> Snapshot:
        return snapshot(self.repo, self.path, BRANCH, self.base, author_name="api", message="api")

    def inside(self) -> list[str]:
        return keep_inside(self.repo, Checkout.at(self.repo, self.path))

    def clean(self, tip: str) -> None:
        self.git(self.root, "merge", "-q", "--ff-only", tip)
        clean_run(self.repo, self.project, "run", "main")
        assert not self.path.exists()


@pytest.fixture
def site(repo: Path, git: Git, tmp_path: Path) -> Site:
    return Site(repo, git, tmp_path)


@pytest.fixture
def bare(site: Site) -> Site:
    """The project has not checked its submodule out."""
    site.git(site.root, "submodule", "--quiet", "deinit", "--force", "--all")
    shutil.rmtree(site.root / ".git" / "modules")
    assert site.prepare() == ["lib"]
    assert not any(site.lib.iterdir())
    return site


def test_a_worktree_has_the_submodules_that_the_project_has(site: Site) -> None:
    assert site.prepare() == []
    assert (site.lib / "lib.c").read_text() == "1"
    assert (site.lib / "deep" / "deep.c").read_text() == "1"
    assert site.git(site.path, "status", "--porcelain") == ""
    assert site.git(site.lib, "remote", "get-url", "origin") == site.git(
        site.root / "lib", "remote", "get-url", "origin"
    )
    before = {file: file.stat().st_mtime_ns for file in (site.root / ".git").rglob("config")}
    site.git(site.path, "submodule", "--quiet", "update", "--init", "--recursive")
    assert before == {file: file.stat().st_mtime_ns for file in (site.root / ".git").rglob("config")}
    assert site.prepare() == []
    (site.path / "one").write_text("one")
    taken = site.snapshot()
    assert (taken.changed, taken.links, site.inside()) == (["one"], [], [])
    site.clean(taken.commit)
    assert rescued(site.repo) == []


def test_the_project_s_own_submodule_is_left_alone(site: Site) -> None:
    head = site.git(site.root / "lib", "rev-parse", "HEAD")
    site.prepare()
    (site.lib / "lib.c").write_text("2")
    site.git(site.lib, "commit", "-qam", "only here")
    assert site.git(site.root / "lib", "rev-parse", "HEAD") == head
    assert site.git(site.root / "lib", "status", "--porcelain") == ""
    assert site.git(site.root, "fsck", "--strict") == ""


def test_a_submodule_that_setup_checked_out_is_no_change(bare: Site) -> None:
    bare.git(bare.path, "submodule", "--quiet", "update", "--init", "--recursive")
    bare.look()
    (bare.path / "one").write_text("one")
    taken = bare.snapshot()
    assert (taken.changed, taken.links, bare.inside()) == (["one"], [], [])
    bare.clean(taken.commit)


@pytest.mark.parametrize("by", ["setup", "builder"])
def test_a_submodule_that_was_filled_with_files_stays_a_submodule(bare: Site, by: str) -> None:
    (bare.lib / "lib.c").write_text("copied")
    if by == "setup":
        bare.look()
    (bare.path / "one").write_text("one")
    for _ in range(2):
        taken = bare.snapshot()
        assert taken.changed == ["one"]
        assert taken.links == ([] if by == "setup" else ["lib"])
    bare.clean(taken.commit)
    assert len(rescued(bare.repo)) == (0 if by == "setup" else 1)


@pytest.mark.parametrize("where", ["pushed", "project", "nowhere"])
def test_a_submodule_moves_to_a_commit_that_others_can_have(site: Site, where: str) -> None:
    site.prepare()
    (site.lib / "lib.c").write_text("2")
    site.git(site.lib, "commit", "-qam", "better")
    new = site.git(site.lib, "rev-parse", "HEAD")
    if where == "pushed":
        site.git(site.lib, "push", "-q", "origin", "HEAD:refs/heads/better")
    elif where == "project":
        site.git(site.root / "lib", "fetch", "-q", str(site.lib), "HEAD")
    taken = site.snapshot()
    if where == "nowhere":
        assert (taken.changed, taken.links) == ([], ["lib"])
        kept = dict(clean_run(site.repo, site.project, "run", "main").kept)
        assert kept[str(site.path)] == "uncommitted changes"
    else:
        assert (taken.changed, taken.links) == (["lib"], [])
        assert new in site.git(site.root, "ls-tree", taken.commit, "lib")
        merged = site.project.worktree("run", "merged")
        show(site.repo, merged, site.base)
        assert (merged / "lib" / "lib.c").read_text() == "1"
        show(site.repo, merged, taken.commit)
        assert (merged / "lib" / "lib.c").read_text() == "2"
        assert site.git(merged, "status", "--porcelain") == ""


def test_what_somebody_changed_inside_is_kept_and_what_a_command_made_is_not(site: Site) -> None:
    site.prepare()
    (site.lib / "lib.o").write_text("built")
    site.look()
    assert site.inside() == []
    (site.lib / "lib.c").write_text("by the builder")
    (site.lib / "new.c").write_text("new")
    for _ in range(2):
        assert site.inside() == ["lib"]
    (kept,) = rescued(site.repo)
    assert site.git(site.root, "show", f"{kept.commit}:lib/lib.c") == "by the builder"
    assert site.git(site.root, "show", f"{kept.commit}:lib/new.c") == "new"
    assert site.snapshot().changed == []


def test_a_name_that_leads_elsewhere_is_not_followed(site: Site) -> None:
    text = (site.root / ".gitmodules").read_text()
    (site.root / ".gitmodules").write_text(text.replace('"lib"', '"../../lib"'))
    site.git(site.root, "commit", "-qam", "evil")
    site.base = site.git(site.root, "rev-parse", "HEAD")
    assert site.prepare() == []
    assert not any(site.lib.iterdir())
