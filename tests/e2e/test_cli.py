"""Every command: what it does when all is well, and how it says no: in words, with what to type, with its exit code."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import run_git
from driver import Relay, playbook
from eventually import eventually

from lib.errors import EXIT_CI_NEEDED, EXIT_FAILED, EXIT_USAGE
from lib.project.lock import holder
from lib.project.paths import find_project

ONE = {"one": [{"say": "writing one"}, {"write": {"one.txt": "1\n"}}]}


@pytest.fixture
def book(tmp_path: Path) -> str:
    return playbook(tmp_path / "book", ONE)


@pytest.fixture
def gated(relay: Relay, book: str) -> Relay:
    relay.begin(book, "parts for the gate")
    relay.asked("approve_design")
    return relay


@pytest.fixture
def landed(relay: Relay, book: str) -> Relay:
    relay.begin(book, "parts that land", "--yes", "--wait")
    return relay


# --- where it can't start ---


def test_outside_of_a_repository_it_says_how_to_make_one(tmp_path: Path) -> None:
    said = Relay(tmp_path).refused("start", "x")
    assert "not inside a git repository" in said
    assert "git init" in said
    assert list(tmp_path.iterdir()) == []


def test_a_repository_without_commits_is_refused_with_the_way_to_make_one(tmp_path: Path, book: str) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    run_git(folder, "init", "-q")
    said = Relay(folder).refused("start", "--assistant", book, "x")
    assert "no commits" in said
    assert "git commit --allow-empty" in said
    assert not (folder / ".project").exists()


def test_a_detached_head_is_refused_with_the_way_to_a_branch(relay: Relay, book: str) -> None:
    run_git(relay.root, "switch", "-q", "--detach")
    said = relay.refused("start", "--assistant", book, "x")
    assert "detached" in said
    assert "git switch -c" in said
    assert not (relay.root / ".project").exists()


@pytest.mark.parametrize("inside", [".", "refs/heads"])
def test_a_bare_repository_is_refused(tmp_path: Path, repo: Path, inside: str) -> None:
    bare = tmp_path / "bare.git"
    run_git(repo, "clone", "-q", "--bare", str(repo), str(bare))
    said = Relay(bare / inside).refused("start", "x")
    assert "bare repository" in said
    assert "git clone" in said


def test_it_works_from_a_folder_inside_the_repository(relay: Relay, book: str) -> None:
    Relay(relay.root / "src")("start", "--assistant", book, "--yes", "--wait", "parts")
    assert (relay.root / "one.txt").exists()
    assert not (relay.root / "src" / ".project").exists()


START_REFUSALS: dict[str, tuple[list[str], int, str]] = {
    "an empty requirement": (["  "], EXIT_USAGE, "empty"),
    "an endless requirement": (["x" * 30_000], EXIT_USAGE, "20000"),
    "an unknown assistant": (["--assistant", "cluade", "x"], EXIT_USAGE, "claude"),
    "a playbook that is not there": (["--assistant", "scripted:calculater", "x"], EXIT_USAGE, "calculator"),
    "an unknown option": (["--paralel", "3", "x"], EXIT_USAGE, "--parallel"),
    "a number that is none": (["--parallel", "many", "x"], EXIT_USAGE, "parallel"),
    "no builders at once": (["--parallel", "0", "x"], EXIT_USAGE, "parallel"),
    "a way to land that is none": (["--land", "never", "x"], EXIT_USAGE, "land"),
    "no time to poll": (["--poll", "0", "x"], EXIT_USAGE, "poll"),
    "an instance outside": (["--instance", "../evil", "x"], EXIT_USAGE, "instance"),
    "two requirements": (["one", "two"], EXIT_USAGE, "two"),
    "no requirement": ([], EXIT_USAGE, "requirement"),
}


@pytest.mark.parametrize("what", START_REFUSALS)
def test_start_refuses(relay: Relay, what: str) -> None:
    args, code, words = START_REFUSALS[what]
    said = relay.refused("start", *args, code=code)
    assert words in said
    assert not (relay.root / ".project" / "state.json").exists()
    assert relay("runs").startswith("No runs")


def test_an_unknown_key_of_the_configuration_is_told_with_the_nearest(relay: Relay, book: str) -> None:
    relay("init")
    config = relay.root / ".project" / "config.yaml"
    config.write_text("paralel: 3\n")
    relay("trust")
    said = relay.refused("start", "--assistant", book, "x", code=EXIT_USAGE)
    assert "did you mean parallel" in said


def test_a_variable_of_the_wrong_kind_is_told_by_its_setting(relay: Relay, book: str) -> None:
    said = relay.refused("start", "--assistant", book, "x", code=EXIT_USAGE, env={"RELAY_PARALLEL": "lots"})
    assert "RELAY_PARALLEL must be a whole number" in said


# --- start ---


def test_a_dry_run_shows_the_plan_and_makes_nothing(relay: Relay, book: str) -> None:
    shown = relay("start", "--dry-run", "--assistant", book, "--verify", "make test", "parts")
    for words in ("make test", "main at", "Nothing was started"):
        assert words in shown
    plan = json.loads(relay("start", "--dry-run", "--json", "--assistant", book, "parts"))
    assert plan["project"] == str(relay.root)
    assert not (relay.root / ".project").exists()
    assert not (relay.root / ".git" / "relay").exists()
    assert run_git(relay.root, "status", "--porcelain") == ""


def test_start_can_answer_in_json(relay: Relay, book: str) -> None:
    answer = json.loads(relay("start", "--json", "--assistant", book, "parts"))
    state = relay.asked("approve_design")
    assert answer["run"] == state["run"]
    assert Path(answer["state_file"]) == relay.state_file


def test_wait_says_by_its_exit_code_that_ci_is_needed(relay: Relay, book: str) -> None:
    said = relay("start", "--wait", "--assistant", book, "parts", code=EXIT_CI_NEEDED)
    assert "relay approve" in said


def test_wait_says_by_its_exit_code_that_a_builder_failed(relay: Relay, tmp_path: Path) -> None:
    broken = playbook(tmp_path / "book", {"one": [{"fail": {}}]})
    said = relay("start", "--wait", "--yes", "--assistant", broken, "parts", code=EXIT_CI_NEEDED,
                 env={"RELAY_ATTEMPTS": "1"})  # fmt: skip
    assert "relay logs one" in said


def test_foreground_drives_the_run_to_its_end_in_this_process(relay: Relay, book: str) -> None:
    relay("start", "--foreground", "--yes", "--assistant", book, "parts")
    assert relay.state()["outcome"] == "landed"
    assert relay.pid() is None


def test_a_second_start_is_refused_while_a_run_is_under_way(gated: Relay, book: str) -> None:
    run = gated.state()["run"]
    gated.refused("start", "--assistant", book, "more")
    gated("stop")
    said = gated.refused("start", "--assistant", book, "more")
    assert run in said
    assert "relay resume" in said
    assert gated.state()["run"] == run


def test_after_a_run_the_next_one_can_start(landed: Relay, tmp_path: Path) -> None:
    first = landed.state()["run"]
    again = playbook(tmp_path / "second", {"two": [{"write": {"two.txt": "2\n"}}]})
    landed.begin(again, "parts again", "--yes", "--wait")
    assert landed.state()["run"] != first
    assert [row["run"] for row in json.loads(landed("runs", "--format", "json"))][1] == first


# --- status ---


def test_status_says_what_is_asked_and_every_command_that_answers(gated: Relay) -> None:
    shown = gated("status")
    for words in ("Waiting for you", "relay approve", "relay reject", "parts for the gate", '"action_owner": "code"'):
        assert words in shown
    told = json.loads(gated("status", "--json"))
    assert (told["mood"], told["action_needed"]) == ("ask", "approve_design")


def test_status_works_with_the_orchestrator_down_and_says_so(gated: Relay) -> None:
    gated("stop")
    assert "orchestrator not running" in gated("status")
    assert json.loads(gated("status", "--json"))["orchestrator_pid"] is None


def test_status_of_a_run_that_died_says_how_to_go_on(relay: Relay, tmp_path: Path) -> None:
    relay.begin(playbook(tmp_path / "book", {"one": [{"hang": True}]}), "parts", "--yes")
    relay.wait(lambda s: any(line["pid"] for line in s["builders"]))
    relay.kill()
    assert "relay resume" in relay("status")


def test_status_without_a_run_says_how_to_start_one(relay: Relay) -> None:
    assert "relay start" in relay("status")
    assert not (relay.root / ".project").exists()


def test_status_of_what_has_landed(landed: Relay) -> None:
    told = json.loads(landed("status", "--json"))
    assert (told["mood"], told["outcome"], told["built"]) == ("done", "landed", 1)


# --- looking back ---


def test_runs_and_show_and_logs_tell_what_happened(landed: Relay) -> None:
    run = landed.state()["run"]
    assert run in landed("runs")
    assert run in landed("runs", "land")
    assert run not in landed("runs", "nothing of the kind")
    [row] = json.loads(landed("runs", "--format", "json", "--outcome", "landed"))
    assert row["requirement"] == "parts that land"
    assert "built" in landed("show", run[:8])
    told = json.loads(landed("show", "--format", "json"))
    assert [builder["id"] for builder in told["builders"]] == ["one"]
    assert told["events"][0]["kind"] == "run_started"
    assert "landed" in landed("logs").lower()
    assert "writing one" in landed("logs", "one")
    assert len(landed("logs", "-n", "3").splitlines()) == 3


def test_an_unknown_run_is_refused(landed: Relay) -> None:
    assert "relay runs" in landed.refused("show", "2001")
    assert "relay runs" in landed.refused("clean", "2001")


# --- care ---


def test_init_writes_a_configuration_that_is_trusted_and_holds_no_surprise(relay: Relay, book: str) -> None:
    printed = relay("init", "--print")
    assert not (relay.root / ".project").exists()
    relay("init")
    assert (relay.root / ".project" / "config.yaml").read_text() == printed
    relay("start", "--dry-run", "--assistant", book, "x")
    said = relay.refused("init")
    assert "exists already" in said


def test_init_proposes_what_the_project_tests_itself_with_and_runs_nothing(relay: Relay) -> None:
    (relay.root / "Makefile").write_text("test:\n\ttouch ran\n")
    assert "verify: make test" in relay("init")
    assert "# verify: make test    # proposed, from Makefile" in (relay.root / ".project" / "config.yaml").read_text()
    assert not (relay.root / "ran").exists()


def test_trust_lists_and_then_allows_what_the_project_brings(relay: Relay, book: str) -> None:
    config = relay.root / ".project" / "config.yaml"
    config.parent.mkdir()
    config.write_text("verify: touch /tmp/never\n")
    said = relay.refused("start", "--assistant", book, "x")
    assert "relay trust" in said
    assert "config.yaml" in relay("trust", "--list")
    relay.refused("start", "--dry-run", "--assistant", book, "x")
    relay("trust")
    assert "touch /tmp/never" in relay("start", "--dry-run", "--assistant", book, "x")
    config.write_text("verify: touch /tmp/other\n")
    relay.refused("start", "--assistant", book, "x")


def with_an_assistant(tmp_path: Path) -> dict[str, str]:
    """An environment with a program called ci."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ci").write_text("#!/bin/sh\n")
    (folder / "ci").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_doctor_finds_nothing_wrong_here_and_says_what_is_wrong_elsewhere(relay: Relay, tmp_path: Path) -> None:
    env = with_an_assistant(tmp_path)
    found = {row["what"]: row for row in json.loads(relay("doctor", "--format", "json", env=env))}
    assert found["git"]["ok"]
    assert "git" in relay("doctor", env=env)
    outside = Relay(tmp_path)("doctor", code=EXIT_FAILED)
    assert "git init" in outside


