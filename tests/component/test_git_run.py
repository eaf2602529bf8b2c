"""The façade: what surrounds a repository neither runs nor misleads it; failures say what to mend."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from eventually import WAIT_S, eventually
from strace import output, python, traced

from lib.errors import GitError, RelayError
from lib.git.inspect import worktrees
from lib.git.locks import remove_if_stale
from lib.git.objects import commit_as_user
from lib.git.run import GitTimeoutError, Repo, git, identity_env
from lib.git.worktree_records import records
from lib.git.worktrees import prepare, remove, snapshot
from lib.project.paths import find_project

Git = Callable[..., str]


@pytest.fixture
def handle(repo: Path) -> Repo:
    return Repo.of(find_project(repo))


@pytest.fixture(name="run_git")
def _run_git(git: Git) -> Git:
    return git


def round_trip(repo: Path, handle: Repo, run_git: Git) -> str:
    """A builder's life; gives its commit."""
    (repo / ".git" / "info" / "exclude").write_text(".project/\n")
    path = repo / ".project" / "worktrees" / "run" / "api"
    base = run_git(repo, "rev-parse", "main")
    prepare(handle, path, "relay/run/api", base)
    (path / "api.py").write_bytes(b"one\r\ntwo\n")
    taken = snapshot(handle, path, "relay/run/api", base, author_name="api", message="api")
    remove(handle, path)
    return taken.commit


@pytest.mark.parametrize("body", ["exit 1", "sleep 1000"])
def test_hooks_neither_fail_nor_hang_anything(repo: Path, handle: Repo, run_git: Git, body: str) -> None:
    for name in ("pre-commit", "post-checkout", "reference-transaction", "post-index-change", "prepare-commit-msg"):
        hook = repo / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\n{body}\n")
        hook.chmod(0o755)
    assert round_trip(repo, handle, run_git)


def test_settings_of_the_user_are_no_hindrance(
    repo: Path, handle: Repo, run_git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "commit.gpgsign": "true", "tag.gpgsign": "true", "gpg.program": "false", "core.fsmonitor": "sleep 1000",
        "core.hooksPath": "/nowhere", "core.autocrlf": "true", "core.safecrlf": "true", "core.splitIndex": "true",
        "core.untrackedCache": "true", "core.editor": "sleep 1000", "status.showUntrackedFiles": "no",
        "diff.external": "false", "diff.renames": "copies", "color.ui": "always", "core.quotePath": "true",
        "core.sharedRepository": "group", "pager.diff": "sleep 1000", "rebase.autoStash": "true",
        "index.version": "4", "feature.manyFiles": "true", "core.logAllRefUpdates": "always",
    }  # fmt: skip
    for name, value in settings.items():
        run_git(repo, "config", name, value)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare=true'")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    path = repo / ".project" / "worktrees" / "run" / "api"
    base = git(handle, "rev-parse", "main").text
    prepare(handle, path, "relay/run/api", base)
    (path / "api.py").write_bytes(b"one\r\ntwo\n")
    taken = snapshot(handle, path, "relay/run/api", base, author_name="api", message="api")
    assert taken.changed == ["api.py"]
    assert git(handle, "cat-file", "blob", f"{taken.commit}:api.py").out == b"one\ntwo\n"


def test_variables_that_say_where_settings_are_reach_git(
    handle: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, variable in (("user", "GIT_CONFIG_GLOBAL"), ("machine", "GIT_CONFIG_SYSTEM")):
        (tmp_path / name).write_text(f"[{name}]\n\tseen = true\n")
        monkeypatch.setenv(variable, str(tmp_path / name))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "0")
    assert git(handle, "config", "user.seen").text == "true"
    assert git(handle, "config", "machine.seen").text == "true"
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    assert git(handle, "config", "machine.seen", ok=(0, 1)).text == ""


def test_a_required_filter_that_is_missing_is_named(repo: Path, handle: Repo, run_git: Git) -> None:
    (repo / ".gitattributes").write_text("*.bin filter=lfs\n")
    run_git(repo, "add", ".gitattributes")
    run_git(repo, "commit", "-qm", "attributes")
    for name, value in {"clean": "git-lfs-that-is-missing clean -- %f", "required": "true"}.items():
        run_git(repo, "config", f"filter.lfs.{name}", value)
    path = repo / ".project" / "worktrees" / "run" / "api"
    base = run_git(repo, "rev-parse", "main")
    prepare(handle, path, "relay/run/api", base)
    (path / "x.bin").write_text("large")
    with pytest.raises(RelayError) as caught:
        snapshot(handle, path, "relay/run/api", base, author_name="api", message="api")
    assert caught.value.code == "filter_missing"
    assert "git-lfs-that-is-missing" in caught.value.remedy
    assert (path / "x.bin").read_text() == "large"


