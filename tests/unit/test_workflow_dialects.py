"""Dialects are known by their shape; converting a file and reading it as it is give the same graph."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workflow_texts import FIXTURES, compiled, library, loaded

from lib.workflow.dialects import dialects
from lib.workflow.drawing import data
from lib.workflow.faults import WorkflowError
from lib.workflow.loading import load
from lib.workflow.located import read
from lib.workflow.shape import shape
from lib.workflow.writing import as_yaml

EXPECTED = {
    "fix_bug.json": "workflow_name", "refactor.json": "workflow_name", "create_proposal.json": "workflow_name",
    "code-review-workflow.yaml": "keyed", "pr_processing.json": "agents", "hotfix_deployment.yaml": "agents",
    "feature_integration.yaml": "agents", "feature.workflow.yml": "stages", "archon.yaml": "archon", "child.yaml": "",
}  # fmt: skip


def test_every_fixture_is_expected_and_every_dialect_has_one() -> None:
    assert {file.name for file in FIXTURES.iterdir()} == set(EXPECTED)
    assert set(EXPECTED.values()) - {""} == set(dialects())


@pytest.mark.parametrize("file", EXPECTED)
def test_converting_and_reading_give_the_same_graph(file: str) -> None:
    found = load(FIXTURES / file)
    assert found.dialect == EXPECTED[file]
    shelf = library()
    plan = found.plan(shelf)
    again = compiled(as_yaml(found.document.data), f"{plan.workflow.name}.yaml", shelf)
    assert _graph(plan) == _graph(again)
    assert plan.workflow == again.workflow


def _graph(plan: Any) -> Any:
    drawn = data.draw(plan, shape(plan))
    for node in drawn["nodes"]:
        del node["file"], node["line"], node["column"]
    return drawn


def test_what_has_no_counterpart_is_named_with_its_line() -> None:
    told = [remark.told for remark in load(FIXTURES / "archon.yaml").remarks]
    assert told == [
        (
            "archon.yaml:15:5: the command file create-plan has no counterpart; put its text into the prompt; for "
            "now the assistant reads .archon/commands/create-plan.md"
        ),
        "archon.yaml:34:5: allowed_tools has no counterpart; set the tools in a `profile` of the assistant",
    ]
    told = [remark.told for remark in load(FIXTURES / "hotfix_deployment.yaml").remarks]
    assert [line.split(" has no")[0] for line in told] == [
        "hotfix_deployment.yaml:8:5: a step of type code_generation without a prompt",
        "hotfix_deployment.yaml:18:3: the strategy rollback",
    ]


def test_the_parts_of_archon() -> None:
    plan = load(FIXTURES / "archon.yaml").plan(library())
    explore, build, stop = plan.nodes["explore"], plan.nodes["build"], plan.nodes["stop"]
    assert "{{ inputs.arguments else run.requirement }}" in str(explore.step.prompt)
    assert explore.step.assistant == ("claude",)
    assert plan.nodes["plan"].step.session.step == "explore"  # type: ignore[union-attr]
    assert plan.nodes["ask"].step.gate.on_reject.prompt == "Change the plan: {{ steps.ask.output.words }}"  # type: ignore[union-attr]
    assert 'echo "${RELAY_ARG_1}"' in plan.nodes["setup"].commands["run"].line  # type: ignore[union-attr]
    assert plan.nodes["setup"].step.timeout_s == 120
    assert build.step.loop is not None
    assert build.step.loop.until == "'COMPLETE' in steps.build.output"
    assert stop.step.when == "steps.explore.output.kind == 'question' and steps.explore.status != 'failed'"
    assert plan.nodes["polish"].children == ("polish.tidy", "polish.check")
    assert plan.nodes["count"].step.run == ("uv", "run", "--with", "requests", "python", "-c", "print(1)")
    assert plan.nodes["review"].step.foreach.name == "file"  # type: ignore[union-attr]
    assert plan.workflow.outputs == {"result": "{{ steps.last.output }}"}


def test_the_parts_of_stages_and_keys() -> None:
    plan = load(FIXTURES / "feature.workflow.yml").plan(library())
    implement, rescue = plan.nodes["implement"].step, plan.nodes["rescue"].step
    assert implement.loop is not None
    assert (implement.loop.max_iterations, implement.assistant, implement.on_failure) == (
        3,
        ("claude", "codex"),
        "continue",
    )
    assert (rescue.when, rescue.trigger_rule) == ("steps.implement.status == 'failed'", "all_done")
    plan = load(FIXTURES / "code-review-workflow.yaml").plan(library())
    review = plan.nodes["security-review"].step
    assert review.prompt == "Look for vulnerabilities in: {{ steps.analyze-changes.output.summary }}"
    assert (review.timeout_s, review.role, review.retry.max_attempts if review.retry else 0) == (
        600,
        "security-reviewer",
        3,
    )
    assert plan.nodes["performance-review"].step.optional
    assert (plan.workflow.timeout_s, plan.workflow.parallel, plan.workflow.on_error) == (3600, 3, "continue")
    assert plan.workflow.inputs["branch"].required
    plan = load(FIXTURES / "pr_processing.json").plan(library())
    assert plan.nodes["review"].step.assistant == ("claude", "codex", "gemini")


def test_faults_of_a_dialect_are_at_its_own_lines() -> None:
    steps = '[{"step": "a", "prompt": "x"},\n {"step": "b", "prompt": "", "type": "ai"}]'
    text = f'{{"workflow_name": "w",\n "steps":\n {steps}}}'
    with pytest.raises(WorkflowError) as caught:
        loaded(text, "w.json").plan(library())
    assert [(fault.line, fault.file) for fault in caught.value.faults] == [(4, "w.json")]


def _raw(file: str) -> Any:
    return json.loads(json.dumps(read((FIXTURES / file).read_text(), is_json=file.endswith(".json")).data))


_ODD = st.sampled_from([None, True, 0, -1, 1.5, "", "x", "{{ a }}", "{{", "$a.output", "'", [], {}, [1], {"a": 1}, [[]],
                        [{}], "a-b", "😀", "step 1"])  # fmt: skip


@given(st.sampled_from([_raw(file) for file in EXPECTED]), st.data())
def test_any_document_that_is_nearly_of_a_dialect_is_read_or_refused(document: Any, draw: st.DataObject) -> None:
    document = copy.deepcopy(document)
    for _ in range(draw.draw(st.integers(1, 4))):
        _change(document, draw)
    _try(document)


def _change(document: Any, draw: st.DataObject) -> None:
    places: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting:
        holder = waiting.pop()
        for key, value in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
            places.append((holder, key))
            if isinstance(value, dict | list):
                waiting.append(value)
    if not places:
        return
    holder, key = draw.draw(st.sampled_from(places))
    match draw.draw(st.sampled_from(["set", "drop", "add"])):
        case "set":
            holder[key] = draw.draw(_ODD)
        case "drop":
            del holder[key]
        case "add" if isinstance(holder, dict):
            names = [
                "id",
                "key",
                "steps",
                "nodes",
                "stages",
                "loop",
                "needs",
                "config",
                "prompt",
                "when",
                "type",
                "gate",
            ]
            holder[draw.draw(st.sampled_from(names))] = draw.draw(_ODD)


def _try(document: Any) -> None:
    try:
        plan = loaded(json.dumps(document), "w.json").plan(library())
    except WorkflowError as error:
        refused = error.faults
    else:
        assert shape(plan).levels
        return
    assert refused
    assert all(fault.message and fault.line >= 0 for fault in refused)


@given(
    st.sampled_from(["workflow_name", "key", "agent", "stages", "nodes", "error_handling"]),
    st.recursive(_ODD, lambda inner: st.lists(inner, max_size=3)
                 | st.dictionaries(st.sampled_from(["id", "key", "step", "prompt", "type", "agent", "loop", "config"]),
                                   inner, max_size=4), max_leaves=12),
)  # fmt: skip
def test_any_value_in_the_place_that_tells_a_dialect(key: str, value: Any) -> None:
    steps = value if isinstance(value, list) else [value]
    _try({"workflow_name": "w", "steps": steps} if key == "workflow_name" else {key: value, "steps": steps})
    _try({"steps": [{key: "a", "id": "a"}, *steps]})
    _try({key: steps})
    _try({key: steps, "stageConfigs": value, "loop": value, "inputs": value})