def test_what_doctor_says_of_a_damaged_database_mends_it(landed: Relay, tmp_path: Path) -> None:
    database = landed.root / ".git" / "relay" / "relay.db"
    eventually(lambda: holder(find_project(landed.root)) is None)  # it has let go of the database
    for file in database.parent.glob("relay.db*"):
        file.write_bytes(b"no database" * 1000)
    assert "relay doctor" in landed.refused("runs", code=EXIT_FAILED)
    found = {row["what"]: row for row in json.loads(landed("doctor", "--format", "json", code=EXIT_FAILED))}
    assert "it is not a database" in found["run database"]["detail"]
    first, remedy = found["run database"]["remedy"].split("; ", 1)
    assert first == "relay stop"
    landed("stop")
    subprocess.run(["/bin/sh", "-c", remedy], check=True)
    landed("doctor", env=with_an_assistant(tmp_path))
    landed.begin(playbook(tmp_path / "again", {"two": [{"write": {"two.txt": "2\n"}}]}), "again", "--yes")
    landed.over()


def test_after_a_run_that_landed_only_its_checkpoints_can_be_cleaned(landed: Relay) -> None:
    assert "Nothing is kept" in landed("recover")
    assert landed("clean") == f"removed the refs of 3 checkpoints of {landed.state()['run']}\n"
    assert "Nothing to clean" in landed("clean")
    assert json.loads(landed("recover", "--format", "json")) == []
    landed.refused("recover", "no-such-thing")