def test_without_a_name_of_the_user_s_relay_signs_and_with_one_it_does_not(
    repo: Path, handle: Repo, run_git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMAIL", "")
    assert identity_env(handle) == {}
    run_git(repo, "config", "--global", "--unset", "user.name")
    assert set(identity_env(handle)) == {"GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"}
    run_git(repo, "config", "--global", "--remove-section", "user")
    run_git(repo, "config", "user.useConfigOnly", "true")
    commit = round_trip(repo, handle, run_git)
    assert run_git(repo, "log", "-1", "--format=%cn <%ce>", commit) == "Relay <relay@localhost>"


@pytest.mark.parametrize(
    ("settings", "variables", "made_by"),
    [
        ({}, {}, "Ada <ada@example.org>"),
        ({"committer.name": "Ada, at work"}, {}, "Ada, at work <ada@example.org>"),
        ({"user.name": ""}, {}, "Relay <ada@example.org>"),
        ({"user.email": ""}, {"EMAIL": "not@said.to.git"}, "Ada <relay@localhost>"),
        ({"user.name": ""}, {"GIT_COMMITTER_NAME": "Eve"}, "Eve <ada@example.org>"),
        ({"user.email": ""}, {"GIT_COMMITTER_NAME": "Eve", "GIT_COMMITTER_EMAIL": "eve@x"}, "Eve <eve@x>"),
    ],
)
def test_a_commit_is_made_by_whom_the_user_has_named(
    repo: Path, handle: Repo, run_git: Git, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str],
    variables: dict[str, str], made_by: str,
) -> None:  # fmt: skip
    for key, setting in settings.items():
        run_git(repo, "config", "--global", *([key, setting] if setting else ["--unset", key]))
    for name, given in variables.items():
        monkeypatch.setenv(name, given)
    tree = run_git(repo, "rev-parse", "HEAD^{tree}")
    commit = commit_as_user(handle, tree, [], "message", {"GIT_AUTHOR_NAME": "api", "GIT_AUTHOR_EMAIL": "api@relay"})
    assert run_git(repo, "log", "-1", "--format=%cn <%ce>", commit) == made_by
    assert run_git(repo, "log", "-1", "--format=%an <%ae>", commit) == "api <api@relay>"


def test_what_takes_too_long_is_killed_with_all_that_it_started(repo: Path, handle: Repo, run_git: Git) -> None:
    run_git(repo, "config", "filter.slow.clean", "sleep 1000; cat")
    (repo / ".gitattributes").write_text("* filter=slow\n")
    with pytest.raises(GitTimeoutError) as caught:
        git(handle, "hash-object", "--path=x", "--stdin", input=b"x", timeout_s=0.3)
    assert caught.value.code == "git_timeout"


def test_an_unexpected_exit_is_an_error_in_git_s_words_and_an_expected_one_is_data(handle: Repo) -> None:
    with pytest.raises(GitError, match="Not a valid object name nope"):
        git(handle, "cat-file", "-p", "nope")
    assert git(handle, "cat-file", "-p", "nope", ok=(128,)).status == 128


