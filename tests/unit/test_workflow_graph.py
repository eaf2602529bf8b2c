"""Plans have every name resolved; their shape, their pictures and the rules of starting follow from them."""

from __future__ import annotations

import itertools
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from workflow_texts import compiled, library, wrong

from lib.steps import TriggerRule
from lib.workflow.definition import Kind
from lib.workflow.drawing import data, mermaid, svg, text
from lib.workflow.evaluating import evaluate
from lib.workflow.graph import own_key
from lib.workflow.inputs import given_inputs
from lib.workflow.plan import filled
from lib.workflow.rules import Need, Start, start
from lib.workflow.shape import shape

GROUPS = """\
name: w
defaults: {assistant: codex, env: {LEVEL: info}, retry: {max_attempts: 2}}
steps:
  - {id: plan, prompt: Plan}
  - id: work
    needs: [plan]
    loop: {until: "steps.check.output == 'ok'", max_iterations: 3}
    group:
      - {id: build, prompt: "Build {{ steps.plan.output }} after {{ loop.previous else 'nothing' }}",
         env: {A: "{{ loop.index }}"}}
      - {id: check, needs: [build], run: [make, "{{ steps.build.output }}"]}
  - {id: look, needs: [work], include: code_review, inputs: {base: "{{ steps.plan.output }}"}}
  - {id: use, needs: [look.change], prompt: "{{ steps.look.change.output }}"}
  - {id: end, needs: [look, use], prompt: "{{ steps.look.output.comment }} {{ steps.work.output.check }}"}
finally:
  - {id: tidy, run: rm -rf tmp}
  - {id: told, needs: [tidy], prompt: "It ended: {{ steps.end.status }}"}
outputs: {comment: "{{ steps.look.output.comment }}"}
"""


def test_a_plan_has_groups_includes_and_defaults_resolved() -> None:
    plan = compiled(GROUPS)
    nodes = plan.nodes
    assert list(nodes)[:5] == ["plan", "work", "work.build", "work.check", "look"]
    assert list(nodes)[-2:] == ["tidy", "told"]
    assert nodes["work"].children == ("work.build", "work.check")
    assert (nodes["work.check"].parent, nodes["work.check"].needs) == ("work", ("work.build",))
    assert nodes["use"].needs == ("look.change",)
    assert nodes["look.confirm"].needs == ("look.look",)
    assert nodes["look.change"].scope == "look"
    assert (nodes["work.build"].step.assistant, nodes["work.check"].step.assistant) == (("codex",), ())
    assert nodes["work.build"].step.env == {"LEVEL": "info", "A": "{{ loop.index }}"}
    assert nodes["work.check"].step.retry is not None
    assert nodes["look.report"].step.access == "read"
    assert len(nodes["look.look"].instances) == 4
    assert [instance.key for instance in nodes["look.look"].instances][:2] == ["correctness", "security"]
    assert (nodes["told"].final, nodes["end"].final) == (True, False)
    assert {node.kind for node in plan.nodes.values()} >= {Kind.GROUP, Kind.INCLUDE, Kind.PROMPT, Kind.RUN}


def test_a_plan_is_evaluated_by_its_names_alone() -> None:
    plan = compiled(GROUPS)
    build = plan.nodes["work.build"]
    names = {"steps": {"plan": {"output": "it"}}, "loop": {"index": 2}}
    assert build.templates["prompt"].rendered(names) == "Build it after nothing"
    assert build.templates["env.A"].value(names) == 2
    assert filled(plan.scopes["look"].given, names) == {"base": "it"}
    until = plan.nodes["work"].until
    assert until is not None
    assert evaluate(until, {"steps": {"check": {"output": "ok"}}}) is True


def test_the_shape_of_a_plan() -> None:
    plan = compiled(GROUPS)
    form = shape(plan)
    assert form.levels[0] == ("plan",)
    assert form.levels[3:5] == (("look.change",), ("look.look", "use"))
    assert form.levels[-2:] == (("tidy",), ("told",))
    assert form.width == 2
    assert form.critical == ("plan", "work.build", "work.check", "look.change", "look.look", "look.confirm",
                             "look.report",
                             "end", "tidy", "told")  # fmt: skip
    slow = shape(plan, {"use": 100.0})
    assert slow.critical == ("plan", "work.build", "work.check", "look.change", "use", "end", "tidy", "told")
    assert slow.length == 107.0
    assert slow.levels == form.levels


