"""Commands that act on a run: handing back, stopping and going on, and what each of them refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import run_git
from driver import Relay, playbook, process_state, running
from eventually import eventually

ONE = {"one": [{"say": "writing one"}, {"write": {"one.txt": "1\n"}}]}


@pytest.fixture
def landed(relay: Relay, tmp_path: Path) -> Relay:
    relay.begin(playbook(tmp_path / "book", ONE), "parts", "--yes", "--wait")
    return relay


# --- handing back ---


@pytest.mark.parametrize("args", [["approve"], ["reject", "no"], ["answer", "May"], ["retry"], ["retry", "hint"]])
def test_handing_back_what_nobody_asked_for_is_refused(landed: Relay, args: list[str]) -> None:
    before = landed.state_file.read_bytes()
    said = landed.refused(*args)
    assert args[0] == "retry" or f"Nothing to {args[0]}: the run is over" in said
    assert "relay " in said
    assert landed.state_file.read_bytes() == before


@pytest.mark.parametrize("command", [["approve"], ["reject", "x"], ["retry"], ["skip", "one"], ["pause"], ["resume"],
                                     ["cancel"]])  # fmt: skip
def test_commands_about_a_run_say_that_there_is_none(relay: Relay, command: list[str]) -> None:
    said = relay.refused(*command)
    assert "relay start" in said
    assert not (relay.root / ".project").exists()


def test_rejecting_what_is_no_design_is_refused(relay: Relay, tmp_path: Path) -> None:
    relay.begin(playbook(tmp_path / "book", ONE), "parts", "--yes", "--land", "ask")
    relay.asked("approve_landing")
    assert "you are asked to approve the landing" in relay.refused("reject", "no")


@pytest.mark.parametrize("args", [["skip", "nobody"], ["retry", "-b", "nobody"], ["logs", "nobody"]])
def test_a_builder_that_is_not_there_is_told_with_those_that_are(landed: Relay, args: list[str]) -> None:
    landed.refused(*args)


def test_an_unknown_builder_is_told_with_those_that_there_are(relay: Relay, tmp_path: Path) -> None:
    relay.begin(playbook(tmp_path / "book", {"one": [{"fail": {}}]}), "parts", "--yes", env={"RELAY_ATTEMPTS": "1"})
    relay.asked("fix_failure")
    for command in (["skip", "oen"], ["retry", "--builder", "oen"], ["logs", "oen"]):
        assert "one" in relay.refused(*command)


# --- stopping and going on ---


def test_words_for_a_builder_that_is_built_are_refused_and_not_lost(relay: Relay, tmp_path: Path) -> None:
    wait = f"until test -e {tmp_path}/go; do sleep 0.05; done"
    relay.begin(
        playbook(tmp_path / "book", {**ONE, "two": [{"run": wait}, {"write": {"two.txt": "2"}}]}), "parts", "--yes"
    )
    relay.wait(lambda state: state["progress"].get("built"))
    assert "one is built: there is nothing to retry" in relay.refused("retry", "one", "otherwise")
    assert "Nothing to retry: Relay is at work" in relay.refused("retry", "otherwise")
    (tmp_path / "go").touch()
    relay.over()


@pytest.fixture
def working(relay: Relay, tmp_path: Path) -> Relay:
    """A run whose builder works until the file `go` is there, and counts its starts in `starts`."""
    wait = f"echo x >> {tmp_path}/starts; for i in $(seq 600); do test -e {tmp_path}/go && exit; sleep 0.05; done"
    relay.begin(playbook(tmp_path / "book", {"one": [{"run": wait}, *ONE["one"]]}), "parts", "--yes", "--poll", "0.5")
    relay.wait(lambda s: any(line["pid"] for line in s["builders"]))
    eventually((tmp_path / "starts").exists)
    return relay


def starts(relay: Relay) -> int:
    return len((relay.root.parent / "starts").read_text().splitlines())


def test_stop_leaves_the_builder_at_work_and_resume_takes_it_up_again(working: Relay, tmp_path: Path) -> None:
    builder = working.state()["builders"][0]["pid"]
    assert "stopped" in working("stop")
    assert working.pid() is None
    assert running(builder)
    working("resume")
    (tmp_path / "go").touch()
    working.over()
    assert starts(working) == 1


def test_stop_builders_ends_them_and_resume_starts_them_again(working: Relay, tmp_path: Path) -> None:
    builder = working.state()["builders"][0]["pid"]
    working("stop", "--builders")
    assert not running(builder)
    working("resume")
    (tmp_path / "go").touch()
    state = working.over()
    assert starts(working) == 2
    assert state["builders"][0]["status"] == "landed"


def test_what_is_stopped_while_it_is_verified_is_only_verified_again(relay: Relay, tmp_path: Path) -> None:
    check = f"echo x >> {tmp_path}/checks; for i in $(seq 600); do test -e {tmp_path}/go && exit; sleep 0.05; done"
    relay.begin(playbook(tmp_path / "book", ONE, verify=check), "parts", "--yes")
    eventually((tmp_path / "checks").exists)
    relay("stop", "--builders")
    (tmp_path / "go").touch()
    relay("resume")
    state = relay.over()
    assert state["builders"][0]["attempt"] == 1
    assert len([job for job in relay.events("job_started") if job["job"]["spec"]["name"] == "build"]) == 1


def test_stopping_twice_is_no_error(working: Relay) -> None:
    working("stop", "--builders")
    assert "no orchestrator was running" in working("stop")


def test_resuming_what_runs_says_so(working: Relay) -> None:
    pid = working.pid()
    assert "running already" in working("resume")
    assert working.pid() == pid


def test_pause_starts_nothing_new_and_resume_goes_on(working: Relay, tmp_path: Path) -> None:
    working("pause")
    (tmp_path / "go").touch()
    working.wait(lambda s: s["paused"] and not s["builders"][0]["pid"])
    assert working.state()["phase"] == "execution"
    assert "paused" in working("status").lower()
    working("resume")
    working.over()


def test_pause_now_freezes_builders_and_resume_thaws_them(working: Relay, tmp_path: Path) -> None:
    builder = working.state()["builders"][0]["pid"]
    working("pause", "--now")
    assert process_state(builder) == "T"
    shown = working("status")
    assert "1 frozen" in shown
    assert "at work" not in shown
    (tmp_path / "go").touch()
    working("resume")
    working.over()
    assert starts(working) == 1


def test_cancel_stops_builders_and_keeps_branches_and_worktrees(working: Relay) -> None:
    state = working.state()
    working("cancel")
    working.over("cancelled")
    line = state["builders"][0]
    assert not running(line["pid"])
    assert line["branch"] in run_git(working.root, "branch", "--list", "--format=%(refname:short)")
    assert (working.root / line["worktree"]).is_dir()
    assert "cancelled" in working("status").lower()


def test_cancelling_with_the_orchestrator_down_works_too(working: Relay) -> None:
    working("stop")
    assert "Stopped; 1 builder goes on by itself" in working("status")
    working("stop", "--builders")
    shown = working("status")
    assert "Stopped: nothing is at work" in shown
    assert "1 stopped" in shown
    working("cancel")
    working.over("cancelled")


def test_skipping_one_that_is_at_work_goes_on_without_it(relay: Relay, tmp_path: Path) -> None:
    builders: dict[str, Any] = {**ONE, "two": [{"hang": True}]}
    relay.begin(playbook(tmp_path / "book", builders), "parts", "--yes")
    relay.wait(lambda s: any(line["id"] == "two" and line["pid"] for line in s["builders"]))
    relay("skip", "two")
    state = relay.over()
    assert {line["id"]: line["status"] for line in state["builders"]} == {"one": "landed", "two": "skipped"}