@contextmanager
def program(script: str, *arguments: str | Path, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has said that it is ready."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


# --- worktrees that are made at once ---


FILL_IN = """
import sys, time
with open(sys.argv[1], "w") as file:
    print("ready", flush=True)
    time.sleep(0.5)
    file.write("../..\\n")
"""


def half_made(repo: Path, run_git: Git) -> Path:
    """The file without which git can't use the record of a worktree, before `git worktree add` has filled it in."""
    run_git(repo, "worktree", "add", "-q", "-b", "other", "../other")
    run_git(repo, "branch", "mine")
    file = repo / ".git" / "worktrees" / "other" / "commondir"
    file.write_text("")
    return file


def test_a_worktree_that_another_git_is_making_is_waited_for(repo: Path, handle: Repo, run_git: Git) -> None:
    file = half_made(repo, run_git)
    with program(FILL_IN, file, cwd=repo) as maker:
        git(handle, "worktree", "add", "-q", "../mine", "mine")
        assert file.read_text() == "../..\n"
        assert maker.wait(WAIT_S) == 0
    assert {place.path.name for place in worktrees(handle)} == {repo.name, "other", "mine"}


def test_the_record_of_a_worktree_that_is_complete_is_left_alone(repo: Path, run_git: Git) -> None:
    file = half_made(repo, run_git)
    file.write_text("../..\n")
    assert remove_if_stale(file, repo)
    assert file.read_text() == "../..\n"


def test_a_worktree_that_a_killed_git_left_half_made_hinders_nothing(repo: Path, handle: Repo, run_git: Git) -> None:
    half_made(repo, run_git)
    git(handle, "worktree", "add", "-q", "../mine", "mine")
    assert {"mine", repo.name} <= {place.path.name for place in worktrees(handle)}


@pytest.mark.parametrize("pointer", ["", "/some/where/.gi"])
def test_records_that_are_half_made_or_gone_are_left_out(repo: Path, handle: Repo, run_git: Git, pointer: str) -> None:
    run_git(repo, "worktree", "add", "-q", "-b", "other", "../other")
    torn, gone = repo / ".git" / "worktrees" / "torn", repo / ".git" / "worktrees" / "gone"
    torn.mkdir()
    (torn / "gitdir").write_text(pointer)
    gone.mkdir()
    (gone / "gitdir").symlink_to("nothing")
    assert [path for _, path in records(handle.common_dir)] == [repo.parent / "other"]
    assert round_trip(repo, handle, run_git)


def test_a_pointer_may_be_relative(repo: Path, handle: Repo, run_git: Git) -> None:
    """As git 2.48 writes it with worktree.useRelativePaths."""
    run_git(repo, "worktree", "add", "-q", "-b", "other", "../other")
    record = repo / ".git" / "worktrees" / "other"
    (record / "gitdir").write_text(f"{os.path.relpath(repo.parent / 'other', record)}/.git\n")
    assert list(records(handle.common_dir)) == [(record, repo.parent / "other")]


# --- locks ---


HOLD = """
import os, sys, time
fd = os.open(sys.argv[1], os.O_CREAT | os.O_EXCL | os.O_WRONLY)
print("ready", flush=True)
time.sleep(float(sys.argv[2]))
os.unlink(sys.argv[1])
"""


@pytest.mark.parametrize("lock", ["index.lock", "HEAD.lock", "refs/heads/main.lock", "packed-refs.lock"])
def test_a_lock_that_nobody_holds_is_removed(repo: Path, handle: Repo, run_git: Git, lock: str) -> None:
    run_git(repo, "pack-refs", "--all")
    stale = repo / ".git" / lock
    stale.touch()
    (repo / "new").touch()
    git(handle, "add", "-A")
    git(handle, "commit", "-qm", "x")
    git(handle, "pack-refs", "--all")
    assert not stale.exists()


def test_a_lock_that_is_held_is_waited_for(repo: Path, handle: Repo) -> None:
    lock = repo / ".git" / "index.lock"
    (repo / "new").touch()
    with program(HOLD, lock, 0.5, cwd=repo) as holder:
        git(handle, "add", "-A")
        assert not lock.exists()
        assert holder.wait(WAIT_S) == 0


def test_a_lock_that_stays_held_is_left_alone_and_told(repo: Path, handle: Repo, run_git: Git) -> None:
    lock = repo / ".git" / "index.lock"
    (repo / "new").touch()
    with program(HOLD, lock, 1000, cwd=repo):
        with pytest.raises(GitError) as caught:
            git(handle, "add", "-A")
        assert lock.exists()
    assert caught.value.code == "git_locked"
    assert str(lock) in caught.value.message
    git(handle, "add", "-A")
    assert run_git(repo, "status", "--porcelain") == "A  new"


def test_a_git_that_closed_its_lock_and_waits_still_holds_it(repo: Path, tmp_path: Path) -> None:
    """`git commit -a` closes index.lock before it starts the editor."""
    (repo / "README.md").write_text("changed\n")
    lock, editor = repo / ".git" / "index.lock", tmp_path / "editor"
    editor.write_text(f"#!/bin/sh\ntouch {tmp_path}/editing\nwhile [ ! -e {tmp_path}/done ]; do sleep 0.02; done\n")
    editor.chmod(0o755)
    environ = {**os.environ, "GIT_EDITOR": str(editor)}
    with subprocess.Popen(["git", "commit", "-qa", "-m", "x", "-e"], cwd=repo, env=environ) as commit:
        eventually((tmp_path / "editing").exists)
        held = lock.exists(), remove_if_stale(lock), lock.exists()
        (tmp_path / "done").touch()
        assert commit.wait(WAIT_S) == 0
    assert held == (True, False, True)


@pytest.mark.parametrize("user", {os.geteuid(), os.geteuid() or 12345})  # only root gives a file away
def test_a_git_that_can_not_be_looked_into_has_no_lock_of_another_user(repo: Path, user: int) -> None:
    lock = repo / ".git" / "index.lock"
    look = "from pathlib import Path\nfrom lib.git.locks import remove_if_stale\n"
    look += "print(remove_if_stale(Path(sys.argv[1])))"
    apart = ["unshare", "--user", "--map-root-user"]  # there, nothing that is outside can be looked into
    with traced(["sh", "-c", "echo git >/proc/self/comm; echo ready; read line"]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        lock.touch()
        os.chown(lock, user, -1)
        assert output([*apart, *python(look, lock)]) == f"{user != os.geteuid()}\n"
        process.kill()
