"""`relay workflows test` as it is typed, and what the other commands make of files with cases."""

from __future__ import annotations

import json
import os
from pathlib import Path

import yaml
from driver import Relay

from lib.errors import EXIT_FAILED, EXIT_USAGE

FLOW = """\
name: flow
inputs: {what: {required: true}}
steps:
  - {id: plan, prompt: "Plan {{ inputs.what }}", access: read}
  - {id: build, needs: [plan], prompt: "Build it", verify: make test, retry: {max_attempts: 2}}
"""
CASES = """\
inputs: {what: a shed}
cases:
  - name: all goes well
    expect: {outcome: landed, order: [plan, build]}
  - name: the second attempt is better
    steps: {build: [{fails: verify}, {}]}
    expect: {attempts: {build: 2}}
"""
FAILING = """\
  - name: nobody knows
    steps: {build: {fails: verify, exit_status: 3}}
    expect: {outcome: landed, steps: {build: done}}
"""


def flow(relay: Relay, cases: str = CASES) -> Path:
    """The folder of the project's workflows, with one that has these cases."""
    folder = relay.root / ".project" / "workflows"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flow.yaml").write_text(FLOW)
    (folder / "flow.test.yaml").write_text(cases)
    return folder


def test_cases_that_pass_are_told_a_line_each(relay: Relay) -> None:
    flow(relay)
    lines = relay("workflows", "test", "flow", "-v").splitlines()
    assert [line.split("  ")[1].strip() for line in lines if "✓" in line] == [
        "✓ all goes well", "✓ the second attempt is better"
    ]  # fmt: skip
    assert "    plan → build ×2" in lines  # noqa: RUF001
    assert lines[-1].startswith("2 passed in ")
    assert all(len(line) <= 80 for line in lines)
    assert not (relay.root / ".git" / "relay").exists()
    assert not relay.state_file.exists()


def test_a_case_that_fails_is_told_with_what_came_and_fails_the_command(relay: Relay) -> None:
    folder = flow(relay, CASES + FAILING)
    said = relay("workflows", "test", str(folder / "flow.test.yaml"), code=EXIT_FAILED)
    assert "✗ nobody knows" in said
    assert "build: expected done, got failed (verify: exit status 3)" in said
    assert "1 failed, 2 passed in " in said
    assert "1 passed in " in relay("workflows", "test", "flow", "-k", "ALL well")
    assert "there is no case with purple" in relay.refused("workflows", "test", "flow", "-k", "purple", code=EXIT_USAGE)


def test_machines_are_told_all_of_it(relay: Relay) -> None:
    flow(relay, CASES + FAILING)
    told = json.loads(relay("workflows", "test", "flow", "--format", "json", code=EXIT_FAILED))
    assert (told["passed"], told["failed"]) == (2, 1)
    [found] = told["workflows"]
    assert found["workflow"] == "flow"
    well, _, failed = found["cases"]
    assert (well["passed"], well["outcome"], well["order"]) == (True, "landed", ["plan", "build"])
    assert (failed["steps"], len(failed["differences"])) == ({"plan": "done", "build": "failed"}, 2)


def test_wrong_files_are_told_before_any_case_is_run(relay: Relay) -> None:
    folder = flow(relay, CASES.replace("steps: {build:", "steps: {biuld:"))
    said = relay.refused("workflows", "test", code=EXIT_USAGE)
    assert "flow.test.yaml:6:13: there is no step biuld; did you mean build?" in said
    assert "there is no step biuld" in relay.refused(
        "workflows", "validate", str(folder / "flow.test.yaml"), code=EXIT_USAGE
    )
    (folder / "lone.test.yaml").write_text(CASES)
    assert "there is no workflow beside it: lone.yaml" in relay.refused("workflows", "test", code=EXIT_USAGE)


def test_without_names_all_are_run_those_that_ship_too(relay: Relay) -> None:
    flow(relay)
    said = relay("workflows", "test").splitlines()
    assert [line for line in said if line and line[0].isalpha()][:4] == [
        "flow", "build", "code_review", "create_proposal"
    ]  # fmt: skip


def test_cases_are_no_workflow_and_need_no_trust(relay: Relay) -> None:
    folder = flow(relay)
    assert "flow.test" not in relay("workflows", "list")
    relay("trust")
    (folder / "flow.test.yaml").write_text(CASES + FAILING)
    assert "nothing" in relay("trust").lower()
    cases = str(folder / "flow.test.yaml")
    for refused in (("show", cases), ("import", cases)):
        assert "it has the cases of a workflow" in relay.refused("workflows", *refused, code=EXIT_USAGE)
    said = relay.refused("start", "--workflow", cases, "--assistant", "scripted:calculator", code=EXIT_USAGE)
    assert "it has the cases of a workflow" in said
    assert "valid, 3 cases" in relay("workflows", "validate", cases)


def test_cases_go_where_their_workflow_goes(relay: Relay, tmp_path: Path) -> None:
    folder = flow(relay)
    relay("workflows", "export", "flow", "-o", str(tmp_path / "bundle.yaml"))
    said = relay("workflows", "delete", "flow", "--yes")
    assert [file.name for file in folder.iterdir() if not file.name.startswith(".")] == []
    relay("workflows", "import", str(tmp_path / "bundle.yaml"))
    assert "2 passed" in relay("workflows", "test", "flow")
    assert (folder / "flow.test.yaml").read_text() == CASES
    for name in ("flow.yaml", "flow.test.yaml"):
        (folder / name).unlink()
    back = said.partition("To bring it back: ")[2].strip()
    assert os.system(back) == 0  # noqa: S605 - the command that is printed
    assert "2 passed" in relay("workflows", "test", "flow")


def test_a_new_workflow_has_a_case_that_passes(relay: Relay) -> None:
    steps = ("--step", "plan=Plan {{ inputs.what }}", "--step", "build=Build")
    relay("workflows", "new", "mine", "--input", "what", *steps)
    file = relay.root / ".project" / "workflows" / "mine.test.yaml"
    assert file.read_text().startswith("# yaml-language-server: $schema=.workflow-test.schema.json\n")
    assert (file.parent / ".workflow-test.schema.json").is_file()
    assert yaml.safe_load(file.read_text())["cases"][0]["expect"]["order"] == ["plan", "build"]
    assert "1 passed" in relay("workflows", "test", "mine")
    relay("workflows", "new", "ours", "--from", "fix_bug")
    assert "6 passed" in relay("workflows", "test", "ours")
