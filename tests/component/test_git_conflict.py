"""A conflict in the run's worktree: as git leaves it, resolved in any way a person may, taken over when resolved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lib.git.conflict import accept, adopt, stage, unresolved
from lib.git.merge import Conflict
from lib.git.rescue import rescued
from lib.git.run import Repo
from lib.git.worktrees import show
from lib.project.paths import find_project

Git = Callable[..., str]
RUN = "refs/heads/relay/run/merged"


class Site:
    def __init__(self, root: Path, git: Git) -> None:
        self.root, self.git = root, git
        (root / ".git" / "info" / "exclude").write_text(".project/\n")
        (root / "image").write_bytes(b"\0base")
        (root / "doomed").write_text("doomed\n")
        git(root, "add", "-A")
        git(root, "commit", "-qm", "base")
        self.head = self.side("ours", b"\0ours")
        self.theirs = self.side("theirs", b"\0theirs")
        git(root, "update-ref", RUN, self.head)
        git(root, "branch", "relay/run/api", self.theirs)
        self.repo = Repo.of(find_project(root))
        self.path = root / ".project" / "worktrees" / "run" / "merged"

    def side(self, text: str, image: bytes) -> str:
        self.git(self.root, "switch", "-q", "--detach", "main")
        (self.root / "README.md").write_text(f"{text}\n")
        (self.root / f"{text}.py").write_text(f"{text}\n")
        (self.root / "image").write_bytes(image)
        (self.root / "doomed").write_text(f"{text}\n")
        if text == "theirs":
            (self.root / "doomed").unlink()
        self.git(self.root, "add", "-A")
        self.git(self.root, "commit", "-qm", text)
        commit = self.git(self.root, "rev-parse", "HEAD")
        self.git(self.root, "switch", "-q", "main")
        return commit

    def stage(self) -> None:
        stage(self.repo, self.path, self.head, self.theirs, label="relay/run/api")

    def unresolved(self) -> list[str]:
        return unresolved(self.repo, self.path, self.head, self.theirs)

    def accept(self) -> str | list[str]:
        return accept(self.repo, self.path, RUN, self.head, self.theirs, "Merge api")

    def accepted(self) -> str:
        commit = self.accept()
        assert isinstance(commit, str), commit
        assert self.git(self.root, "rev-parse", RUN) == commit == self.accept()
        assert self.git(self.root, "merge-base", "--is-ancestor", self.head, commit) == ""
        assert self.git(self.root, "merge-base", "--is-ancestor", self.theirs, commit) == ""
        assert self.git(self.path, "status", "--porcelain") == ""
        assert "All conflicts fixed" not in self.git(self.path, "status")
        return commit


@pytest.fixture
def site(repo: Path, git: Git) -> Site:
    made = Site(repo, git)
    made.stage()
    return made


def test_a_user_without_a_name_is_no_hindrance(repo: Path, git: Git) -> None:
    site = Site(repo, git)
    git(repo, "config", "--global", "--remove-section", "user")
    git(repo, "config", "user.useConfigOnly", "true")
    site.stage()
    assert "UU README.md" in git(site.path, "status", "--porcelain")


def test_it_is_left_as_git_merge_leaves_it(site: Site) -> None:
    assert (site.path / "README.md").read_text() == "<<<<<<< HEAD\nours\n=======\ntheirs\n>>>>>>> relay/run/api\n"
    status = site.git(site.path, "status", "--porcelain").splitlines()
    assert status == ["UU README.md", "UD doomed", "UU image", "A  theirs.py"]
    assert site.git(site.path, "rev-parse", "MERGE_HEAD") == site.theirs
    assert site.git(site.root, "status", "--porcelain") == ""


def test_what_is_open_is_told_one_by_one(site: Site) -> None:
    assert site.unresolved() == [
        "README.md: line 1 is a conflict marker: <<<<<<< HEAD",
        "doomed: keep it with git add, or remove it with git rm",
        "image: keep it with git add, or remove it with git rm",
    ]
    assert site.accept() == site.unresolved()
    assert site.git(site.root, "rev-parse", RUN) == site.head


def test_staging_again_keeps_what_was_resolved_so_far(site: Site) -> None:
    (site.path / "README.md").write_text("both\n")
    site.stage()
    assert (site.path / "README.md").read_text() == "both\n"
    assert len(site.unresolved()) == 2


def test_markers_that_were_staged_or_committed_are_still_open(site: Site) -> None:
    (site.path / "README.md").write_text("ours\n=======\ntheirs\n")
    site.git(site.path, "rm", "-q", "doomed")
    site.git(site.path, "add", "-A")
    assert site.unresolved() == []  # in prose it may be a heading
    (site.path / "README.md").write_text("ours\n>>>>>>> relay/run/api\n")
    site.git(site.path, "add", "-A")
    assert len(site.unresolved()) == 1
    site.git(site.path, "commit", "-qm", "done, I say")
    assert site.unresolved() == ["README.md: line 2 is a conflict marker: >>>>>>> relay/run/api"]


@pytest.mark.parametrize("size", [4, 12])
def test_markers_of_another_size_are_still_open(site: Site, size: int) -> None:
    (site.root / ".git" / "info" / "attributes").write_text(f"* conflict-marker-size={size}\n")
    (site.path / "README.md").write_text(f"ours\n{'>' * size} relay/run/api\n")
    site.git(site.path, "add", "-A")
    assert [line for line in site.unresolved() if line.startswith("README.md: line 2 is a conflict marker")]
    (site.path / "README.md").write_text("ours\n>>> both()\n")
    assert not [line for line in site.unresolved() if line.startswith("README.md")]


def test_a_resolution_by_edits_alone_is_accepted(site: Site) -> None:
    (site.path / "README.md").write_text("both\n")
    (site.path / "doomed").unlink()
    (site.path / "image").write_bytes(b"\0both")
    (site.path / "extra").write_text("needed too\n")
    commit = site.accepted()
    assert site.git(site.root, "rev-parse", f"{commit}^1", f"{commit}^2").split() == [site.head, site.theirs]
    assert site.git(site.root, "show", f"{commit}:README.md") == "both"
    files = site.git(site.root, "ls-tree", "-r", "--name-only", commit).splitlines()
    assert files == ["README.md", "extra", "image", "ours.py", "src/app.py", "theirs.py"]


def test_an_index_that_the_user_has_split_is_no_hindrance(repo: Path, git: Git) -> None:
    git(repo, "config", "core.splitIndex", "true")
    site = Site(repo, git)
    site.stage()
    (site.path / "README.md").write_text("both\n")
    (site.path / "doomed").unlink()
    (site.path / "image").write_bytes(b"\0both")
    assert site.accepted()


@pytest.mark.parametrize("then", ["add", "commit", "commit twice"])
def test_a_resolution_with_git_is_accepted(site: Site, then: str) -> None:
    (site.path / "README.md").write_text("both\n")
    site.git(site.path, "add", "-A")
    if then != "add":
        site.git(site.path, "commit", "-qm", "by hand")
    if then == "commit twice":
        (site.path / "README.md").write_text("both, better\n")
        site.git(site.path, "commit", "-qam", "by hand again")
    commit = site.accepted()
    subjects = {"add": "Merge api", "commit": "by hand", "commit twice": "by hand again"}
    assert site.git(site.root, "log", "-1", "--format=%s", commit) == subjects[then]


def test_a_person_who_gave_the_merge_up_and_typed_it_in_is_accepted(site: Site) -> None:
    site.git(site.path, "merge", "--abort")
    (site.path / "README.md").write_text("both\n")
    assert site.git(site.root, "show", f"{site.accepted()}:README.md") == "both"


def test_work_in_the_way_of_a_conflict_is_rescued(repo: Path, git: Git) -> None:
    site = Site(repo, git)
    show(site.repo, site.path, site.head)
    (site.path / "mine").write_text("mine")
    site.stage()
    [kept] = rescued(site.repo)
    assert git(repo, "show", f"{kept.commit}:mine") == "mine"
    assert len(site.unresolved()) == 3


def test_what_a_person_mended_in_the_merged_worktree_is_taken_along(repo: Path, git: Git) -> None:
    site = Site(repo, git)
    show(site.repo, site.path, site.head)
    assert adopt(site.repo, site.path, RUN, "Mended") == site.head
    (site.path / "src" / "app.py").write_text("mended\n")
    commit = adopt(site.repo, site.path, RUN, "Mended")
    assert isinstance(commit, str)
    assert git(repo, "log", "-1", "--format=%s %P", commit) == f"Mended {site.head}"
    assert git(site.path, "status", "--porcelain") == ""
    assert rescued(site.repo) == []


def test_what_a_person_mended_is_merged_with_what_came_since(repo: Path, git: Git) -> None:
    site = Site(repo, git)
    show(site.repo, site.path, git(repo, "rev-parse", "main"))
    (site.path / "src" / "app.py").write_text("mended\n")
    commit = adopt(site.repo, site.path, RUN, "Mended")
    assert git(repo, "show", f"{commit}:src/app.py", f"{commit}:README.md") == "mended\nours"
    show(site.repo, site.path, git(repo, "rev-parse", "main"))
    (site.path / "README.md").write_text("mended\n")
    assert isinstance(adopt(site.repo, site.path, RUN, "Mended"), Conflict)
    assert git(repo, "rev-parse", RUN) == commit
    assert (site.path / "README.md").read_text() == "mended\n"
    assert len(rescued(site.repo)) == 1
