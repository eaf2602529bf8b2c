"""The user's own git and `gc --prune=now` all the while: everything is made, and the repository stays sound."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from eventually import WAIT_S, eventually

from lib.git import run as facade
from lib.git.land import Landed, land
from lib.git.merge import combine, merge_builders
from lib.git.objects import commit_tree, gc_safe, move_ref
from lib.git.worktrees import prepare, remove, snapshot
from lib.project.paths import find_project

Git = Callable[..., str]
ROUNDS = 4
#: Expires and collects, looks and commits, until the file `stop` is there; each failure is written down.
USER = """
run() { git "$@" >/dev/null 2>>"$0/said" || echo "git $*" >>"$0/failed"; }
while [ ! -e "$0/stop" ]; do
    run gc --quiet --prune=now
    echo >>"$0/rounds"
    run status --short
    echo line >>other.txt
    run commit -q --only -m mine other.txt
done
touch "$0/ended"
"""


@pytest.fixture
def busy_user(repo: Path, git: Git, tmp_path: Path) -> Iterator[Path]:
    """A folder that tells of a user who works on the branch `mine` in a worktree of their own."""
    notes = tmp_path / "notes"
    notes.mkdir()
    git(repo, "worktree", "add", "-q", "-b", "mine", str(tmp_path / "mine"))
    (tmp_path / "mine" / "other.txt").write_text("start\n")
    git(tmp_path / "mine", "add", "-A")
    git(tmp_path / "mine", "commit", "-qm", "mine")
    with subprocess.Popen(["sh", "-c", USER, notes], cwd=tmp_path / "mine") as user:
        eventually((notes / "rounds").exists)
        yield notes
        (notes / "stop").touch()
        assert user.wait(WAIT_S) == 0


def test_builders_are_made_taken_merged_and_landed_meanwhile(repo: Path, git: Git, busy_user: Path) -> None:
    handle = facade.Repo.of(find_project(repo))
    (repo / ".git" / "info" / "exclude").write_text(".project/\n")
    for number in range(ROUNDS):
        base, tips = git(repo, "rev-parse", "main"), []
        for name in ("api", "web"):
            path, branch = repo / ".project" / "worktrees" / f"run{number}" / name, f"relay/run{number}/{name}"
            prepare(handle, path, branch, base)
            (path / f"{name}{number}").write_text(f"{name} of round {number}")
            taken = snapshot(handle, path, branch, base, author_name=name, message=name)
            tips.append((name, taken.commit, name))
        run_ref = f"refs/heads/relay/run{number}/merged"
        merged = merge_builders(handle, run_ref, base, tips)
        assert merged.merged == ["api", "web"]
        assert isinstance(combine(handle, [tip for _, tip, _ in tips], "both"), str)
        assert land(handle, "main", base, merged.head, lambda _entry: None) == Landed(merged.head)
        for name in ("api", "web"):
            remove(handle, repo / ".project" / "worktrees" / f"run{number}" / name, f"relay/run{number}/{name}")
    eventually(lambda: (busy_user / "rounds").read_text().count("\n") > 1)
    (busy_user / "stop").touch()
    eventually((busy_user / "ended").exists)
    sound = subprocess.run(["git", "fsck", "--strict"], cwd=repo, capture_output=True, text=True, check=False)
    assert sound.returncode == 0, sound.stderr
    assert git(repo, "status", "--porcelain") == ""
    assert (repo / f"web{ROUNDS - 1}").read_text() == f"web of round {ROUNDS - 1}"


@pytest.mark.parametrize("existed", [False, True])
def test_a_commit_whose_objects_were_collected_is_made_again(repo: Path, git: Git, existed: bool) -> None:
    handle, ref = facade.Repo.of(find_project(repo)), "refs/heads/relay/run/new"
    base, tries = git(repo, "rev-parse", "main"), []
    if existed:
        git(repo, "branch", "relay/run/new")

    def make(attempt: int) -> str:
        tries.append(attempt)
        blob = run(handle, "hash-object", "-w", "--stdin", data=b"new")
        tree = run(handle, "mktree", data=f"100644 blob {blob}\tnew\n".encode())
        commit = commit_tree(handle, tree, [base], f"try {attempt}", facade.identity_env(handle))
        assert move_ref(handle, ref, commit, base if existed else None, "test")
        if not attempt:
            for name in (blob, commit):
                (repo / ".git" / "objects" / name[:2] / name[2:]).unlink()
        return commit

    commit = gc_safe(handle, ref, base, make)
    assert tries == [0, 1]
    assert git(repo, "show", f"{commit}:new") == "new"
    git(repo, "fsck", "--strict")


def run(handle: facade.Repo, *args: str, data: bytes) -> str:
    return facade.git(handle, *args, input=data).text
