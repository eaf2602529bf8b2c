"""Any definition is a plan or refused with places; what a plan says of its order holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workflow_texts import compiled, library, loaded

from lib.workflow.drawing import data, mermaid, svg, text
from lib.workflow.faults import WorkflowError
from lib.workflow.plan import TOP
from lib.workflow.schema import schema
from lib.workflow.shape import shape

IDS = [f"s{at}" for at in range(8)]


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    """Workflows without a fault: each step needs only those before it, in groups too."""

    def level(prefix: str, depth: int) -> list[dict[str, Any]]:
        steps: list[dict[str, Any]] = []
        for at in range(draw(st.integers(1, 5))):
            known = [step["id"] for step in steps]
            needs = draw(st.lists(st.sampled_from(known), unique=True)) if known else []
            step: dict[str, Any] = {"id": f"{prefix}{at}", "needs": needs}
            if depth < 2 and draw(st.integers(0, 3)) == 0:
                step["group"] = level(f"{prefix}{at}x", depth + 1)
            else:
                used = " ".join(f"{{{{ steps.{need}.output }}}}" for need in needs)
                step |= {"run": ["echo", used or "x"]}
            steps.append(step)
        return list(draw(st.permutations(steps)))

    made = {"name": "w", "steps": level("s", 0)}
    if draw(st.booleans()):
        made["finally"] = [{"id": "last", "run": ["echo", f"{{{{ steps.{made['steps'][0]['id']}.status }}}}"]}]
    return made


@given(graphs())
def test_a_right_graph_is_a_plan_in_order(definition: dict[str, Any]) -> None:
    plan = compiled(json.dumps(definition))
    order = {name: at for at, name in enumerate(plan.nodes)}
    for node in plan.nodes.values():
        assert all(order[need] < order[node.id] for need in node.needs)
        assert node.parent == TOP or order[node.parent] < order[node.id]
    form = shape(plan)
    level = {name: at for at, names in enumerate(form.levels) for name in names}
    assert sorted(level) == sorted(node.id for node in plan.leaves)
    for begin, end in data.draw(plan, form)["edges"]:
        assert level[begin] < level[end]
    assert len(form.critical) == len(form.levels) == form.length
    assert [level[name] for name in form.critical] == list(range(len(form.levels)))
    for draw in (text.draw, mermaid.draw, svg.draw):
        assert draw(plan, form)


@given(graphs(), st.data())
def test_an_edge_back_is_a_cycle_with_its_names(definition: dict[str, Any], draw: st.DataObject) -> None:
    steps = {step["id"]: step for step in definition["steps"]}
    pairs = [(name, need) for name, step in steps.items() for need in step["needs"]]
    if not pairs:
        return
    later, earlier = draw.draw(st.sampled_from(pairs))
    steps[earlier]["needs"] = [*steps[earlier]["needs"], later]
    with pytest.raises(WorkflowError) as caught:
        compiled(json.dumps(definition))
    told = [fault.message for fault in caught.value.faults if "cycle" in fault.message]
    assert told
    assert earlier in told[0]
    assert later in told[0]


_TEXTS = st.sampled_from(
    ["x", "", "{{ inputs.a }}", "{{ steps.s0.output.x }}", "{{", "{{ item }}", "s0", "s1", "build", "true", "\u202e",
     "a b", "steps.s0.status == 'done'", "code_review", "'{{ run.id }}'", "1"]
)  # fmt: skip
_KEYS = st.sampled_from(
    ["in", "as", "until", "max_iterations", "message", "type", "properties", "continue", "x", "assistants", "pick",
     "status", "back_to", "on_reject", "required", "default"]
)  # fmt: skip
_VALUES = st.recursive(
    _TEXTS | st.none() | st.booleans() | st.integers(-2, 10**12) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=8,
)
_STEP_KEYS = sorted(schema()["$defs"]["Step"]["properties"])
_STEPS = st.dictionaries(st.sampled_from(_STEP_KEYS), _VALUES, max_size=6)
_STEPS |= st.tuples(
    st.sampled_from(IDS), st.sampled_from(["prompt", "run", "include", "workflow"]), _TEXTS, _STEPS
).map(lambda made: {**made[3], "id": made[0], made[1]: made[2]})


@given(
    st.dictionaries(st.sampled_from(sorted(schema()["properties"])), _VALUES, max_size=4),
    st.lists(
        _STEPS | st.fixed_dictionaries({"id": st.sampled_from(IDS), "group": st.lists(_STEPS, max_size=3)}), max_size=6
    ),
)
def test_any_definition_is_a_plan_or_refused_with_places(top: dict[str, Any], steps: list[Any]) -> None:
    try:
        plan = loaded(json.dumps({"name": "w", **top, "steps": steps})).plan(library())
    except WorkflowError as error:
        refused = error
    else:
        assert data.draw(plan, shape(plan))
        return
    assert refused.faults
    assert all(fault.line == 1 and fault.column >= 1 for fault in refused.faults if fault.file == "w.yaml")
    assert "Input should" not in refused.message
    assert "pydantic" not in refused.message