def test_pictures() -> None:
    plan = compiled(GROUPS)
    form = shape(plan)
    lines = text.draw(plan, form).splitlines()
    assert lines[0] == "w: 11 steps, 10 levels, at most 2 at once"
    assert lines[2].split() == ["2", "*", "work.build", "prompt", "←", "plan"]
    assert lines[6].split() == ["use", "prompt", "←", "look.change"]
    drawn = mermaid.draw(plan, form)
    assert drawn.startswith("flowchart LR\n")
    assert drawn.count("subgraph") == drawn.count("    end") == 2
    picture = ET.fromstring(svg.draw(plan, form))  # noqa: S314 - our own text
    kinds = [node.get("class") for node in picture.iter("{http://www.w3.org/2000/svg}rect")]
    assert len(kinds) == 11
    assert sum("critical" in str(kind) for kind in kinds) == 10
    assert "script" not in svg.draw(plan, form)
    assert "prefers-color-scheme" in svg.draw(plan, form)
    made = json.loads(json.dumps(data.draw(plan, form)))
    assert ["work.check", "look.change"] in made["edges"]
    assert made["nodes"][1]["loop"] == 3
    assert made["nodes"][1]["line"] == 5


def test_names_in_pictures_are_text() -> None:
    plan = compiled("name: w\nsteps: [{id: a, run: x y, description: '<script>\"&'}, {id: b-1, needs: [a], run: x y}]")
    assert "<script>" not in svg.draw(plan, shape(plan))
    ET.fromstring(svg.draw(plan, shape(plan)))  # noqa: S314 - our own text


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ("foreach: {in: [a, b]}", ["a", "b"]), ("foreach: {in: [1, 2.50]}", ["1", "2.5"]),
        ("foreach: {in: [{id: x, n: 1}, {id: y, n: 1}], as: part, key: '{{ part.id }}'}", ["x", "y"]),
        ("matrix: {py: ['3.11', '3.12'], os: [linux]}", ["3.11-linux", "3.12-linux"]),
        ("foreach: {in: [a, b], key: '{{ item }}-{{ run.id }}'}", ["#0", "#1"]),
        ("{matrix: {a: [1]}, foreach: {as: m, join: all_done}}", ["1"]),
    ],
)  # fmt: skip
def test_instances_are_known_by_their_keys(line: str, keys: list[str]) -> None:
    options = line[1:-1] if line.startswith("{matrix") else line
    plan = compiled(f"name: w\nsteps:\n  - {{id: a, prompt: '{{{{ item }}}}', {options}}}\n")
    assert [instance.key for instance in plan.nodes["a"].instances] == keys


def test_items_of_an_earlier_step() -> None:
    plan = compiled(
        "name: w\nsteps:\n  - {id: a, prompt: x, output_schema: {properties: {files: {type: array}}}}\n"
        "  - {id: b, needs: [a], prompt: '{{ item.x }}', foreach: {in: '{{ steps.a.output.files }}'}}\n"
        "  - {id: c, needs: [b], prompt: '{{ steps.b.output[0].anything }}'}\n"
    )
    assert plan.nodes["b"].items is not None
    assert plan.nodes["b"].instances == ()
    assert plan.nodes["b"].fans_out
    plan = compiled(
        "name: w\ninputs: {v: {type: list}}\n"
        "steps: [{id: a, prompt: '{{ item.p }}', matrix: {p: '{{ inputs.v }}', q: [1, 2]}}]\n"
    )
    assert plan.nodes["a"].fans_out
    assert filled(plan.nodes["a"].axes, {"inputs": {"v": [3]}}) == {"p": [3], "q": [1, 2]}
    assert own_key({"a": [1]}) == '{"a": [1]}'


