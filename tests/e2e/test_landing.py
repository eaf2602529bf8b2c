"""Conflicts, checkouts that block and branches that move: nothing is lost, and what is asked can be done as printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import run_git
from driver import Relay, playbook
from eventually import eventually

ONE, TWO = [{"write": {"one.txt": "1\n"}}], [{"write": {"two.txt": "2\n"}}]
README = "# Project\n"


def readme(line: str) -> list[dict[str, Any]]:
    return [{"write": {"README.md": f"{README}\n{line}\n"}}]


@pytest.fixture
def conflicting(relay: Relay, tmp_path: Path) -> Relay:
    builders = {"left": readme("from the left"), "right": [*readme("from the right"), {"write": {"right.txt": "r\n"}}]}
    relay.begin(playbook(tmp_path / "book", builders), "parts", "--yes")
    return relay


@pytest.mark.parametrize("commit", [False, True], ids=["left uncommitted", "committed"])
def test_a_conflict_resolved_as_told_lands_with_both(conflicting: Relay, commit: bool) -> None:
    state = conflicting.asked("resolve_conflict")
    merged = f".project/worktrees/{state['run']}/merged"
    for words in ("README.md", merged, "right", "relay approve"):
        assert words in state["message"]
    assert conflicting.head() == state["base"]["commit"]
    assert run_git(conflicting.root, "status", "--porcelain") == ""

    worktree = conflicting.root / merged
    assert "README.md" in run_git(worktree, "status", "--porcelain")
    torn = (worktree / "README.md").read_text()
    assert "<<<<<<<" in torn
    assert "from the left" in torn
    assert "from the right" in torn
    (worktree / "README.md").write_text(f"{README}\nfrom the left\nfrom the right\n")
    if commit:
        run_git(worktree, "add", "README.md")
        run_git(worktree, "commit", "-qm", "Both sides")
    conflicting("approve")
    conflicting.over()
    assert (conflicting.root / "README.md").read_text() == f"{README}\nfrom the left\nfrom the right\n"
    assert (conflicting.root / "right.txt").exists()
    assert run_git(conflicting.root, "branch", "--list", "relay/*") == ""


def test_approving_a_conflict_that_still_has_its_markers_is_not_believed(conflicting: Relay) -> None:
    state = conflicting.asked("resolve_conflict")
    conflicting("approve")
    again = conflicting.asked("resolve_conflict", times=2)
    assert "README.md" in again["message"]
    assert conflicting.head() == state["base"]["commit"]


def test_a_conflict_can_be_left_out_by_skipping_the_builder(conflicting: Relay) -> None:
    conflicting.asked("resolve_conflict")
    conflicting("skip", "right")
    conflicting.over()
    assert "from the left" in (conflicting.root / "README.md").read_text()
    assert not (conflicting.root / "right.txt").exists()
    assert "relay/" in run_git(conflicting.root, "branch", "--list", "relay/*/right")


def test_a_changed_file_in_the_way_is_named_and_its_removal_lets_the_landing_through(
    relay: Relay, tmp_path: Path
) -> None:
    (relay.root / "README.md").write_text("mine\n")
    relay.begin(playbook(tmp_path / "book", {"left": readme("from the left")}), "parts", "--yes")
    state = relay.asked("clear_the_way")
    assert "README.md" in state["message"]
    assert (relay.root / "README.md").read_text() == "mine\n"
    run_git(relay.root, "stash", "-q")
    relay("approve")
    relay.over()
    assert "from the left" in (relay.root / "README.md").read_text()
    assert "mine" in run_git(relay.root, "show", "stash@{0}:README.md")


def test_a_rebase_under_way_is_not_disturbed(relay: Relay, tmp_path: Path) -> None:
    go = tmp_path / "go"
    wait = {"run": f"for i in $(seq 300); do test -e {go} && exit; sleep 0.05; done"}
    relay.begin(playbook(tmp_path / "book", {"one": [wait, *ONE]}), "parts", "--yes")
    for text in ("a", "b"):
        (relay.root / "mine.txt").write_text(f"{text}\n")
        run_git(relay.root, "add", "mine.txt")
        run_git(relay.root, "commit", "-qm", text)
    run_git(relay.root, "-c", "sequence.editor=sed -i 1s/pick/edit/", "rebase", "-i", "HEAD~2")
    head = relay.head("HEAD")
    go.touch()
    state = relay.asked("clear_the_way")
    assert "rebase" in state["message"]
    assert relay.head("HEAD") == head
    run_git(relay.root, "rebase", "--continue")
    relay("approve")
    relay.over()
    assert (relay.root / "mine.txt").read_text() == "b\n"
    assert (relay.root / "one.txt").exists()


def test_work_lands_on_its_branch_while_the_user_is_on_another(relay: Relay, tmp_path: Path) -> None:
    relay.begin(playbook(tmp_path / "book", {"one": ONE}))
    relay.asked("approve_design")
    run_git(relay.root, "switch", "-qc", "elsewhere")
    (relay.root / "mine.txt").write_text("mine\n")
    relay("approve")
    relay.over()
    assert not (relay.root / "one.txt").exists()
    assert run_git(relay.root, "show", "main:one.txt") == "1"
    assert run_git(relay.root, "status", "--porcelain") == "?? mine.txt"


def test_land_ask_asks_and_lands_on_approval(relay: Relay, tmp_path: Path) -> None:
    relay.begin(playbook(tmp_path / "book", {"one": ONE}), "parts", "--yes", "--land", "ask")
    state = relay.asked("approve_landing")
    assert relay.head() == state["base"]["commit"]
    relay("approve")
    relay.over()
    assert (relay.root / "one.txt").exists()


def test_land_branch_leaves_the_users_branch_alone_and_says_how_to_merge(relay: Relay, tmp_path: Path) -> None:
    run = relay.begin(playbook(tmp_path / "book", {"one": ONE}), "parts", "--yes", "--land", "branch")
    state = relay.over("stored")
    assert relay.head() == state["base"]["commit"]
    assert f"git merge relay/{run}/merged" in relay("status")
    run_git(relay.root, "merge", "-q", f"relay/{run}/merged")
    assert (relay.root / "one.txt").exists()


def test_commits_that_the_user_made_meanwhile_are_kept(relay: Relay, tmp_path: Path) -> None:
    relay.begin(playbook(tmp_path / "book", {"one": ONE, "two": TWO}))
    relay.asked("approve_design")
    (relay.root / "mine.txt").write_text("mine\n")
    run_git(relay.root, "add", "mine.txt")
    run_git(relay.root, "commit", "-qm", "Mine")
    mine = relay.head()
    relay("approve")
    relay.over()
    assert run_git(relay.root, "merge-base", "--is-ancestor", mine, "main", check=True) == ""
    assert all((relay.root / name).exists() for name in ("mine.txt", "one.txt", "two.txt"))


def test_a_branch_that_moves_while_the_landing_is_asked_is_merged_again(relay: Relay, tmp_path: Path) -> None:
    relay.begin(playbook(tmp_path / "book", {"one": ONE}), "parts", "--yes", "--land", "ask")
    relay.asked("approve_landing")
    (relay.root / "mine.txt").write_text("mine\n")
    run_git(relay.root, "add", "mine.txt")
    run_git(relay.root, "commit", "-qm", "Mine")
    relay("approve")
    relay.over()
    assert (relay.root / "mine.txt").exists()
    assert (relay.root / "one.txt").exists()
    assert run_git(relay.root, "status", "--porcelain") == ""


def test_a_run_in_a_linked_worktree_lands_there(relay: Relay, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    run_git(relay.root, "worktree", "add", "-q", "-b", "side", str(linked))
    side = Relay(linked)
    side.begin(playbook(tmp_path / "book", {"one": ONE}), "parts", "--yes")
    side.over()
    assert (linked / "one.txt").exists()
    assert not (relay.root / "one.txt").exists()
    assert run_git(linked, "status", "--porcelain") == ""


def test_hooks_signing_and_merge_settings_of_the_user_stop_nothing(relay: Relay, tmp_path: Path) -> None:
    hooks = relay.root / ".git" / "hooks"
    for name in (
        "pre-commit",
        "commit-msg",
        "post-checkout",
        "post-merge",
        "pre-merge-commit",
        "reference-transaction",
    ):
        (hooks / name).write_text("#!/bin/sh\nexit 1\n")
        (hooks / name).chmod(0o755)
    for key, value in {"commit.gpgsign": "true", "merge.ff": "only", "core.autocrlf": "input"}.items():
        run_git(relay.root, "config", key, value)
    relay.begin(playbook(tmp_path / "book", {"one": ONE, "two": TWO}), "parts", "--yes")
    relay.over()
    assert (relay.root / "two.txt").exists()


def test_inherited_git_variables_lead_nowhere_else(relay: Relay, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    run_git(other, "init", "-q")
    env = {"GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(other), "GIT_INDEX_FILE": str(tmp_path / "index")}
    relay.begin(playbook(tmp_path / "book", {"one": ONE}), "parts", "--yes", env=env)
    relay.over()
    assert (relay.root / "one.txt").exists()
    assert sorted(path.name for path in other.iterdir()) == [".git"]
    assert not (tmp_path / "index").exists()


def test_the_users_own_git_all_the_while_breaks_nothing(relay: Relay, tmp_path: Path) -> None:
    builders = {f"b{n}": [{"write": {f"{n}.txt": "x\n"}}] for n in range(4)}
    relay.begin(playbook(tmp_path / "book", builders), "parts", "--yes")

    def busy() -> bool:
        run_git(relay.root, "status", "--porcelain")
        run_git(relay.root, "gc", "-q", "--prune=now", check=False)
        return relay.is_over()

    eventually(busy)
    relay.over()
    assert run_git(relay.root, "fsck", "--no-dangling") == ""
    assert len(list(relay.root.glob("?.txt"))) == 4
