"""A disk that fills while git writes: what was committed stays, and the same call works when there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from small_disk import SmallDisk

from lib.errors import RelayError
from lib.git.land import Landed, land
from lib.git.merge import merge_builders
from lib.git.run import Repo
from lib.git.worktrees import prepare, snapshot
from lib.project.paths import find_project

Git = Callable[..., str]
BRANCH = "relay/run/api"


@pytest.fixture
def small(small_disk: SmallDisk, git: Git) -> Path:
    """A project on a file system of 4 MB."""
    root = small_disk("size=4m") / "project"
    root.mkdir()
    git(root, "init", "-q")
    (root / ".git" / "info" / "exclude").write_text(".project/\nballast\n")
    (root / "large").write_bytes(b"0123456789abcdef" * 10_000)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "start")
    return root


def fill(root: Path, room: int) -> Path:
    """Leaves `room` bytes."""
    ballast = root / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    os.truncate(ballast, ballast.stat().st_size - room)
    return ballast


def full(task: Callable[[], object]) -> None:
    with pytest.raises((RelayError, OSError)) as caught:
        task()
    if isinstance(caught.value, RelayError):
        assert caught.value.code in {"disk_full", "write_full"}
        assert caught.value.remedy.startswith("df -h")


@pytest.mark.parametrize("room", [0, 40_960, 204_800])
def test_a_snapshot_on_a_full_disk_leaves_the_branch_and_the_work(small: Path, git: Git, room: int) -> None:
    repo, base = Repo.of(find_project(small)), git(small, "rev-parse", "HEAD")
    path = small / ".project" / "worktrees" / "run" / "api"
    prepare(repo, path, BRANCH, base)
    (path / "new").write_bytes(bytes(subprocess.run(["head", "-c", "400000", "/dev/urandom"], check=True,
                                                    capture_output=True).stdout))  # fmt: skip
    ballast = fill(small, room)
    full(lambda: snapshot(repo, path, BRANCH, base, author_name="api", message="api"))
    assert git(small, "rev-parse", BRANCH) == base
    ballast.unlink()
    assert snapshot(repo, path, BRANCH, base, author_name="api", message="api").changed == ["new"]
    git(small, "fsck", "--strict", "--no-dangling")


@pytest.mark.parametrize("room", [0, 61_440, 143_360])
def test_making_a_worktree_on_a_full_disk_can_be_done_again(small: Path, git: Git, room: int) -> None:
    repo, base = Repo.of(find_project(small)), git(small, "rev-parse", "HEAD")
    path = small / ".project" / "worktrees" / "run" / "api"
    ballast = fill(small, room)
    full(lambda: prepare(repo, path, BRANCH, base))
    ballast.unlink()
    prepare(repo, path, BRANCH, base)
    assert git(path, "status", "--porcelain", "--branch") == f"## {BRANCH}"
    git(small, "fsck", "--strict", "--no-dangling")


@pytest.mark.parametrize("room", [0, 40_960, 122_880])
def test_merging_and_landing_on_a_full_disk_can_be_done_again(small: Path, git: Git, room: int) -> None:
    repo, base = Repo.of(find_project(small)), git(small, "rev-parse", "HEAD")
    (small / "large").write_bytes(b"fedcba9876543210" * 20_000)
    (small / "more").write_bytes(b"more" * 5_000)
    git(small, "add", "-A")
    git(small, "commit", "-qm", "work")
    tip = git(small, "rev-parse", "HEAD")
    git(small, "reset", "-q", "--hard", base)
    (small / "mine").write_text("untracked")

    def finish() -> object:
        head = merge_builders(repo, "refs/heads/relay/run/merged", base, [("api", tip, "work")]).head
        done = land(repo, "main", base, head, lambda _entry: None)
        return done == Landed(head)

    ballast = fill(small, room)
    full(finish)
    assert git(small, "rev-parse", "main") == base
    ballast.unlink()
    assert finish()
    assert git(small, "status", "--porcelain") == "?? mine"
    git(small, "fsck", "--strict", "--no-dangling")
