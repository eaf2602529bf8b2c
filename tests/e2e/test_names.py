"""Files, branches, folders and words whose bytes are not UTF-8: carried through without loss, shown escaped."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import run_git
from driver import Relay, playbook

NAME = b"caf\xe9.txt"
#: The same for people.
SHOWN = r"caf\xe9.txt"
#: A line of sh that sets it as a variable.
SET = r"f=$(printf 'caf\351.txt'); "
#: Terminals of different kinds; the first one gets every command.
TERMINALS: list[dict[str, str]] = [{"LC_ALL": "C"}, {"LC_ALL": "C.UTF-8"}, {"PYTHONIOENCODING": "ascii"}]


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Relay]:
    """A project in such a folder, on such a branch, with such a file."""
    root = tmp_path / os.fsdecode(b"pr\xf6ject")
    root.mkdir()
    run_git(root, "init", "-q", "-b", os.fsdecode(b"w\xf6rk"))
    (root / os.fsdecode(NAME)).write_text("base\n")
    (root / "plain.txt").write_text("plain\n")
    run_git(root, "add", "-A")
    run_git(root, "commit", "-qm", "start")
    relay = Relay(root)
    yield relay
    relay.end()


def names(root: Path, commit: str = "HEAD") -> set[bytes]:
    command = ["git", "ls-tree", "-r", "-z", "--name-only", commit]
    return {*subprocess.run(command, cwd=root, check=True, capture_output=True).stdout.split(b"\0")} - {b""}


def told(relay: Relay, *more: str) -> str:
    """The output of commands about the run, on every kind of terminal; what is not UTF-8 fails."""
    said = "".join(relay(*command.split(), env=TERMINALS[0]) for command in ("show -v", "runs", "logs", *more))
    for env in TERMINALS:
        said += relay("status", env=env)
        assert json.loads(relay("status", "--json", env=env))
    return said


def whole(relay: Relay) -> None:
    """Checks that what others read of the run is UTF-8, line by line JSON where it is for machines."""
    relay.state_file.read_bytes().decode().encode()
    for file in (relay.home / "logs").iterdir():
        text = file.read_bytes().decode()
        assert "Traceback" not in text
        if file.suffix == ".jsonl":
            assert all(json.loads(line) for line in text.splitlines())
    for file in (relay.root / ".project" / "runs").rglob("design.*"):
        file.read_bytes().decode()


def test_a_run_in_such_a_project_on_such_a_branch_lands_such_files(odd: Relay, tmp_path: Path) -> None:
    steps = {
        "changed": [{"run": SET + 'echo changed > "$f"'}],
        "made": [{"run": r"""d=$(printf 'd\351'); mkdir "$d"; echo x > "$d/$(printf '\377')"; echo y > "né\\xe9" """}],
    }
    odd.begin(playbook(tmp_path / "book", steps, verify=SET + 'test -f "$f"'), "parts", "--yes")
    odd.over()
    made = {NAME, b"plain.txt", b"d\xe9/\xff", "né\\xe9".encode()}
    assert names(odd.root) == made
    assert (odd.root / os.fsdecode(NAME)).read_text() == "changed\n"
    assert run_git(odd.root, "status", "--porcelain") == ""
    ended = [event["result"]["data"].get("changed", []) for event in odd.events("job_ended")]
    assert {os.fsencode(path) for changed in ended for path in changed} == made - {b"plain.txt"}
    assert r"w\xf6rk" in told(odd)
    whole(odd)
    listed = json.loads(odd("runs", "--format", "json"))
    assert Path(listed[0]["project"]) == odd.root


@pytest.mark.parametrize("killed", [False, True], ids=["at once", "after a kill"])
def test_a_person_resolves_a_conflict_in_such_a_file(odd: Relay, tmp_path: Path, killed: bool) -> None:
    steps = {name: [{"run": f'{SET} echo {name} > "$f"'}] for name in ("one", "two")}
    odd.begin(playbook(tmp_path / "book", steps), "parts", "--yes", env={"RELAY_CONFLICTS": "person"})
    state = odd.asked("resolve_conflict")
    assert SHOWN in state["message"]
    assert SHOWN in told(odd)
    whole(odd)
    if killed:
        odd.kill()
        odd("resume")
    merged = odd.root / ".project" / "worktrees" / state["run"] / "merged"
    (merged / os.fsdecode(NAME)).write_text("one\ntwo\n")
    # As an editor of JSON does it that knows no lone surrogates.
    text = json.dumps(odd.state() | {"action_owner": "code"}, ensure_ascii=False).encode()
    odd.state_file.write_bytes(text)
    odd.over()
    assert (odd.root / os.fsdecode(NAME)).read_text() == "one\ntwo\n"
    whole(odd)


def test_an_assistant_resolves_it_and_accounts_for_it_by_the_name_that_it_is_shown(odd: Relay, tmp_path: Path) -> None:
    steps: dict[str, Any] = {name: [{"run": f'{SET} echo {name} > "$f"'}] for name in ("one", "two")}
    account = {
        "removed": [{"file": SHOWN, "text": "one\ntwo", "why": "both are on one line"}],
        "added": [{"file": SHOWN, "text": "one two", "why": "has both"}],
    }
    resolver = [
        {"run": SET + 'echo one two > "$f"'},
        {"say": "Done.\n" + json.dumps(account)},
    ]
    odd.begin(playbook(tmp_path / "book", steps, resolver=resolver), "parts", "--yes")
    assert SHOWN in odd.asked("approve_landing")["message"]
    odd("approve")
    odd.over()
    assert (odd.root / os.fsdecode(NAME)).read_text() == "one two\n"


def test_such_a_file_of_the_users_in_the_way_of_landing_is_cleared_by_the_command_that_is_told(
    relay: Relay, tmp_path: Path
) -> None:
    mine = relay.root / os.fsdecode(NAME)
    mine.write_text("mine\n")
    relay.begin(playbook(tmp_path / "book", {"a": [{"run": SET + 'echo built > "$f"'}]}), "parts", "--yes")
    state = relay.asked("clear_the_way")
    assert mine.read_text() == "mine\n"
    assert SHOWN in told(relay)
    subprocess.run(["bash", "-c", state["error"]["remedy"]], check=True, capture_output=True)
    relay("approve")
    relay.over()
    assert mine.read_text() == "built\n"
    assert run_git(relay.root, "show", "stash@{0}^3:" + os.fsdecode(NAME)) == "mine"


def test_such_a_file_that_steers_what_is_run_is_asked_about_and_what_is_left_aside_is_kept(
    relay: Relay, tmp_path: Path
) -> None:
    step = r"""d=$(printf 'd\351'); mkdir -p "$d" n .project; echo x > "$d/.envrc"; echo x > ".project/$d"
        git init -q "n/$d"; echo x > "n/$d/file" """
    run = relay.begin(playbook(tmp_path / "book", {"a": [{"run": step}]}), "parts", "--yes")
    state = relay.asked("approve_landing")
    assert r"d\xe9/.envrc" in state["message"]
    ended = [event["result"]["data"] for event in relay.events("job_ended")]
    collected = next(data for data in ended if "left_out" in data)
    assert [os.fsencode(path) for path in collected["left_out"]] == [b".project/d\xe9"]
    assert [os.fsencode(path) for path in collected["nested"]] == [b"n/d\xe9"]
    (relay.root / ".project" / "worktrees" / run / "a" / os.fsdecode(b"late\xe9")).write_text("late\n")
    relay("approve")
    relay.over()
    assert b"n/d\xe9/file" in names(relay.root)
    said = told(relay, "clean", "recover")
    assert "kept" in said
    whole(relay)


def test_words_in_another_encoding_are_taken_as_they_are_shown(relay: Relay, tmp_path: Path) -> None:
    word = os.fsdecode(b"caf\xe9")
    relay("start", "--assistant", playbook(tmp_path / "book", {"a": [{"write": {"a.txt": "x\n"}}]}), f"parts {word}")
    relay.asked("approve_design")
    assert relay.state()["requirement"] == r"parts caf\xe9"
    relay("reject", word)
    relay.asked("approve_design", times=2)
    assert relay.events("state_edited")[0]["edit"]["feedback"] == r"caf\xe9"
    told(relay)
    relay("approve")
    relay.over()
    whole(relay)


def test_a_branch_whose_name_ends_with_a_space_of_unicode_is_that_branch(relay: Relay, tmp_path: Path) -> None:
    branch = "wide\u3000"
    run_git(relay.root, "switch", "-q", "-c", branch)
    relay.begin(playbook(tmp_path / "book", {"a": [{"write": {"a.txt": "x\n"}}]}), "parts", "--yes")
    relay.over()
    assert (relay.root / "a.txt").exists()
    assert relay.head(branch) != relay.head("main")
