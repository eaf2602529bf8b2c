"""Cases of workflows: how they are read, what the machine makes of them, and what is shown where they fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from conftest import ROOT

from lib.errors import UsageError
from lib.workflow.case_files import cases_of, workflow_of
from lib.workflow.faults import WorkflowError
from lib.workflow.library import BUILT_IN, Shelf
from lib.workflow.loading import load
from lib.workflow.samples import sample
from lib.workflow.schema import cases_schema, schema_text
from lib.workflow.writing import CASES_SCHEMA_NAME
from orchestrator.commands.workflow_tests import Result, results, suites

FLOW = """
inputs: {report: {required: true}}
steps:
  - {id: find, prompt: "Find {{ inputs.report }}", access: read,
     output_schema: {type: object, required: [cause], properties: {cause: {type: string}}}}
  - {id: fix, needs: [find], prompt: "Fix {{ steps.find.output.cause }}", verify: make test, retry: {max_attempts: 3}}
  - {id: ship, needs: [fix], run: "ship {{ inputs.report }}", on_failure: continue}
  - {id: ok, needs: [fix], gate: {message: "Good? {{ steps.fix.output }}", decisions: [approve, later, reject],
     form: {type: object, properties: {stars: {type: integer}}},
     timeout_s: 60, on_timeout: later, on_reject: {back_to: fix, max_rounds: 1}}}
outputs: {cause: "{{ steps.find.output.cause }}", decision: "{{ steps.ok.output.decision }}"}
"""
MANY = """
defaults: {workspace: none}
steps:
  - {id: list, run: "ls", output_schema: {type: array, items: {type: string}}}
  - {id: each, needs: [list], foreach: {in: "{{ steps.list.output }}", as: name, join: all_done}, run: "do {{ name }}"}
  - id: green
    needs: [each]
    loop: {until_run: make test, max_iterations: 4}
    group: [{id: work, prompt: "Last time: {{ loop.check else 'none' }}"}]
  - {id: poll, needs: [green], loop: {until: steps.poll.output.ready, max_iterations: 3}, run: poll,
     output_schema: {type: object, required: [ready], properties: {ready: {type: boolean}}}}
