"""Handing back at the gate, with what people really save files with, and what must not count as handing back."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import run_git
from driver import Relay, playbook
from eventually import WAIT_S, eventually

from lib.errors import EXIT_USAGE

#: For `--poll`: what happens, happens by an event.
NEVER_S = "3600"
CI, CODE = '"action_owner": "ci"', '"action_owner": "code"'


@pytest.fixture
def gated(relay: Relay, tmp_path: Path) -> Relay:
    """A run that waits for its design to be approved."""
    relay.begin(playbook(tmp_path / "book", {"one": [{"write": {"one.txt": "1\n"}}]}))
    relay.asked("approve_design")
    return relay


def handed_back(text: str) -> str:
    assert CI in text
    return text.replace(CI, CODE)


def shell(line: str) -> Callable[[Path], object]:
    return lambda file: subprocess.run(["/bin/sh", "-c", line, "sh", file], check=True, stdin=subprocess.DEVNULL)


def with_nano(file: Path) -> None:
    """Replace all (M-R), write out (^O), leave (^X): typed once nano has drawn its screen."""
    keys = b"\x1br" + CI.encode() + b"\r" + CODE.encode() + b"\ra\x0f\r\x18"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execlpe("nano", "nano", "--ignorercfiles", str(file), {**os.environ, "TERM": "xterm"})  # noqa: S606
    drawn = b""
    with suppress(OSError):  # EIO: nano has left
        while select.select([terminal], [], [], WAIT_S)[0]:
            drawn += os.read(terminal, 65_536)
            if keys and b"Exit" in drawn:
                os.write(terminal, keys)
                keys = b""
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0, drawn


def in_pieces(file: Path) -> None:
    text = handed_back(file.read_text())
    with file.open("w") as stream:
        for start in range(0, len(text), 40):
            stream.write(text[start : start + 40])
            stream.flush()
            os.fsync(stream.fileno())


def by_removing(file: Path) -> None:
    text = handed_back(file.read_text())
    file.unlink()
    file.write_text(text)


def by_moving_another_over_it(file: Path) -> None:
    other = file.with_name("mine.json")
    other.write_text(handed_back(file.read_text()))
    subprocess.run(["mv", other, file], check=True)


def without_layout(file: Path) -> None:
    """As a script does that knows nothing of how we lay it out."""
    file.write_text(json.dumps(json.loads(handed_back(file.read_text())), sort_keys=True))


SAVING = {
    "vim": shell(f"vim -es -u NONE -i NONE -c '%s/{CI}/{CODE}/' -c wq \"$1\""),
    "nano": with_nano,
    "sed -i": shell(f"sed -i 's/{CI}/{CODE}/' \"$1\""),
    "in pieces": in_pieces,
    "removed and made again": by_removing,
    "mv": by_moving_another_over_it,
    "another layout": without_layout,
}


@pytest.mark.parametrize("tool", SAVING)
def test_what_people_save_with_hands_the_run_back(gated: Relay, tool: str) -> None:
    SAVING[tool](gated.state_file)
    gated.over()
    assert (gated.root / "one.txt").read_text() == "1\n"
    assert [edit["edit"] for edit in gated.events("state_edited")] == [
        {"action_owner": "code", "action_needed": None, "feedback": None, "paused": None}
    ]


def test_approving_hands_the_run_back(gated: Relay) -> None:
    assert "Approved. Building starts." in gated("approve")
    gated.over()


def test_rejecting_gives_another_design_that_used_the_words(relay: Relay) -> None:
    relay.begin("scripted:calculator", "a calculator")
    first = relay.asked("approve_design")
    design = relay.home / "runs" / first["run"] / "design.json"
    assert "roman numerals" not in design.read_text()
    relay("reject", "use roman numerals")
    again = relay.asked("approve_design", times=2)
    assert "use roman numerals" in json.loads(design.read_text())["summary"]
    assert "use roman numerals" in design.with_suffix(".md").read_text()
    assert again["feedback"] == ""


def test_naming_design_with_feedback_in_the_file_does_the_same(relay: Relay) -> None:
    relay.begin("scripted:calculator", "a calculator")
    state = relay.asked("approve_design")
    design = relay.home / "runs" / state["run"] / "design.json"
    relay.edit(action_owner="code", action_needed="design", feedback="count in dozens")
    relay.asked("approve_design", times=2)
    assert "count in dozens" in design.read_text()


def test_an_edited_design_is_what_is_built(gated: Relay) -> None:
    design = gated.home / "runs" / gated.state()["run"] / "design.json"
    value = json.loads(design.read_text())
    value["components"][0]["title"] = "As I want it"
    design.write_text(json.dumps(value))
    gated("approve")
    gated.over()
    assert "As I want it" in run_git(gated.root, "log", "--format=%B", "main")


def test_a_design_that_was_edited_into_nonsense_comes_back_with_the_file_and_the_reason(gated: Relay) -> None:
    design = gated.home / "runs" / gated.state()["run"] / "design.json"
    good = design.read_text()
    design.write_text('{"components": [{"id": "a", "depends_on": ["b"]}, {"id": "b", "depends_on": ["a"]}]}')
    gated("approve")
    state = gated.asked("fix_failure")
    assert "design.json" in state["message"]
    assert "a → b" in state["message"] or "b → a" in state["message"]
    design.write_text(good)
    gated("retry")
    gated.over()


def test_broken_json_is_kept_and_told_and_the_run_goes_on_when_it_is_mended(gated: Relay) -> None:
    good = gated.state_file.read_text()
    broken = handed_back(good).replace('"paused": false,', '"paused": false', 1)
    gated.state_file.write_text(broken)
    told = eventually(lambda: "line" in (shown := gated("status")) and shown)
    assert "column" in told
    assert "state.json" in told
    assert gated.state_file.read_text() == broken
    assert not gated.events("state_edited")
    gated.state_file.write_text(handed_back(good))
    gated.over()


def test_a_file_that_is_broken_for_a_moment_is_not_even_told(gated: Relay) -> None:
    good = gated.state_file.read_text()
    for cut in range(0, len(good), len(good) // 20):
        gated.state_file.write_text(good[:cut])
    gated.state_file.write_text(handed_back(good))
    gated.over()
    assert not gated.events("problem_found")


def test_an_old_buffer_saved_over_a_newer_revision_is_told_and_undoes_nothing(gated: Relay) -> None:
    buffer = gated.state_file.read_text()
    gated("reject", "once more")
    newer = gated.asked("approve_design", times=2)
    gated.state_file.write_text(handed_back(buffer))
    told = eventually(lambda: "moved on while you edited" in (shown := gated("status")) and shown)
    assert "relay resume --discard-edit" in told
    assert gated.state_file.read_text() == handed_back(buffer)
    assert gated.state() | {"action_owner": "ci"} == json.loads(buffer)
    gated("resume", "--discard-edit")
    back = gated.wait(lambda s: s["rev"] >= newer["rev"])
    assert (back["phase"], back["action_needed"]) == ("design", "approve_design")
    gated("approve")
    gated.over()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a phase": ({"phase": "storage"}, "phase"),
    "an action of nobody": ({"action_owner": "code", "action_needed": "deploy"}, "deploy"),
    "a misspelt action": ({"action_owner": "code", "action_needed": "desing"}, "design"),
    "an owner of nobody": ({"action_owner": "cod"}, "code"),
    "a wrong type": ({"paused": "maybe"}, "true or false"),
    "an unknown field": ({"feedbak": "words"}, "feedback"),
    "a revision to come": ({"rev": 9_000}, "9000"),
}


@pytest.mark.parametrize("what", WRONG)
def test_an_edit_that_can_not_be_is_told_and_nothing_is_done(gated: Relay, what: str) -> None:
    fields, words = WRONG[what]
    good = gated.state_file.read_text()
    gated.edit(**fields)
    wrong = gated.state_file.read_text()
    [found] = eventually(lambda: gated.events("problem_found"))
    assert words in found["problem"]["message"]
    assert found["problem"]["message"][:20] in gated("status")
    assert gated.state_file.read_text() == wrong
    gated.state_file.write_text(good)
    eventually(lambda: gated.events("problem_mended"))
    gated("approve")
    gated.over()


#: Some fail halfway, as what they delete is made again under their hands.
LOSSES = {
    "state.json": 'rm "$1/.project/state.json"',
    ".project": 'rm -rf "$1/.project" || true',
    ".project moved away": 'mv "$1/.project" "$1/../away"',
    "git clean": 'git -C "$1" clean -fdxq || true',
    "git clean -ff": 'git -C "$1" clean -ffdxq || true',
    "git stash": 'git -C "$1" stash -qa || true',
}


def test_what_was_deleted_at_the_gate_is_restored_and_the_run_lands(relay: Relay, tmp_path: Path) -> None:
    book = playbook(tmp_path / "book", {"one": [{"write": {"one.txt": "1\n"}}]})
    relay.begin(book, "parts", "--poll", NEVER_S)
    for lose in LOSSES.values():
        relay.asked("approve_design")
        shell(lose)(relay.root)
        eventually(relay.state_file.exists)
    relay("approve")
    relay.over()
    assert (relay.root / "one.txt").read_text() == "1\n"


def test_what_was_deleted_while_builders_run_is_restored_and_the_run_lands(relay: Relay, tmp_path: Path) -> None:
    go = tmp_path / "go"
    steps = [{"run": f"for i in $(seq 2000); do test -e {go} && exit; sleep 0.05; done"}, {"write": {"one.txt": "1\n"}}]
    relay.begin(playbook(tmp_path / "book", {"one": steps}), "parts", "--yes", "--poll", "0.5")
    for lose in LOSSES.values():
        relay.wait(lambda s: any(line["pid"] for line in s["builders"]))
        shell(lose)(relay.root)
        eventually(relay.state_file.exists)
    go.touch()
    relay.over()
    assert (relay.root / "one.txt").read_text() == "1\n"


def test_a_pause_in_the_file_holds_the_run_and_its_end_lets_it_go(gated: Relay) -> None:
    gated.edit(paused=True)
    eventually(lambda: gated.events("state_edited"))
    gated("approve")
    gated.wait(lambda s: s["action_owner"] == "code")
    assert gated.state()["phase"] == "design"
    gated.edit(paused=False)
    gated.over()


def test_without_the_orchestrator_approving_starts_it(gated: Relay) -> None:
    gated("stop")
    assert gated.pid() is None
    assert "was not running: started" in gated("approve")
    gated.over()


def test_an_edit_made_while_no_orchestrator_runs_is_taken_up_by_the_next(gated: Relay) -> None:
    gated("stop")
    gated.edit(action_owner="code")
    gated("resume")
    gated.over()


def test_words_that_would_reach_nobody_are_refused_with_what_takes_them(gated: Relay) -> None:
    said = gated.refused("approve", "split it", code=EXIT_USAGE)
    assert "nobody would read your words now" in said
    assert "relay reject 'split it'" in said
    assert gated.state()["action_needed"] == "approve_design"
    gated("approve")
    gated.over()
    assert "Nothing to approve: the run is over (landed)" in gated.refused("approve")
