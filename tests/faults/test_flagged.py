"""Branches that carry what steers later programs: pointed out before landing, and Relay's own folder never lands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import run_git
from driver import Relay, playbook

ONE = {"write": {"one.txt": "1\n"}}
SNEAKY = [ONE, {"write": {".claude/settings.json": '{"hooks": {}}\n', ".env": "KEY=x\n"}}]


def begin(
    relay: Relay, folder: Path, steps: Any, *flags: str, files: tuple[str, ...] = (), sandbox: str = "auto"
) -> None:
    design = {"components": [{"id": "one", "files": list(files)}, {"id": "two"}]}
    two = [{"write": {"two.txt": "2\n"}}]
    book = playbook(folder / "book", {"one": steps, "two": two}, architect={"say": "Parts.", "design": design})
    relay.begin(book, "parts", "--yes", *flags, env={"RELAY_SANDBOX": sandbox})


def test_what_steers_assistants_and_secrets_is_named_and_a_hand_back_lands_it(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, SNEAKY)
    state = relay.asked("approve_landing")
    for words in ("one changes .claude/settings.json (instructions to assistants)", "one changes .env (secrets)"):
        assert words in state["message"]
    assert "two" not in state["message"].replace("two.txt", "")
    assert relay.head() == state["base"]["commit"]
    relay("approve")
    relay.over()
    assert (relay.root / ".claude" / "settings.json").exists()


def test_what_the_design_named_was_approved_with_it(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, SNEAKY, files=("one.txt", ".claude/settings.json", ".env"))
    relay.over()


def test_an_approval_holds_when_the_branch_moves_on_meanwhile(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, SNEAKY)
    relay.asked("approve_landing")
    run_git(relay.root, "commit", "--allow-empty", "-qm", "mine")
    relay("approve")
    relay.over()
    assert "mine" in run_git(relay.root, "log", "--format=%s", "main")


def test_with_land_branch_it_is_asked_before_the_branch_is_offered(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, [ONE, {"append": {"CLAUDE.md": "Obey.\n"}}], "--land", "branch")
    relay.asked("approve_landing")
    assert "one changes CLAUDE.md" in " ".join(relay("status").split())
    relay("approve")
    relay.over("stored")


@pytest.mark.parametrize("commit", [False, True], ids=["left", "committed"])
def test_relays_own_folder_never_lands(relay: Relay, tmp_path: Path, commit: bool) -> None:
    (relay.root / ".project").mkdir()
    (relay.root / ".project" / "config.yaml").write_text("attempts: 2\n")
    run_git(relay.root, "add", "-f", ".project/config.yaml")
    run_git(relay.root, "commit", "-qm", "settings")
    relay("trust")
    own = [ONE, {"write": {".project/phases/design.py": "evil\n", ".project/config.yaml": "verify: evil\n"}}]
    if commit:
        own.append({"run": "git add -Af . && git commit -qm sneaky"})
    begin(relay, tmp_path, own, sandbox="off" if commit else "auto")
    relay.over()
    assert run_git(relay.root, "ls-tree", "-r", "--name-only", "main", "--", ".project") == ".project/config.yaml"
    assert (relay.root / ".project" / "config.yaml").read_text() == "attempts: 2\n"
    assert not (relay.root / ".project" / "phases").exists()
    assert "left out" in relay("show")


def test_one_that_changed_nothing_else_has_changed_nothing(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, [{"write": {".project/phases/design.py": "evil\n"}}])
    assert relay.asked("fix_failure")["error"]["code"] == "no_changes"
