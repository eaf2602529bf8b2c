"""Ignored files of a builder are reported, and kept when its worktree goes; those of commands, and caches, are not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.git.checkout import Checkout
from lib.git.clean import clean_run
from lib.git.ignored import in_words, is_partial, note_built
from lib.git.listing import listed
from lib.git.look import look
from lib.git.run import Repo
from lib.git.worktrees import prepare
from lib.project.paths import find_project

Git = Callable[..., str]


class Site:
    """A project that ignores some files, and a builder's worktree in it with the file that is copied into each."""

    def __init__(self, root: Path, git: Git) -> None:
        self.root, self.git = root, git
        self.project = find_project(root)
        self.repo = Repo.of(self.project)
        self.path = self.project.worktree("run", "api")
        (root / ".gitignore").write_text(".project/\n.env\n*.sqlite\nbuild/\n__pycache__/\nnode_modules/\n/copied/\n")
        (root / ".worktreeinclude").write_text("copied/\n")
        git(root, "add", "-A")
        git(root, "commit", "-qm", "ignore")
        (root / "copied").mkdir()
        (root / "copied" / "secret").write_text("the user's")
        base = git(root, "rev-parse", "HEAD")
        prepare(self.repo, self.path, "relay/run/api", base, include_from=root)

    def write(self, *names: str) -> None:
        for name in names:
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(name)

    def built(self) -> list[str]:
        checkout = Checkout.at(self.repo, self.path)
        return note_built(checkout, listed(self.repo, checkout).ignored)

    def clean(self) -> list[str]:
        done = clean_run(self.repo, self.project, "run", "main")
        assert not self.path.exists()
        return done.told


@pytest.fixture
def site(repo: Path, git: Git) -> Site:
    return Site(repo, git)


def test_what_was_copied_and_what_commands_made_is_not_the_builders(site: Site) -> None:
    site.write("node_modules/one/index.js", "build/setup.o")
    look(site.repo, site.path)
    site.write(".env", "src/data.sqlite", "src/__pycache__/app.pyc", "web/build/out.js")
    assert site.built() == [".env", "src/data.sqlite", "web/build/"]
    site.write("verified.sqlite")
    look(site.repo, site.path)
    assert site.built() == [".env", "src/data.sqlite", "web/build/"]


def test_what_a_builder_made_is_kept_when_its_worktree_goes(site: Site) -> None:
    site.write(".env", "web/build/out.js", "web/build/more.js", "src/__pycache__/app.pyc")
    (told,) = site.clean()
    kept = site.project.run_dir("run") / "ignored" / "api"
    assert told == f"ignored files of api are kept in {kept}: .env, web/build/ (2 files)"
    assert (kept / ".env").read_text() == ".env"
    assert (kept / "web" / "build" / "out.js").exists()
    assert not (kept / "src").exists()
    assert not (kept / "copied").exists()


def test_what_is_large_goes_and_is_told(site: Site) -> None:
    site.write("build/out.js")
    with (site.path / "build" / "large.bin").open("wb") as stream:
        stream.truncate(20_000_000)
    assert site.clean() == ["ignored files of api go with its worktree: build/ (2 files)"]


def test_caches_alone_are_nothing_to_tell(site: Site) -> None:
    site.write("src/__pycache__/app.pyc", "node_modules/one/index.js")
    assert site.built() == []
    assert site.clean() == []


def test_a_link_leads_nowhere(site: Site, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").write_text("the user's")
    (site.path / "data.sqlite").symlink_to(tmp_path / "elsewhere")
    site.clean()
    kept = site.project.run_dir("run") / "ignored" / "api" / "data.sqlite"
    assert kept.is_symlink()
    assert (tmp_path / "elsewhere" / "mine").exists()


def test_many_are_named_in_part(site: Site) -> None:
    site.write(*(f"{number}.sqlite" for number in range(9)))
    names = site.built()
    assert in_words(site.path, names).endswith("5.sqlite and 3 more")


def test_a_name_that_is_no_text_is_told_as_it_is(site: Site) -> None:
    name = os.fsdecode(b"\xe9.sqlite")
    (site.path / name).write_text("data")
    assert in_words(site.path, site.built()) == name
    (told,) = site.clean()
    assert told.endswith(f": {name}")


@pytest.mark.parametrize(("name", "partial"), [
    (".env", True), ("node_modules/lib.js", True), ("src/__pycache__/app.pyc", False), ("src/plain.py", False),
])  # fmt: skip
def test_a_commit_is_not_all_that_others_need_if_ignored_files_were_made(
    site: Site, name: str, *, partial: bool
) -> None:
    checkout = Checkout.at(site.repo, site.path)
    site.write(name)
    assert is_partial(checkout, listed(site.repo, checkout).ignored) is partial
    look(site.repo, site.path)  # as after setup
    assert not is_partial(checkout, listed(site.repo, checkout).ignored)
