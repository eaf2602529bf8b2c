"""Runs that are stopped for a reason, and the commands that lead out of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from conftest import run_git
from driver import COMMAND, QUICK, Relay, environ, playbook
from eventually import WAIT_S, eventually

ONE = {"one": [{"write": {"one.txt": "1\n"}}]}


@pytest.mark.parametrize("text", ["{ broken", '{"rev": 1}', "phase"])
@pytest.mark.parametrize("lives", [True, False])
def test_cancel_ends_a_run_whose_state_json_can_not_be_used(
    relay: Relay, tmp_path: Path, text: str, lives: bool
) -> None:
    relay.begin(playbook(tmp_path / "book", ONE), "parts", "--poll", "0.3")
    relay.asked("approve_design")
    if text == "phase":
        text = json.dumps(relay.state() | {"phase": "nowhere"})
    if not lives:
        relay.kill()
    relay.state_file.write_text(text)
    if lives:
        eventually(lambda: relay.events("problem_found"))
    relay("cancel")
    assert relay.over("cancelled")["outcome"] == "cancelled"
    assert [file.read_text() for file in relay.home.glob("state.json.rejected-*")] == [text]


def test_a_slip_in_the_design_leads_back_to_the_architect(relay: Relay, tmp_path: Path) -> None:
    run = relay.begin(playbook(tmp_path / "book", ONE))
    relay.asked("approve_design")
    design = relay.root / ".project" / "runs" / run / "design.json"
    design.write_text(design.read_text()[:-20])
    relay("approve")
    state = relay.asked("fix_failure", times=2)
    assert "relay reject" in state["message"]
    relay("reject", "write it whole")
    relay.asked("approve_design", times=3)
    assert relay.events("action_started")[-1]["feedback"] == "write it whole"
    relay("approve")
    relay.over()


@pytest.fixture
def red(relay: Relay, tmp_path: Path) -> Relay:
    """A run whose builders pass alone, and whose merged tree fails until `two` takes another look."""
    mend = {"run": "if test $RELAY_ATTEMPT -gt 1; then echo fine > two.txt; else echo odd > two.txt; fi"}
    book = playbook(tmp_path / "book", {"one": [{"write": {"one.txt": "1\n"}}], "two": [mend]})
    verify = "! { test -e one.txt && grep odd two.txt; }"
    relay.begin(book, "parts", "--yes", "--verify", verify)
    relay.asked("fix_failure")
    return relay


def test_words_about_a_red_merged_tree_that_name_no_builder_are_refused_with_what_to_type(red: Relay) -> None:
    for command in ("retry", "approve"):
        said = red.refused(command, "they clash", code=2)
        assert "nobody would read your words now" in said
        assert "relay retry one 'they clash'" in said
    red.edit(action_owner="code", feedback="they clash")
    red.asked("fix_failure", times=2)
    told = (red.home / "logs" / "workflow.log").read_text()
    assert 'nobody reads the feedback; type instead: relay retry one "words"' in told
    red("retry", "two", "they clash")
    red.over()


@pytest.mark.parametrize("args", [["two", "they clash"], ["-b", "two", "they clash"]])
def test_a_builder_is_reopened_by_the_failure_of_the_merged_tree(red: Relay, args: list[str]) -> None:
    assert 'relay retry two "a hint" (has that builder fix it)' in red.state()["message"]
    red("retry", *args)
    red.over()
    assert run_git(red.root, "show", "main:two.txt") == "fine"
    assert run_git(red.root, "show", "main:one.txt") == "1"
    jobs = [event["job"] for event in red.events("job_started")]
    turns = [job["spec"] for job in jobs if job["spec"]["name"] == "build"]
    assert [turn["step"] for turn in turns if turn["step"] == "one"] == ["one"]
    told = turns[-1]["prompt"]["feedback"]
    assert told.startswith("they clash")
    assert "merged, verify failed" in told


def test_commands_typed_in_a_worktree_of_the_run_find_its_project(relay: Relay, tmp_path: Path) -> None:
    run = relay.begin(playbook(tmp_path / "book", ONE))
    relay.asked("approve_design")
    worktree = relay.root / ".project" / "worktrees" / run / "merged"
    for command in ("status", "approve"):
        done = subprocess.run([*COMMAND, command], cwd=worktree, env=environ(QUICK), capture_output=True, text=True,
                              timeout=WAIT_S, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
    relay.over()


@pytest.mark.parametrize("command", ["status", "approve", "doctor", "assistants", "logs"])
def test_a_command_typed_in_a_folder_that_was_removed_says_where_to_go(
    relay: Relay, tmp_path: Path, command: str
) -> None:
    folder = relay.root / "gone"
    script = f'mkdir "{folder}" && cd "{folder}" && rmdir "{folder}" && exec "$@"'
    told = subprocess.run(["bash", "-c", script, "bash", *COMMAND, command], cwd=tmp_path, env=environ(QUICK),
                          capture_output=True, text=True, timeout=WAIT_S, check=False)  # fmt: skip
    assert told.returncode not in {0, 70}
    assert "Traceback" not in told.stderr
    assert f"cd {relay.root}" in told.stderr


@pytest.mark.parametrize("how", ["clean", "start"])
def test_worktrees_that_a_reboot_kept_from_being_removed_are_swept_later(
    relay: Relay, tmp_path: Path, how: str
) -> None:
    relay.begin(playbook(tmp_path / "book", ONE), "parts", "--yes")
    relay.over()
    left = relay.root / ".project" / "worktrees" / ".removed-0123456789abcdef"
    eventually(lambda: not list(left.parent.iterdir()))
    (left / "src").mkdir(parents=True)
    (left / "src" / "app.py").write_text("landed")
    assert left.name in relay("doctor", code=None)
    if how == "clean":
        assert "removed what an earlier cleaning had left" in relay("clean").splitlines()
        assert not left.exists()
    else:
        relay.begin(playbook(tmp_path / "book", ONE), "parts again")
        eventually(lambda: not left.exists())


def test_what_a_killed_writer_left_is_swept_wherever_a_run_has_files(relay: Relay, tmp_path: Path) -> None:
    run = relay.begin(playbook(tmp_path / "book", ONE))
    relay.asked("approve_design")
    relay.kill()
    dot, store = relay.root / ".project", relay.root / ".git" / "relay"
    records = next((store / "jobs" / run).iterdir())
    left = [folder / f".{name}.4194999-0badcafe.tmp" for folder, name in (
        (dot, ".gitignore"), (dot, "state.json"), (dot / "runs" / run, "design.md"), (records, "prompt"),
        (dot / "worktrees" / run / "merged", ".git"))]  # fmt: skip
    for file in left:
        file.write_text("half")
    own = dot / "worktrees" / run / "merged" / ".mine.4194999-0badcafe.tmp"
    own.write_text("somebody else's")
    relay("resume")
    assert [file for file in left if file.exists()] == []
    assert own.exists()
    relay("approve")
    relay.over()
