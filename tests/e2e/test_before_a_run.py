"""Runs that can't start, or would not start as their user thinks: told before anything is made, with what to type."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from conftest import run_git
from driver import Relay, playbook

ADA = {
    "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@work.example",
    "GIT_COMMITTER_NAME": "Ada L", "GIT_COMMITTER_EMAIL": "ada@work.example",
}  # fmt: skip


def book(folder: Path, line: str = "echo x > new.txt") -> str:
    return playbook(folder / "book", {"a": [{"run": line}]})


def refused(relay: Relay, *said: str) -> str:
    """The remedy; nothing was made."""
    told = relay.refused("start", "--assistant", "scripted:calculator", "parts")
    assert all(part in told for part in said), told
    assert not (relay.root / ".project").exists()
    return told.rpartition("try: ")[2]


def typed(folder: Path, command: str) -> None:
    subprocess.run(["bash", "-c", command], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("here", [False, True], ids=["beside", "checked out"])
def test_a_branch_called_relay_is_renamed_first(relay: Relay, tmp_path: Path, here: bool) -> None:
    run_git(relay.root, "switch", "-qc", "relay")
    run_git(relay.root, "branch", "relay-branch")
    run_git(relay.root, "switch", "-q", "relay" if here else "main")
    typed(relay.root, refused(relay, "a branch called relay"))
    relay.begin(book(tmp_path), "parts", "--yes")
    relay.over()
    assert run_git(relay.root, "branch", "--format=%(refname:short)").split() == [
        "main",
        "relay-branch",
        "relay-branch-2",
    ]


@pytest.mark.parametrize("begun", ["", "git init -q", "git init -q && git commit -q --allow-empty -m start"])
@pytest.mark.parametrize("files", [[], ["app.py"]], ids=["an empty folder", "a folder with files"])
def test_builders_are_given_the_files_of_a_folder_that_was_no_repository(
    tmp_path: Path, begun: str, files: list[str]
) -> None:
    relay = Relay(tmp_path / "new")
    relay.root.mkdir()
    for name in files:
        (relay.root / name).write_text("print()\n")
    typed(relay.root, begun or "true")
    if files or "commit" not in begun:
        typed(relay.root, refused(relay))
    relay.begin(
        book(tmp_path, " && ".join(["echo x > new.txt", *(f"test -f {name}" for name in files)])), "parts", "--yes"
    )
    relay.over()
    assert run_git(relay.root, "ls-files").split() == sorted([*files, "new.txt"])


def test_the_home_folder_is_no_project_of_what_lies_in_it(tmp_path: Path) -> None:
    home = Path.home()
    run_git(home, "init", "-q")
    run_git(home, "add", ".gitconfig")
    run_git(home, "commit", "-qm", "home by accident")
    below = Relay(home / "code" / "app")
    below.root.mkdir(parents=True)
    (below.root / "app.py").write_text("print()\n")
    remedy = refused(below, str(home), "home folder")
    assert not (home / ".project").exists()
    typed(below.root, remedy.partition(", or: ")[0])
    below.begin(book(tmp_path), "parts", "--yes")
    below.over()
    assert run_git(home, "log", "--format=%s") == "home by accident"


def test_who_commits_is_told_by_the_environment_of_the_start(relay: Relay, tmp_path: Path) -> None:
    run_git(relay.root, "config", "--global", "--remove-section", "user")
    run_git(relay.root, "config", "--global", "user.useConfigOnly", "true")
    assistant = book(tmp_path, "echo x > new.txt; git add -A; git commit -qm mine")
    relay.begin(assistant, "parts", "--yes", env={**ADA, "RELAY_SANDBOX": "off"})
    relay.over()
    made = run_git(relay.root, "log", "--format=%an/%ae/%cn/%ce", "HEAD^..HEAD").splitlines()
    assert set(made) == {"Ada/ada@work.example/Ada L/ada@work.example"}


@pytest.mark.parametrize("flag", ["skip-worktree", "assume-unchanged"])
def test_a_change_that_is_hidden_from_git_stays_until_its_user_has_put_it_aside(
    relay: Relay, tmp_path: Path, flag: str
) -> None:
    local, other = (relay.root / name for name in ("README.md", "src/app.py"))
    for file in (local, other):
        run_git(relay.root, "update-index", f"--{flag}", str(file.relative_to(relay.root)))
    local.write_text("mine\n")
    relay.begin(book(tmp_path, "echo new | tee README.md > src/app.py"), "parts", "--yes")
    state = relay.asked("clear_the_way")
    assert "hidden from git: README.md)" in state["message"]
    assert (local.read_text(), other.read_text()) == ("mine\n", "print('hello')\n")
    assert f"--no-{flag}" in state["error"]["remedy"]
    typed(tmp_path, state["error"]["remedy"])
    relay("approve")
    relay.over()
    assert (local.read_text(), other.read_text()) == ("new\n", "new\n")
    assert run_git(relay.root, "show", "stash@{0}:README.md") == "mine"


def test_what_is_told_in_a_subfolder_is_right_for_who_stands_there(relay: Relay, tmp_path: Path) -> None:
    (relay.root / "README.md").write_text("changed\n")
    (relay.root / "notes.txt").write_text("mine\n")
    below = Relay(relay.root / "src")
    said = below("start", "--assistant", book(tmp_path, "exit 1"), "parts", env={"RELAY_ATTEMPTS": "1"})
    assert f"project    {relay.root}\n" in said
    assert "../.project/state.json" in said
    assert "1 changed and 1 untracked" in said
    run = relay.asked("approve_design")["run"]
    page = " ".join(below("status").split())
    assert f"../.project/runs/{run}/design.md" in page
    assert "in ../.project/state.json does what approve does" in page
    assert f".project/runs/{run}/design.md" in " ".join(relay("status").split())
    below("approve")
    relay.asked("fix_failure", times=2)
    assert f"../.project/worktrees/{run}/a" in " ".join(below("status").split())
    below("cancel")
    relay.over("cancelled")


def test_nothing_is_said_of_files_where_all_are_committed(relay: Relay, tmp_path: Path) -> None:
    said = relay("start", "--assistant", book(tmp_path), "parts")
    assert "unseen" not in said
    assert "state      .project/state.json\n" in said
    relay.asked("approve_design")


@pytest.mark.parametrize("name", [".project", ".relay"])
def test_what_is_no_folder_where_relays_is_to_be_is_refused_by_what_needs_it_and_stays(repo: Path, name: str) -> None:
    relay = Relay(repo)
    if name == ".relay":
        (repo / ".project").write_text("<projectDescription/>\n")
    for put, remedy in ((os.mkfifo, f"mv {repo}/{name} {repo}/{name}.aside"), (_dangle, f"rm {repo}/{name}")):
        put(repo / name)
        assert remedy in relay.refused("start", "--assistant", "scripted:calculator", "parts")
        for command in ("status", "logs", "runs", "clean", "doctor", "approve"):
            assert "Traceback" not in relay(command, code=None)
        (repo / name).unlink()


def _dangle(path: Path) -> None:
    path.symlink_to("elsewhere")
