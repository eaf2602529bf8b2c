"""A look into a worktree, and the private index, tell what several commands of git's would."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.git.checkout import Checkout
from lib.git.indexfile import Index, read_index
from lib.git.listing import Listing, holds, listed
from lib.git.run import Repo
from lib.git.run import git as run
from lib.project.paths import find_project

Git = Callable[..., str]


class Site:
    """A repository whose own work tree is looked at by its own index."""

    def __init__(self, root: Path, git: Git) -> None:
        self.root, self.git = root, git
        self.repo = Repo.of(find_project(root))
        self.checkout = Checkout(root, root / ".git" / "index")
        (root / ".gitignore").write_text("*.log\nbuild/\n")
        git(root, "add", "-A")
        git(root, "commit", "-qm", "ignore")

    @property
    def tree(self) -> str:
        return self.git(self.root, "rev-parse", "HEAD^{tree}")

    @property
    def index(self) -> Index | None:
        return read_index(self.checkout.index, 40)

    def look(self) -> Listing:
        return listed(self.repo, self.checkout)

    def holds(self) -> bool:
        return holds(self.checkout, self.tree, self.look())


@pytest.fixture
def site(repo: Path, git: Git) -> Site:
    return Site(repo, git)


@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_the_index_of_each_version_names_its_tree(site: Site, version: str) -> None:
    names = [
        "a",
        "a" * 250,
        "a" * 100 + "b",
        "ü/" + "x" * 61,
        os.fsdecode(b"\xe9\n"),
        *("n" * each for each in range(2, 9)),
    ]
    for name in names:
        (site.root / name).parent.mkdir(exist_ok=True)
        (site.root / name).write_text("content")
    site.git(site.root, "update-index", f"--index-version={version}")
    site.git(site.root, "add", "-A")
    assert site.index == Index(None, plain=True, submodules=False)
    site.git(site.root, "commit", "-qm", "many")
    assert site.index == Index(site.tree, plain=True, submodules=False)
    assert site.holds()
    long = "/".join(["d" * 250] * 20)  # longer than an entry can say
    site.git(
        site.root, "update-index", "--add", "--cacheinfo", f"100644,{site.git(site.root, 'hash-object', 'a')},{long}"
    )
    tree = site.git(site.root, "write-tree")
    assert site.index == Index(tree, plain=True, submodules=False)


def test_the_index_tells_what_git_does_not_look_at(site: Site) -> None:
    for on, off in (("--skip-worktree", "--no-skip-worktree"), ("--assume-unchanged", "--no-assume-unchanged")):
        site.git(site.root, "update-index", on, "README.md")
        site.git(site.root, "write-tree")
        assert site.index == Index(site.tree, plain=False, submodules=False)
        assert not site.holds()
        site.git(site.root, "update-index", off, "README.md")
        site.git(site.root, "write-tree")
        assert site.holds()
    (site.root / "meant").touch()
    site.git(site.root, "add", "--intent-to-add", "meant")
    assert not site.holds()
    site.git(site.root, "rm", "-q", "--cached", "meant")
    (site.root / "meant").unlink()
    head = site.git(site.root, "rev-parse", "HEAD")
    site.git(site.root, "update-index", "--add", "--cacheinfo", f"160000,{head},module")
    site.git(site.root, "commit", "-qm", "module")
    assert site.index == Index(site.tree, plain=False, submodules=True)
    assert not site.holds()


def test_an_unresolved_index_holds_nothing(site: Site) -> None:
    blobs = [run(site.repo, "hash-object", "-w", "--stdin", input=text).text for text in (b"ours", b"theirs")]
    stages = "".join(f"100644 {blob} {stage}\tREADME.md\n" for stage, blob in enumerate(blobs, 2))
    run(site.repo, "update-index", "--index-info", input=f"0 {'0' * 40}\tREADME.md\n{stages}".encode())
    assert site.index == Index(None, plain=False, submodules=False)
    assert not site.look().same


def test_what_is_no_whole_index_is_left_to_git(site: Site, tmp_path: Path) -> None:
    whole = site.checkout.index.read_bytes()
    for number, data in enumerate(
        (b"", b"DIRC", whole[:50], whole[:90], b"X" + whole[1:], b"DIRC\0\0\0\x09" + whole[8:])
    ):
        (tmp_path / str(number)).write_bytes(data)
        assert read_index(tmp_path / str(number), 40) is None
    assert read_index(tmp_path / "none", 40) is None
    site.git(site.root, "update-index", "--split-index")
    assert site.index is None


def test_names_of_sha256_are_read_as_well(tmp_path: Path, git: Git) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256", str(tmp_path / "newer"))
    newer = Site(tmp_path / "newer", git)
    assert read_index(newer.checkout.index, 64) == Index(newer.tree, plain=True, submodules=False)
    assert newer.holds()


def test_every_change_is_seen(site: Site) -> None:
    file, before = site.root / "README.md", (site.root / "README.md").read_bytes()

    def back() -> None:
        shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink(missing_ok=True)
        file.write_bytes(before)
        file.chmod(0o644)

    def replace_by_link() -> None:
        file.unlink()
        file.symlink_to("src/app.py")

    def replace_by_folder() -> None:
        file.unlink()
        file.mkdir()

    changes: tuple[Callable[[], object], ...] = (
        lambda: file.write_bytes(before.swapcase()), lambda: file.chmod(0o755), file.unlink, replace_by_link,
        replace_by_folder, (site.root / "new").touch,
    )  # fmt: skip
    for change in changes:
        assert site.holds()
        change()
        assert not site.holds()
        back()
        (site.root / "new").unlink(missing_ok=True)
    os.utime(file)
    assert site.holds()  # its time alone is no change
    (site.root / "new").touch()
    site.git(site.root, "add", "new")
    assert not site.holds()


def test_new_files_and_repositories_within_are_those_of_git(site: Site) -> None:
    (site.root / "new" / "deep").mkdir(parents=True)
    for name in ("new/one", "new/deep/two", os.fsdecode(b"\xff\n"), "a.log", "build/out", "new/build/out", "src/b.log"):
        (site.root / name).parent.mkdir(exist_ok=True)
        (site.root / name).touch()
    (site.root / "empty").mkdir()
    for name in ("inner", "new/inner", "build/inner", "bare"):
        site.git(site.root, "init", "-q", *(["--bare"] if name == "bare" else []), name)
    (site.root / "inner" / "file").touch()
    site.git(site.root / "inner", "add", "-A")
    site.git(site.root / "inner", "commit", "-qm", "inner")
    site.git(site.root, "worktree", "add", "-q", "--detach", "linked")
    found = site.look()
    others = run(site.repo, "ls-files", "--others", "--exclude-standard", "-z").fields()
    assert sorted(found.untracked) == sorted(others)
    assert {"inner/", "new/inner/", "linked/"} <= set(others)
    assert found.same
    assert found.ignored == {"a.log", "build/", "new/build/", "src/b.log"}


def test_it_is_the_index_that_is_compared_and_not_what_the_user_has_checked_out(site: Site) -> None:
    before = site.tree
    (site.root / "later").write_text("later")
    (site.root / "README.md").unlink()
    site.git(site.root, "add", "-A")
    site.git(site.root, "commit", "-qm", "later")
    index = site.root / ".git" / "private"
    other = site.root.with_name("other")
    other.mkdir()
    run(site.repo, "read-tree", "--reset", "-u", "HEAD~1", index=index, work_tree=other)
    checkout = Checkout(other, index)
    assert holds(checkout, before, listed(site.repo, checkout))
    (other / "README.md").write_text("changed")
    assert not listed(site.repo, checkout).same
