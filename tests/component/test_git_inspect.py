"""Repositories in which a run may start, and those in which it is refused before anything is made."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.errors import RelayError
from lib.git.inspect import changed_paths, in_progress, is_ancestor, resolve, starting_point, worktrees
from lib.git.run import Repo
from lib.project.paths import find_project

Git = Callable[..., str]


def of(folder: Path) -> Repo:
    return Repo.of(find_project(folder))


def refusal(folder: Path) -> RelayError:
    with pytest.raises(RelayError) as caught:
        starting_point(of(folder))
    return caught.value


def test_a_run_starts_from_the_branch_that_is_checked_out(repo: Path, git: Git) -> None:
    git(repo, "switch", "-qc", "feature/ünicode")
    base = starting_point(of(repo / "src"))
    assert (base.branch, base.commit) == ("feature/ünicode", git(repo, "rev-parse", "HEAD"))


def test_a_repository_without_commits_is_refused_with_what_to_type(tmp_path: Path, git: Git) -> None:
    git(tmp_path, "init", "-q")
    error = refusal(tmp_path)
    assert (error.code, error.remedy) == ("no_commits", "git commit --allow-empty -m start")


def test_a_detached_head_is_refused_with_what_to_type(repo: Path, git: Git) -> None:
    git(repo, "switch", "-q", "--detach")
    error = refusal(repo)
    assert (error.code, error.remedy) == ("detached_head", "git switch -c my-work")


def test_a_bare_repository_is_refused(repo: Path, git: Git) -> None:
    git(repo, "config", "core.bare", "true")
    assert refusal(repo).code == "bare_repository"


def test_git_that_is_not_installed_is_told(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert refusal(repo).code == "git_missing"


def test_a_git_that_is_too_old_is_told(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho git version 2.37.9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    assert refusal(repo).code == "git_too_old"


def test_a_repository_of_another_user_is_refused_as_git_would(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:
        for folder in (repo, repo / ".git"):
            os.chown(folder, 12345, 12345)
    else:  # only root gives a file away: git itself takes every repository for somebody else's
        program = tmp_path / "bin" / "git"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {shutil.which("git")} "$@"\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    error = refusal(repo)
    assert (error.code, error.remedy) == (
        "repository_refused",
        f"git config --global --add safe.directory {repo}",
    )


def test_shallow_clones_linked_worktrees_and_odd_paths_work(repo: Path, tmp_path: Path, git: Git) -> None:
    shallow = tmp_path / "mit leerzeichen ü\n" / "clone"
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{repo}", shallow], check=True)
    git(repo, "worktree", "add", "-q", "-b", "side", tmp_path / "linked tree")
    assert starting_point(of(shallow)).branch == "main"
    assert starting_point(of(tmp_path / "linked tree")).branch == "side"


def test_inherited_git_variables_choose_no_other_repository(
    repo: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = git(repo, "rev-parse", "HEAD")
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"):
        monkeypatch.setenv(name, str(other / ".git"))
    assert starting_point(of(repo)).commit == head


def test_what_a_user_has_begun_is_told(repo: Path, git: Git) -> None:
    assert in_progress(repo / ".git") is None
    git(repo, "switch", "-qc", "side")
    (repo / "README.md").write_text("side\n")
    git(repo, "commit", "-qam", "side")
    git(repo, "switch", "-q", "main")
    (repo / "README.md").write_text("main\n")
    git(repo, "commit", "-qam", "main")
    git(repo, "merge", "side", check=False)
    assert in_progress(repo / ".git") == "merge"
    git(repo, "merge", "--abort")
    git(repo, "rebase", "side", check=False)
    assert in_progress(repo / ".git") == "rebase"


def test_names_that_look_like_options_are_names(repo: Path) -> None:
    for name in ("-d", "--output=F", "--git-dir=/", "a..b", "x\ny", "n" * 300, "HEAD^{tree}"):
        assert resolve(of(repo), name) is None
    assert not (repo / "F").exists()


def test_ancestors_changes_and_worktrees(repo: Path, tmp_path: Path, git: Git) -> None:
    old = git(repo, "rev-parse", "HEAD")
    (repo / "two\nlines ü").write_text("x")
    (repo / "README.md").unlink()
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "more")
    new = git(repo, "rev-parse", "HEAD")
    assert sorted(changed_paths(of(repo), old, new)) == [("A", "two\nlines ü"), ("D", "README.md")]
    assert is_ancestor(of(repo), old, new)
    assert not is_ancestor(of(repo), new, old)
    linked = tmp_path / "with\nnewline"
    git(repo, "worktree", "add", "-q", "--detach", linked)
    found = worktrees(of(repo))
    assert [(tree.path, tree.branch) for tree in found] == [(repo, "refs/heads/main"), (linked, None)]