outputs: {each: "{{ steps.each.output }}"}
"""


def suite(folder: Path, flow: str, case: str, *, shared: str = "") -> list[Result]:
    """The results of one case, whose text lacks only the name."""
    (folder / "flow.yaml").write_text(f"name: flow\n{flow}")
    (folder / "flow.test.yaml").write_text(f"{shared}\ncases:\n  - name: a case\n{case}")
    shelf = Shelf([("test", folder)])
    [found] = suites(["flow"], shelf)
    return list(results(found, shelf))


def told(folder: Path, flow: str, **case: Any) -> list[str]:
    """The differences of a case; nothing if it passes."""
    case.setdefault("requirement", "do it")
    text = "".join(f"    {line}\n" for line in yaml.safe_dump(case, sort_keys=False, width=10_000).splitlines())
    return list(suite(folder, flow, text)[0].differences)


def test_what_is_given_goes_through_the_real_machine(tmp_path: Path) -> None:
    assert told(
        tmp_path, FLOW,
        inputs={"report": "a crash"},
        steps={"find": {"output": {"cause": "a typo"}}, "fix": {"text": "mended"}},
        gates={"ok": {"decision": "approve", "answers": {"stars": 5}}},
        expect={
            "outcome": "landed", "steps": dict.fromkeys(("find", "fix", "ship", "ok"), "done"),
            "order": ["find", "fix", "ok"], "attempts": {"fix": 1},
            "outputs": {"cause": "a typo", "decision": "approve"},
            "prompts": {"find": "Find a crash", "fix": ["Fix a typo"], "ship": "ship a crash", "ok": "Good? mended"},
        },
    ) == []  # fmt: skip


def test_without_a_word_of_a_step_it_does_well(tmp_path: Path) -> None:
    [passed] = suite(tmp_path, FLOW, "    gates: {ok: approve}\n", shared="inputs: {report: x}")
    assert passed.differences == ()
    assert passed.ended.outputs == {"cause": "words of find", "decision": "approve"}


@pytest.mark.parametrize(("steps", "expect"), [
    ({"fix": [{"fails": "verify"}, {}]}, {"attempts": {"fix": 2}}),
    ({"fix": [{"fails": "exit", "exit_status": 4}, {"fails": "idle"}, {"fails": "timeout"}]},
     {"outcome": "waiting", "says": "timeout", "attempts": {"fix": 3}, "steps": {"fix": "failed", "ok": "pending"}}),
    ({"fix": {"fails": "verify", "message": "2 tests failed"}}, {"outcome": "waiting", "says": "2 tests failed"}),
    ({"fix": {"text": '{"questions": ["Which one?"]}'}}, {"outcome": "waiting", "says": "Which one?"}),
    ({"find": [{"output": {"cause": 5}}, {"output": {"cause": "x"}}]},
     {"prompts": {"find": "5 is not of type 'string'"}, "attempts": {"find": 1}}),
    ({"find": {"text": "no JSON"}}, {"outcome": "waiting", "says": "does not fit output_schema"}),
    ({"find": {"fails": "schema"}}, {"outcome": "waiting"}),
    ({"fix": [{"fails": "service"}, {"fails": "lost"}, {}]}, {"outcome": "landed"}),
    ({"ship": {"fails": "limit"}}, {"outcome": "landed", "steps": {"ship": "failed"}}),
    ({"fix": {"text": "x", "changes": False}}, {"outcome": "done"}),
    ({"fix": {"text": "x", "changes": False}, "ship": {"changes": True}}, {"outcome": "landed"}),
])  # fmt: skip
def test_failures_and_replies(tmp_path: Path, steps: dict[str, Any], expect: dict[str, Any]) -> None:
    assert told(tmp_path, FLOW, inputs={"report": "x"}, steps=steps, gates={"ok": "approve"}, expect=expect) == []


@pytest.mark.parametrize(("answers", "expect"), [
    (["reject", "approve"], {"outcome": "landed", "attempts": {"fix": 2, "ok": 2}}),
    ([{"decision": "reject", "words": "too big"}, "later"], {"prompts": {"fix": "too big"},
                                                             "outputs": {"decision": "later"}}),
    ("reject", {"outcome": "waiting", "says": "rejected 2 times", "steps": {"ok": "failed"}}),
    ("timeout", {"outcome": "landed", "outputs": {"decision": "later"}}),
    ({"decision": "approve", "answers": {"stars": "many"}}, {"outcome": "waiting", "says": "is not of type 'integer'"}),
])  # fmt: skip
def test_answers_of_gates(tmp_path: Path, answers: Any, expect: dict[str, Any]) -> None:
    assert told(tmp_path, FLOW, inputs={"report": "x"}, gates={"ok": answers}, expect=expect) == []


def test_instances_turns_and_checks(tmp_path: Path) -> None:
    assert told(
        tmp_path, MANY,
        steps={
            "list": {"text": '["one", "two"]'}, "each:two": {"fails": "exit", "message": "no two"},
            "each": {"text": "did"},
            "poll": [{"output": {"ready": False}}, {"output": {"ready": True}}],
        },
        checks={"green": [{"fails": "exit", "text": "1 failed"}, {}]},
        expect={
            "outcome": "done",
            "steps": {"each:one": "done", "each:two": "failed", "each": "done", "green:2": "done", "poll": "done"},
            "order": ["each:one", "green:1.work", "green:2.work", "poll:1", "poll:2"],
            "attempts": {"each": 2, "green.work": 2, "poll": 2},
            "outputs": {"each": ["did", {"status": "failed", "error": "each:two: run: no two"}]},
            "prompts": {"green:1.work": "Last time: none", "green:2.work": "Last time: 1 failed"},
        },
    ) == []  # fmt: skip


def test_what_is_not_as_expected_is_told_with_what_came(tmp_path: Path) -> None:
    last = "fix: verify: exit status 3 (3 attempts). Its last lines: verify failed: exit status 3"
    assert told(
        tmp_path, FLOW,
        inputs={"report": "x"}, steps={"fix": {"fails": "verify", "exit_status": 3}},
        expect={
            "outcome": "landed", "says": "Landed", "steps": {"fix": "done", "ok": "done"}, "attempts": {"fix": 1},
            "order": ["fix", "find"], "outputs": {"cause": "y"}, "prompts": {"fix": "Repair", "ok": "Good?"},
        },
    ) == [
        f"outcome: expected landed, got waiting: {last}",
        f'message: expected "Landed", got "{last}"',
        "fix: expected done, got failed (verify: exit status 3)",
        "ok: expected done, got pending",
        "fix: expected 1 attempt, got 3 attempts",
        "order: expected fix → find, got find → fix ×3",  # noqa: RUF001
        'output cause: expected "y", got none',
        'prompt of fix: expected "Repair", got "Fix words of find\\nverify failed: exit status 3"',
        'prompt of ok: expected "Good?", got none',
    ]  # fmt: skip


def test_a_case_that_waits_says_for_what(tmp_path: Path) -> None:
    endless = "steps:\n  - {id: a, prompt: x}\n"
    assert told(tmp_path, endless, steps={"a": {"fails": "service"}}) == [
        "outcome: expected landed or done, got waiting: it goes on without end: a has begun 201 times"
    ]
    assert told(tmp_path, 'steps:\n  - {id: ok, gate: {message: "Go on?"}}\n') == [
        "outcome: expected landed or done, got waiting: ok asks: Go on?"
    ]
    odd = 'steps:\n  - {id: a, run: x, output_schema: {type: string, pattern: "[0-9]+"}}\n'
    [words] = told(tmp_path, odd)
    assert "got waiting: it waits for the output of a, which the case must give" in words
    assert "does not match" in words


@pytest.mark.parametrize(("flow", "inputs", "says"), [
    ("steps:\n  - {id: a, prompt: x, review: true}\n", {}, "a: review is not carried out yet"),
    ("inputs: {n: {type: integer, required: true}}\nsteps:\n  - {id: a, run: x y}\n", {}, "n is missing"),
    ("inputs: {n: {type: integer}}\nsteps:\n  - {id: a, run: x y}\n", {"n": "x"}, "n must be integer"),
])  # fmt: skip
def test_what_start_refuses_is_refused(tmp_path: Path, flow: str, inputs: dict[str, Any], says: str) -> None:
    assert told(tmp_path, flow, inputs=inputs, expect={"outcome": "refused", "says": says}) == []
    assert "got refused: " in told(tmp_path, flow, inputs=inputs)[0]


WRONG = """\
input: {x: 1}
cases:
  - name: one
    steps:
      fix: {fials: exit}
      fxi: {text: x}
      ok: {text: x}
      find: {fails: verify}
      ship: {output: 1, text: x}
    gates: {ok: aprove, find: approve}
    expect: {outcome: landd, stesp: {}, order: [fix, fixx], outputs: {causes: 1}, attempts: {fix: -1}}
  - name: one
    inputs: {reprot: x}
    checks: {fix: {}}
    steps: {fix: [{fails: exti}, {exit_status: 3}, {fails: idle, exit_status: 3}], "fix:1": []}
