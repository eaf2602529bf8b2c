"""Cleaning removes what has landed, in whatever way, and only that."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.git.checkout import Checkout
from lib.git.clean import clean_run
from lib.git.landed import is_landed
from lib.git.rescue import rescued
from lib.git.run import Repo
from lib.git.worktrees import prepare, show, snapshot
from lib.project.paths import Project, find_project

Git = Callable[..., str]


class Site:
    def __init__(self, root: Path, git: Git) -> None:
        self.root, self.git = root, git
        (root / ".git" / "info" / "exclude").write_text(".project/\n*.log\n")
        self.project: Project = find_project(root)
        self.repo = Repo.of(self.project)
        self.base = git(root, "rev-parse", "HEAD")

    def builder(self, name: str) -> str:
        """A builder's worktree with two commits; gives its tip."""
        path, branch = self.project.worktree("run", name), f"relay/run/{name}"
        prepare(self.repo, path, branch, self.base)
        for part in ("one", "two"):
            (path / f"{name}-{part}").write_text(part)
            tip = snapshot(self.repo, path, branch, self.base, author_name=name, message=part).commit
        (path / "noise.log").write_text("ignored")
        return tip

    def clean(self) -> tuple[list[str], dict[str, str]]:
        done = clean_run(self.repo, self.project, "run", "main")
        return [Path(what).name for what in done.removed], {Path(what).name: why for what, why in done.kept}


@pytest.fixture
def site(repo: Path, git: Git) -> Site:
    return Site(repo, git)


@pytest.mark.parametrize("how", ["merge", "fast-forward", "squash", "rebase"])
def test_work_is_landed_however_it_got_there(site: Site, how: str) -> None:
    tip = site.builder("api")
    git, root = site.git, site.root
    assert not is_landed(site.repo, tip, "main")
    if how != "fast-forward":
        (root / "README.md").write_text("meanwhile\n")
        git(root, "commit", "-qam", "meanwhile")
    match how:
        case "squash":
            git(root, "merge", "-q", "--squash", tip)
            git(root, "commit", "-qm", "squashed")
        case "rebase":
            git(root, "cherry-pick", f"{site.base}..{tip}")
        case _:
            git(root, "merge", "-q", "--no-edit", tip)
    assert is_landed(site.repo, tip, "main")
    (root / "api-one").write_text("changed since")
    git(root, "commit", "-qam", "since")
    assert is_landed(site.repo, tip, "main")
    assert site.clean() == (["api", "api"], {})
    assert not site.project.worktree("run", "api").parent.exists()
    assert git(root, "branch", "--list", "relay/*") == ""
    assert rescued(site.repo) == []
    assert site.clean() == ([], {})


def test_what_is_not_landed_stays_with_the_reason(site: Site) -> None:
    landed = site.builder("landed")
    site.builder("open")
    site.builder("dirty")
    site.git(site.root, "merge", "-q", "--no-edit", landed)
    site.git(site.root, "merge", "-q", "--no-edit", "relay/run/dirty")
    (site.project.worktree("run", "dirty") / "extra").write_text("uncommitted")
    show(site.repo, site.project.worktree("run", "merged"), site.git(site.root, "rev-parse", "HEAD"))
    removed, kept = site.clean()
    assert removed == ["landed", "merged", "landed"]
    assert kept == {"dirty": "its worktree is kept", "open": "its worktree is kept"}
    assert (site.project.worktree("run", "dirty") / "extra").read_text() == "uncommitted"
    assert (site.project.worktree("run", "open") / "open-two").exists()


def test_work_of_which_a_part_is_missing_is_not_landed(site: Site) -> None:
    tip = site.builder("api")
    site.git(site.root, "cherry-pick", f"{tip}^")
    assert not is_landed(site.repo, tip, "main")


def test_without_the_branch_it_landed_on_nothing_is_removed(site: Site) -> None:
    site.builder("api")
    done = clean_run(site.repo, site.project, "run", "no-such-branch")
    assert done.removed == []
    assert len(done.kept) == 2


@pytest.mark.parametrize("left", ["the whole record", "the record and half of the folder"])
def test_cleaning_that_was_killed_is_ended_by_the_next_one(site: Site, left: str) -> None:
    tip = site.builder("api")
    site.git(site.root, "merge", "-q", "--ff-only", tip)
    path = site.project.worktree("run", "api")
    if left == "the whole record":
        shutil.rmtree(path.parent)
    else:
        path.rename(path.with_name(".removed-api"))
    site.clean()
    assert site.git(site.root, "worktree", "list", "--porcelain").count("worktree ") == 1
    assert site.git(site.root, "branch", "--list", "relay/*") == ""
    assert not path.parent.exists()


def test_one_that_cannot_be_read_stays_with_the_reason_and_the_others_go(site: Site) -> None:
    tips = [site.builder(name) for name in ("api", "web", "zoo")]
    for tip in tips:
        site.git(site.root, "merge", "-q", tip)
    for key, setting in (("clean", "no-such-program"), ("required", "true")):
        site.git(site.root, "config", f"filter.gone.{key}", setting)
    web = site.project.worktree("run", "web")
    (web / ".gitattributes").write_text("*.bin filter=gone\n")
    (web / "some.bin").write_text("some")
    removed, kept = site.clean()
    assert removed == ["api", "zoo", "api", "zoo"]
    assert set(kept) == {"web"}
    (why,) = [why for what, why in clean_run(site.repo, site.project, "run", "main").kept if what == str(web)]
    assert "no-such-program" in why
    assert (web / "some.bin").exists()


def test_a_torn_private_index_is_made_again(site: Site) -> None:
    site.git(site.root, "merge", "-q", site.builder("api"))
    Checkout.at(site.repo, site.project.worktree("run", "api")).index.write_bytes(b"DIRC torn")
    assert site.clean() == (["api", "api"], {})


def test_what_is_no_folder_is_nobody_s_worktree(site: Site) -> None:
    site.git(site.root, "merge", "-q", site.builder("api"))
    notes = site.project.worktree("run", "notes.txt")
    notes.write_text("mine")
    assert site.clean() == (["api", "api"], {"notes.txt": "it is no folder"})
    assert notes.read_text() == "mine"
