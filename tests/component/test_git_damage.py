"""Records of a worktree that something emptied or tore: preparing it again mends them, and loses no work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lib.files.syncing import hollow, mounted
from lib.git.inspect import resolve
from lib.git.reflog import read_log
from lib.git.rescue import rescued
from lib.git.run import Repo
from lib.git.whole import believed, sound_index
from lib.git.worktrees import Checkout, prepare, snapshot
from lib.project.paths import find_project

Git = Callable[..., str]
BRANCH = "relay/run/api"


class Site:
    """A builder's worktree with one commit of it, and work that is not collected yet."""

    def __init__(self, root: Path, git: Git) -> None:
        self.root = root
        self.repo = Repo.of(find_project(root))
        self.path = root / ".project" / "worktrees" / "run" / "api"
        self.checkout = Checkout.at(self.repo, self.path)
        self.base = git(root, "rev-parse", "HEAD")
        (root / ".git" / "info" / "exclude").write_text(".project/\n")
        self.prepare()
        (self.path / "first.txt").write_text("first\n")
        self.first = self.snapshot()
        (self.path / "second.txt").write_text("second\n")

    def prepare(self) -> None:
        prepare(self.repo, self.path, BRANCH, self.base)

    def snapshot(self) -> str:
        taken = snapshot(self.repo, self.path, BRANCH, self.base, author_name="api", message="api")
        return taken.commit


@pytest.fixture
def site(repo: Path, git: Git) -> Site:
    return Site(repo, git)


@pytest.mark.parametrize("content", [b"", bytes(400), b"DIRC torn"])
@pytest.mark.parametrize("what", ["private index", "pointer", "index", "HEAD", "gitdir", "commondir", "branch"])
def test_a_record_that_was_emptied_is_made_good(site: Site, git: Git, what: str, content: bytes) -> None:
    record = site.root / ".git" / "worktrees" / "api"
    places = {
        "private index": site.checkout.index,
        "pointer": site.path / ".git",
        "branch": site.root / ".git" / "refs" / "heads" / BRANCH,
    }
    places.get(what, record / what).write_bytes(content)
    site.prepare()
    assert resolve(site.repo, f"refs/heads/{BRANCH}") == site.first
    commit = site.snapshot()
    assert git(site.root, "diff", "--name-only", site.base, commit).splitlines() == ["first.txt", "second.txt"]
    assert git(site.root, "rev-parse", f"{commit}^") == site.first
    assert git(site.path, "status", "--porcelain", "--branch") == f"## {BRANCH}"
    assert rescued(site.repo) == []


def test_of_a_torn_log_only_what_can_be_read_counts(site: Site) -> None:
    log = site.root / ".git" / "logs" / "refs" / "heads" / BRANCH
    whole = read_log(log)
    log.write_bytes(log.read_bytes() + bytes(100) + b"\n\n0123")
    assert read_log(log) == whole
    assert whole[0] == (site.first, "relay: what the builder left")


def test_a_worktree_is_believed_from_its_making_on(site: Site) -> None:
    assert believed(site.checkout)
    assert sound_index(site.checkout.index)
    site.checkout.index.with_name("api.whole").write_text(f"{mounted(site.path)}0")
    assert not believed(site.checkout)
    site.prepare()
    assert believed(site.checkout)
    assert (site.path / "second.txt").read_text() == "second\n"


@pytest.mark.parametrize(("content", "empty"), [(b"", True), (bytes(70_000), True), (bytes(70_000) + b"x", False)])
def test_a_file_of_zeros_is_hollow(tmp_path: Path, content: bytes, empty: bool) -> None:
    (tmp_path / "file").write_bytes(content)
    assert hollow(tmp_path / "file") is empty