def test_an_included_file_that_is_wrong_is_told_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text("name: inner\nsteps:\n  - {id: a, promt: x}\n")
    text_ = "name: w\nsteps:\n  - {id: i, include: inner}\n  - {id: b, prompt: '{{ inputs.x }}'}\n"
    assert wrong(text_, shelf=library(tmp_path)) == [
        "inner.yaml:3:13: unknown key promt; did you mean prompt?",
        "4:25: there is no input x; there is none",
    ]
    (tmp_path / "deep.yaml").write_text("name: deep\nsteps: [{id: a, run: x y}]\nfinally: [{id: z, run: x y}]\n")
    text_ = "name: w\nsteps:\n  - {id: i, include: deep}\n"
    assert wrong(text_, shelf=library(tmp_path)) == [
        "deep.yaml:3:1: deep has `finally`, so it can't be included; run it with `workflow`"
    ]


P, D, W, S, F = Need.PENDING, Need.DONE, Need.WAIVED, Need.SKIPPED, Need.FAILED


@pytest.mark.parametrize(
    ("rule", "needs", "expected"),
    [
        ("all_success", [], "run"), ("all_success", [D, W], "run"), ("all_success", [D, P], "wait"),
        ("all_success", [P, F], "skip"), ("all_success", [D, S], "skip"), ("all_done", [F, S], "run"),
        ("all_done", [F, P], "wait"), ("one_success", [P, D], "run"), ("one_success", [P, F], "wait"),
        ("one_success", [S, F], "skip"), ("none_failed_min_one_success", [D, S], "run"),
        ("none_failed_min_one_success", [S, S], "skip"), ("none_failed_min_one_success", [P, F], "skip"),
        ("none_failed_min_one_success", [P, D], "wait"),
    ],
)  # fmt: skip
def test_rules(rule: str, needs: list[Need], expected: str) -> None:
    assert start(TriggerRule(rule), needs) == expected


@pytest.mark.parametrize("rule", TriggerRule)
def test_once_all_needs_have_ended_no_rule_waits_and_a_decision_stands(rule: TriggerRule) -> None:
    for needs in itertools.product(Need, repeat=3):
        decided = start(rule, needs)
        assert decided is not Start.WAIT or Need.PENDING in needs
        if decided is not Start.WAIT:
            settled = [
                each if each is not Need.PENDING else other for each, other in zip(needs, [D, F, S], strict=True)
            ]
            assert start(rule, settled) is decided


def test_inputs_that_are_given_are_checked_all_at_once() -> None:
    declared = compiled(
        "name: w\ninputs: {n: {type: integer, required: true}, b: {type: boolean}, l: {type: list, default: [1]},\n"
        "  s: {enum: [x, y]}, p: {pattern: '[a-z]+'}}\nsteps: [{id: a, run: x y}]\n"
    ).workflow.inputs
    assert given_inputs(declared, {"n": "3", "b": "yes", "s": "x", "p": "ab"}, "w") == {
        "n": 3, "b": True, "l": [1], "s": "x", "p": "ab",
    }  # fmt: skip
    assert given_inputs(declared, {"n": 3, "l": "a, b"}, "w") == {"n": 3, "l": ["a", "b"]}
    with pytest.raises(Exception, match="n is missing") as caught:
        given_inputs(declared, {"b": "maybe", "s": "z", "p": "1", "m": "1"}, "w")
    assert str(caught.value).splitlines() == [
        "w has no input m; known are b, l, n, p, s",
        "n is missing", 'b must be boolean, not "maybe"', 's must be one of x, y, not "z"',
        'p must match [a-z]+, and "1" does not',
    ]  # fmt: skip


def test_ten_thousand_steps() -> None:
    needs = {at: f"s{max(0, at - 7)}" for at in range(1, 10_000)}
    lines = "".join(
        f"  - {{id: s{at}, needs: [{need}], run: [echo, '{{{{ steps.{need}.output }}}}']}}\n"
        for at, need in needs.items()
    )
    plan = compiled(f"name: w\nsteps:\n  - {{id: s0, run: [echo]}}\n{lines}")
    assert len(plan.nodes) == 10_000
    assert len(shape(plan).levels) == 1430