"""
FAULTS = [
    "1:1: unknown key input; did you mean inputs?",
    "5:13: unknown key fials; did you mean fails?",
    "6:7: there is no step fxi; did you mean fix?",
    "7:7: ok is a gate: its answers go under gates",
    "8:14: find has no verify that could fail",
    "9:13: ship has output and text; keep one",
    "10:13: ok does not take aprove; did you mean approve?",
    "10:25: find is no gate: what it gives goes under steps",
    (
        '11:23: outcome must be one of landed, stored, done, failed, cancelled, waiting, refused, not "landd"; '
        "did you mean landed?"
    ),
    "11:30: unknown key stesp; did you mean steps?",
    "11:54: there is no step fixx; did you mean fix?",
    "11:71: there is no output causes; did you mean cause?",
    "11:99: fix must be at least 0, not -1",
    "12:5: another case is called one",
    "13:14: there is no input reprot; did you mean report?",
    "14:14: fix has no loop with until_run",
    (
        '15:27: fails must be one of exit, timeout, idle, verify, schema, limit, service, lost, refused, not "exti"; '
        "did you mean exit?"
    ),
]


def wrong(folder: Path, text: str) -> list[str]:
    (folder / "flow.yaml").write_text(f"name: flow\n{FLOW}")
    (folder / "flow.test.yaml").write_text(text)
    with pytest.raises(WorkflowError) as raised:
        suites(["flow"], Shelf([("test", folder)]))
    return [fault.told.removeprefix("flow.test.yaml:") for fault in raised.value.faults]


def test_all_that_is_wrong_is_told_at_once_with_its_place_and_the_nearest_word(tmp_path: Path) -> None:
    found = wrong(tmp_path, WRONG)
    assert [fault for fault in FAULTS if fault not in found] == []
    assert len(found) == len(FAULTS) + 3  # three of the last line, worded as those above


@pytest.mark.parametrize("text", ["", "cases: []\n", "- name: x\n", "cases: [{}]\n", "cases: [x]\n", "cases: {",
                                  "cases: 5\n",
                                  "cases: [{name: x, steps: 5, gates: [], expect: 1}]\n"])  # fmt: skip
def test_what_is_no_case_is_refused_in_words(tmp_path: Path, text: str) -> None:
    assert wrong(tmp_path, text)


def test_files_find_one_another_and_nobody_else(tmp_path: Path) -> None:
    for name in ("a.yaml", "a.test.yml", "b.json", "lone.test.yaml", ".c.test.yaml.deleted"):
        (tmp_path / name).write_text("")
    assert cases_of(tmp_path / "a.yaml") == tmp_path / "a.test.yml"
    assert cases_of(tmp_path / "b.json") is None
    assert workflow_of(tmp_path / "a.test.yml") == tmp_path / "a.yaml"
    shelf = Shelf([("test", tmp_path)])
    assert list(shelf.names()) == ["a", "b"]
    with pytest.raises(UsageError, match=r"b has no cases: they would be in .*b\.test\.yaml"):
        suites(["b"], shelf)
    with pytest.raises(WorkflowError, match="it has the cases of a workflow, and is none itself"):
        load(tmp_path / "a.test.yml")
    with pytest.raises(WorkflowError, match=r"there is no workflow beside it: lone\.yaml"):
        suites([], shelf)


def test_cases_of_a_shadowed_workflow_are_not_run(tmp_path: Path) -> None:
    for name in ("near", "far"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "flow.yaml").write_text("name: flow\nsteps: [{id: a, run: x}]\n")
    (tmp_path / "far" / "flow.test.yaml").write_text("cases: [{name: x}]\n")
    (tmp_path / "far" / "other.yaml").write_text("name: other\nsteps: [{id: a, run: x}]\n")
    (tmp_path / "far" / "other.test.yaml").write_text("cases: [{name: x}]\n")
    found = suites([], Shelf([("project", tmp_path / "near"), ("user", tmp_path / "far")]))
    assert [each.entry.name for each in found] == ["other"]


@pytest.mark.parametrize(("schema", "value"), [
    ({"type": "object", "required": ["a"], "properties": {"a": {"enum": ["x", "y"]}, "b": {"type": "boolean"}}},
     {"a": "x", "b": True}),
    ({"type": "array", "minItems": 2, "items": {"type": "integer", "minimum": 3}}, [3, 3]),
    ({"type": "string", "minLength": 6, "maxLength": 6}, "word.."),
    ({"type": ["null", "string"]}, None),
    ({"anyOf": [{"const": 5}, {"type": "string"}]}, 5),
    ({"properties": {"x": {}}}, {"x": "word"}),
    ({}, "word"),
])  # fmt: skip
def test_samples_fit_their_schema(schema: dict[str, Any], value: Any) -> None:
    assert sample(schema, "word") == value
    jsonschema.validate(value, schema)


@pytest.mark.parametrize("schema", [{"pattern": "[0-9]+"}, {"not": {}}, {"type": "array", "contains": {"const": 1}}])
def test_what_has_no_simple_sample_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(LookupError):
        sample(schema, "word")


def test_the_published_schema_is_that_of_the_models() -> None:
    assert (ROOT / "templates" / CASES_SCHEMA_NAME).read_text() == schema_text(cases_schema()), "make schema"
    jsonschema.Draft202012Validator.check_schema(cases_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(WRONG), cases_schema())


@pytest.mark.parametrize("name", Shelf([(BUILT_IN, ROOT / "templates" / "workflows")]).names())
def test_the_cases_of_a_shipped_workflow_pass(name: str) -> None:
    shelf = Shelf([(BUILT_IN, ROOT / "templates" / "workflows")])
    [found] = suites([name], shelf)
    assert len(found.cases) >= 4
    text = found.file.read_text()
    assert text.startswith(f"# yaml-language-server: $schema=../{CASES_SCHEMA_NAME}\n")
    jsonschema.validate(yaml.safe_load(text), cases_schema())
    assert {result.case: result.differences for result in results(found, shelf) if not result.passed} == {}
