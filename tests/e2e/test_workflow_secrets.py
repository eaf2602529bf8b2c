"""Secrets of a workflow: in the environment of its steps, and nowhere that Relay writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from conftest import run_git
from driver import QUICK, Relay
from eventually import eventually
from killing import kill

FROM_ENV, FROM_FILE, FROM_COMMAND = "env-4711-swordfish", "file-4711-marlin", "command-4711-tuna"
DIGEST = hashlib.sha256(f"{FROM_ENV}{FROM_FILE}{FROM_COMMAND}\n".encode()).hexdigest()
#: Each way to get one: its names are none that are taken for a secret's.
FLOW = """
name: flow
secrets:
  - {{name: ALPHA, from: {{env: OUTER}}}}
  - {{name: BETA, from: {{file: {folder}/beta}}}}
  - {{name: GAMMA, from: {{command: "cat {folder}/gamma"}}}}
steps:
  - id: print
    run: |
      echo $ALPHA; echo $BETA >&2; echo a=$GAMMA > $RELAY_OUTPUT
      echo $ALPHA$BETA$GAMMA | sha256sum | grep {digest}
  - {{id: ask, needs: [print], prompt: "It gave {{{{ steps.print.output.a }}}}", verify: "echo verify $GAMMA"}}
  - {{id: more, needs: [ask], run: "echo {{{{ steps.ask.output }}}}; test -e {folder}/flag"}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "vault"
    made.mkdir()
    (made / "beta").write_text(f"{FROM_FILE}\n")
    (made / "gamma").write_text(FROM_COMMAND)
    return made


@pytest.fixture
def flow(relay: Relay, folder: Path) -> str:
    """The assistant of the workflow `flow`, which is written; it says what it finds in its environment."""
    file = relay.root / ".project" / "workflows" / "flow.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(FLOW.format(folder=folder, digest=DIGEST))
    book = folder.parent / "flow.yaml"
    says = [{"run": "echo said $ALPHA $BETA $GAMMA"}, {"say": f"It is {FROM_FILE}"}]
    book.write_text(yaml.safe_dump({"name": "flow", "steps": {"ask": says}}))
    relay("trust")
    return f"scripted:{book}"


def begin(relay: Relay, assistant: str) -> None:
    relay("start", "--workflow", "flow", "--assistant", assistant, env=QUICK | {"OUTER": FROM_ENV})


def written(relay: Relay) -> Iterator[tuple[Path, bytes]]:
    """All that Relay has written, but for the workflow itself and the history of main."""
    for top in (relay.root / ".project", relay.root / ".git" / "relay"):
        yield from ((file, file.read_bytes()) for file in top.rglob("*") if file.is_file() and file.name != "flow.yaml")


def command_lines() -> Iterator[bytes]:
    """Gives those of all processes of this machine."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            yield file.read_bytes()


def test_they_reach_each_step_and_nothing_that_is_written(relay: Relay, flow: str, folder: Path) -> None:
    begin(relay, flow)
    relay.asked("fix_failure")  # `more`, once all of them were there for the others
    state = {step["id"]: step["status"] for step in relay.state()["steps"]}
    assert state == {"print": "done", "ask": "done", "more": "failed"}
    found = [file for file, data in written(relay) for value in (FROM_ENV, FROM_FILE, FROM_COMMAND)
             if value.encode() in data]  # fmt: skip
    assert found == []
    log = relay("logs", "print")
    assert "[masked ALPHA]" in log
    (folder / "flag").touch()
    relay("retry", "more")
    relay.over("done")
    shown = relay("show", "-v", "--json")
    assert json.loads(shown)["outputs"] == {}
    assert not any(value in shown for value in (FROM_ENV, FROM_FILE, FROM_COMMAND))
    assert "[masked GAMMA]" in shown


def test_no_command_line_has_one_and_what_a_killed_orchestrator_left_to_read_is_masked(
    relay: Relay, flow: str, folder: Path
) -> None:
    step = f"echo a=$GAMMA > $RELAY_OUTPUT; touch {folder}/begun; until test -e {folder}/flag; do sleep 0.05; done"
    text = (
        f"name: flow\nsecrets: [{{name: GAMMA, from: {{file: {folder}/gamma}}}}]\nsteps: [{{id: a, run: '{step}'}}]\n"
    )
    (relay.root / ".project" / "workflows" / "flow.yaml").write_text(text)
    relay("trust")
    begin(relay, flow)
    eventually((folder / "begun").exists)
    lines = list(command_lines())
    assert any(b"/begun" in line for line in lines)
    assert not any(FROM_COMMAND.encode() in line for line in lines)
    kill(relay, "orchestrator")
    (folder / "flag").touch()
    relay("resume")
    relay.over("done")
    assert [file for file, data in written(relay) if FROM_COMMAND.encode() in data] == []
    assert json.loads(relay("show", "--json"))["steps"][0]["output"] == {"a": "[masked GAMMA]"}


@pytest.mark.parametrize(("variables", "why"), [({}, "the variable OUTER is not set"), ({"OUTER": "short"}, "fewer")])
def test_one_that_can_not_be_had_is_refused_before_anything_starts(
    relay: Relay, flow: str, variables: dict[str, str], why: str
) -> None:
    said = relay.refused("start", "--workflow", "flow", "--assistant", flow, env=variables)
    assert "the secret ALPHA can't be had" in said
    assert why in said
    assert "export OUTER=…" in said
    assert not relay.state_file.exists()
    assert run_git(relay.root, "branch", "--list", "relay/*") == ""


def test_one_that_is_gone_later_is_asked_about_and_a_retry_goes_on(relay: Relay, flow: str, folder: Path) -> None:
    (folder / "gamma").rename(folder / "away")
    begin(relay, flow)
    state = relay.asked("fix_failure")
    assert "the secret GAMMA can't be had: its command ended with exit status 1" in state["message"]
    (folder / "away").rename(folder / "gamma")
    (folder / "flag").touch()
    relay("retry")
    relay.over("done")