def test_what_a_skipped_builder_left_can_be_cleaned_and_recovered(relay: Relay, tmp_path: Path) -> None:
    builders = {**ONE, "two": [{"write": {"half.txt": "half\n"}}, {"fail": {}}]}
    relay.begin(playbook(tmp_path / "book", builders), "parts", "--yes", env={"RELAY_ATTEMPTS": "1"})
    worktree = relay.asked("fix_failure")["builders"][1]["worktree"]
    relay("skip", "two")
    relay.over()
    assert "kept" in relay("clean")
    assert (relay.root / worktree / "half.txt").exists()


def test_demo_builds_the_calculator_in_a_repository_of_its_own(relay: Relay, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    relay("demo", "--dir", str(folder))
    assert (folder / "calculator" / "add.py").exists()
    assert run_git(folder, "status", "--porcelain") == ""
    assert run_git(relay.root, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--version"], "relay "),
        (["--help"], "approve"),
        (["start", "--help"], "--dry-run"),
        (["status", "--help"], "relay status"),
        (["skip", "-h"], "Go on without"),
    ],
)
def test_help_and_version(relay: Relay, args: list[str], words: str) -> None:
    assert words in relay(*args)


@pytest.mark.parametrize("args", [["strat"], ["status", "--jsn"], ["runs", "--format", "xml"], []])
def test_what_was_mistyped_is_told_as_such(relay: Relay, args: list[str]) -> None:
    done = relay.process(*args)
    assert done.returncode == EXIT_USAGE
    assert "Traceback" not in done.stderr
    assert done.stdout + done.stderr


@pytest.mark.parametrize("args", [["show"], ["logs"], ["status"]])
def test_a_reader_that_leaves_early_is_told_nothing(landed: Relay, args: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        done = landed.process(*args, stdout=closed)
    assert done.stderr == ""
