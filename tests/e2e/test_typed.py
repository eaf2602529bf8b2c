"""Every command that a run prints can be typed where it is read, and does what its label says."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from driver import Relay, playbook
from eventually import eventually
from reading import Done, Printed, Reader, Snapshot

from lib.errors import EXIT_FAILED, EXIT_OK, EXIT_REFUSED

ONE = {"one": [{"write": {"one.txt": "1\n"}}]}
TWO = {**ONE, "two": [{"write": {"two.txt": "2\n"}}]}
CLAUDE = """#!/bin/sh
cat >/dev/null; echo 1 > one.txt
echo '{"type": "result", "subtype": "success", "is_error": false, "result": "Done.", "session_id": "s1",
"total_cost_usd": 0.6, "usage": {"input_tokens": 1, "output_tokens": 1}}' | tr -d '\\n'; echo
"""


# --- stations: each brings a run there ---------------------------------------------------------------------------


def nothing(_run: Relay, _folder: Path) -> None:
    pass


def gate(run: Relay, folder: Path) -> None:
    run.begin(playbook(folder / "book", ONE))
    run.asked("approve_design")


def executing(run: Relay, folder: Path) -> None:
    run.begin(playbook(folder / "book", {**ONE, "two": [{"say": "begun"}, {"hang": True}]}), "parts", "--yes")
    run.wait(lambda state: [line["status"] for line in state["builders"]] == ["built", "running"])


def paused(run: Relay, folder: Path) -> None:
    executing(run, folder)
    run("pause")
    run.wait(lambda state: state["paused"])


def conflict(run: Relay, folder: Path) -> None:
    both = {name: [{"write": {"README.md": f"from {name}\n"}}] for name in ("one", "two")}
    run.begin(playbook(folder / "book", both), "parts", "--yes")
    run.asked("resolve_conflict")


def red(run: Relay, folder: Path) -> None:
    run.begin(playbook(folder / "book", TWO), "parts", "--yes", "--verify", "! { test -e one.txt && test -e two.txt; }")
    run.asked("fix_failure")


def question(run: Relay, folder: Path) -> None:
    asks = {"one": [{"say": '{"questions": ["which currency?"]}'}]}
    run.begin(playbook(folder / "book", asks), "parts", "--yes")
    run.asked("answer_questions")


def budget(run: Relay, folder: Path) -> None:
    book, programs = playbook(folder / "book", {"one": []}), folder / "bin"
    programs.mkdir()
    (programs / "claude").write_text(CLAUDE)
    (programs / "claude").chmod(0o755)
    env = {"RELAY_ROLES": f'{{"architect": "{book}"}}', "PATH": f"{programs}:{os.environ['PATH']}",
           "RELAY_MAX_COST_USD": "0.5", "RELAY_VERIFY": "test -e granted"}  # fmt: skip
    run.begin("claude", "parts", "--yes", env=env)
    run.asked("extend_budget")


def scope(run: Relay, folder: Path) -> None:
    design = {"components": [{"id": "one", "files": ["one.txt"]}]}
    steps = {"one": [*ONE["one"], {"write": {f"more/{number}.txt": "x\n" for number in range(9)}}]}
    run.begin(playbook(folder / "book", steps, architect={"say": "Parts.", "design": design}), "parts", "--yes")
    run.asked("approve_landing")


def landing(run: Relay, folder: Path) -> None:
    run.begin(playbook(folder / "book", ONE), "parts", "--yes", "--land", "ask")
    run.asked("approve_landing")


def in_the_way(run: Relay, folder: Path) -> None:
    (run.root / "one.txt").write_text("mine\n")
    run.begin(playbook(folder / "book", ONE), "parts", "--yes")
    run.asked("clear_the_way")


def strayed(run: Relay, folder: Path) -> None:
    stray = [*ONE["one"], {"run": "git add -A && git commit -qm sneaky; git update-ref refs/heads/main HEAD"}]
    run.begin(playbook(folder / "book", {**TWO, "one": stray}), "parts", "--yes", env={"RELAY_SANDBOX": "off"})
    run.asked("check_branch")


def landed(run: Relay, folder: Path) -> None:
    run.begin(playbook(folder / "book", ONE), "parts", "--yes")
    run.over()


def stored(run: Relay, folder: Path) -> None:
    run.begin(playbook(folder / "book", ONE), "parts", "--yes", "--land", "branch")
    run.over("stored")


def failed(run: Relay, folder: Path) -> None:
    run.begin(playbook(folder / "book", {**ONE, "two": [{"fail": {"say": "no"}}]}), "parts", "--yes",
              env={"RELAY_ATTEMPTS": "1"})  # fmt: skip
    run.asked("fix_failure")


def needs(run: Relay, folder: Path) -> None:
    both = {name: [{"write": {"README.md": f"from {name}\n"}}] for name in ("one", "two")}
    book = playbook(folder / "book", {**both, "three": ONE["one"]}, depends={"three": ["one", "two"]})
    run.begin(book, "parts", "--yes")
    run.asked("fix_failure")


def idle(run: Relay, folder: Path) -> None:
    run.begin(playbook(folder / "book", {"one": [{"say": "no need"}]}), "parts", "--yes", env={"RELAY_ATTEMPTS": "1"})
    run.asked("fix_failure")


def cancelled(run: Relay, folder: Path) -> None:
    executing(run, folder)
    run("cancel")
    run.over("cancelled")


def stopped(run: Relay, folder: Path) -> None:
    executing(run, folder)
    run("stop", "--builders")


def bad_design(run: Relay, folder: Path) -> None:
    gate(run, folder)
    file = run.root / ".project" / "runs" / str(run.state()["run"]) / "design.json"
    file.write_text(file.read_text()[:-20])
    run("approve")
    run.asked("fix_failure", times=2)


def broken(run: Relay, folder: Path) -> None:
    gate(run, folder)
    run.state_file.write_text("{ broken")
    eventually(lambda: run.events("problem_found"))


STATIONS = (
    nothing, gate, executing, paused, conflict, red, question, budget, scope, landing, in_the_way, strayed, landed,
    stored, failed, needs, idle, cancelled, stopped, bad_design, broken,
)  # fmt: skip


# --- what a label promises ---------------------------------------------------------------------------------------


def _went_on(run: Relay, _: Done) -> bool:
    started = run.events("orchestrator_started")[1:]
    return bool(started) and (run.pid() is not None or run.state()["action_owner"] == "ci" or run.state()["outcome"])


PROMISED: Mapping[str, Callable[[Relay, Done], Any]] = {
    "builds it": lambda run, _: run.events("step_added"),
    "lands it on main": lambda run, _: run.state()["outcome"] == "landed",
    "lands it, once that is done": lambda run, _: run.events("state_edited"),
    "asks for a new design": lambda run, _: run.events("action_started")[-1]["feedback"],
    "ends the run, keeps the branches": lambda run, _: run.state()["outcome"] == "cancelled",
    "goes on without": lambda run, _: run.events("finished") or "skipped" in str(run.state()["builders"]),
    "tries again": lambda run, _: len(run.events("asked")) > 1 or run.events("action_started")[-1]["feedback"],
    "has that builder fix it": lambda run, _: run.events("state_edited")[-1]["edit"]["action_needed"] == "retry two",
    "goes on": _went_on,
    "goes on where it stopped": _went_on,
    "allows as much again": lambda run, _: run.events("state_edited"),
    "answers": lambda run, _: run.events("state_edited")[-1]["edit"]["feedback"],
    "lets it decide by itself": lambda run, _: run.events("state_edited"),
    "brings it to the branch that you are on": lambda run, _: (run.root / "one.txt").exists(),
    "what failed, and its last lines": lambda _, done: "no" in done.said,
    "what it printed": lambda _, done: done.said.strip(),
    "what was built so far": lambda run, done: f"relay/{run.state()['run']}/one" in done.said,
    "what happened, event by event": lambda run, done: f"run {run.state()['run']} started" in done.said,
    "what was changed": lambda _, done: "+1" in done.said,
    "shows what would land": lambda _, done: "diff" in done.said,
    "shows the files in question": lambda _, done: "README.md" in done.said,
    "sets those files aside": lambda run, _: not (run.root / "one.txt").exists(),
    "moves those files aside": lambda run, _: not (run.root / "one.txt").exists(),
    "puts the branch back": lambda run, _: run.head() == run.state()["base"]["commit"],
    "opens it in your editor": lambda _, done: done.said.startswith("editing "),
    "sets the file aside, restores the last": lambda run, _: list(run.home.glob("state.json.rejected-*")),
    "watches it live": lambda _, done: done.said.strip(),
    "goes on, once it is done": lambda run, _: run.events("state_edited"),
    "goes on with your branch as it is": lambda run, _: run.events("state_edited"),
    "lists what is kept": lambda run, done: run.state()["run"] in done.said,
    "is one way to fix it": lambda *_: True,
}


# --- the tests ----------------------------------------------------------------------------------------------------


INSTANCES = ("default", "second")


@pytest.fixture(params=INSTANCES)
def run(repo: Path, request: pytest.FixtureRequest) -> Iterator[Relay]:
    driver = Relay(repo, request.param)
    yield driver
    driver.end()


@pytest.mark.parametrize(
    ("run", "station"),
    [pytest.param(INSTANCES[at % 2], station, id=f"{station.__name__}-{INSTANCES[at % 2]}")
     for at, station in enumerate(STATIONS)],
    indirect=["run"],
)  # fmt: skip
def test_every_command_that_is_printed_can_be_typed_there(
    run: Relay, tmp_path: Path, station: Callable[[Relay, Path], None]
) -> None:
    station(run, tmp_path)
    reader, at_root = readers(run)
    found = reader.printed()
    of_state = at_root.of_state() if station is not broken else []
    snapshot = Snapshot(run)
    found += reader.printed()
    assert found
    assert not troubles(run, snapshot, reader, found) + troubles(run, snapshot, at_root, of_state)


#: What is mistyped, or asks for what is not there.
MISTAKES = (
    "logs nobody", "logs one/x", "logs resolver", "diff nobody", "retry -b nobody", "show nowhere", "recover nothing",
    "clean nothing", "start --assistant nobody x", "start --assistant opencode x", "config set nothing 1",
    "config set parallel many", "answer x", "approve", "reject x", "skip one", "pause", "cancel", "init",
)  # fmt: skip


def test_every_remedy_of_a_command_that_is_refused_can_be_typed_there(run: Relay, tmp_path: Path) -> None:
    landed(run, tmp_path)
    Relay(run.root)("init")
    reader, _ = readers(run)
    snapshot = Snapshot(run)
    assert not troubles(run, snapshot, reader, [each for line in MISTAKES for each in reader.remedies(*line.split())])


def test_a_remedy_names_a_file_as_one_word(run: Relay, tmp_path: Path) -> None:
    reader, _ = readers(run)
    book = tmp_path / "it's a book.yaml"
    book.write_text("nothing")
    [remedy] = reader.remedies("start", "--assistant", f"scripted:{book}", "x")
    assert reader.types(remedy.text) == Done(0, f"editing {book}\n"), remedy


def test_a_name_that_is_not_utf_8_is_refused_in_a_sentence(run: Relay) -> None:
    reader, _ = readers(run)
    reader.env["RELAY_SKILLS"] = r'["s\udce9"]'
    assert "skills.0 must be text in UTF-8" in reader.relay("start", "--assistant", "scripted:calculator", "x").said


def readers(run: Relay) -> tuple[Reader, Reader]:
    """One in a subfolder of a checkout that is not on the path, or in a worktree; and one of state.json."""
    trees = sorted(run.root.glob(".project/worktrees/*/[!m]*"))
    is_second = run.instance == "second"
    below = trees[-1] if trees and is_second else run.root / "src"
    at_root = Reader(run, run.root, on_path=True)
    at_root.env["EDITOR"] = "sensible-editor"
    return Reader(run, below, on_path=is_second), at_root


#: What says that the command was not right as it was printed.
FAULTS = ("Traceback", "no run here", "No such", "not found", "there is no", "is no repository")
READING = re.compile(r"\S*relay (logs|show|status|diff|runs|recover|config explain)\b|git branch --list")


def troubles(run: Relay, snapshot: Snapshot, reader: Reader, commands: list[Printed]) -> list[str]:
    """Problems with the commands, each typed in the project as it was."""
    found = []
    for command in {
        each.text: each for each in sorted(commands, key=lambda each: (bool(each.label), not each.past))
    }.values():
        if trouble := _trouble(run, reader, command):
            found.append(f"{command}: {trouble}")
        if not READING.match(command.text):
            snapshot.put_back()
    return found


def _trouble(run: Relay, reader: Reader, command: Printed) -> str:
    done = reader.types(command.text)
    said = " ".join(done.said.split())
    allowed = {EXIT_OK, EXIT_FAILED, *([EXIT_REFUSED] if command.past else [])}
    if done.code not in allowed or any(fault in said for fault in FAULTS):
        return f"{done.code} {said}"
    if command.label and " does what " not in command.label:
        try:
            eventually(lambda: PROMISED[command.label](run, done))
        except AssertionError:
            return f"it does not do what it says: {said}\n{run.told()}"
    return ""
