"""Includes and ends of workflows through the real machine: what they see, what they give, what they leave out."""

from __future__ import annotations

import pytest
from graphworld import gives, graph

ALONE = "defaults: {workspace: none}\n"
PART = """
inputs:
  what: {type: string, required: true}
  count: {type: integer, default: 2}
env: {WHAT: "{{ inputs.what }}"}
steps:
  - {id: make, run: "make {{ inputs.what }} {{ inputs.count }}"}
  - {id: check, needs: [make], run: "check {{ steps.make.output }}"}
outputs:
  made: "{{ steps.make.output }}"
  count: "{{ inputs.count }}"
"""


def test_an_include_takes_inputs_with_templates_and_defaults_and_gives_its_outputs() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: name, run: x}
  - {id: part, needs: [name], include: part, inputs: {what: "the {{ steps.name.output }}"}}
  - id: after
    needs: [part]
    prompt: "{{ steps.part.output.made }}, {{ steps.part.make.output }}, {{ steps.part.output.count }}"
""",
        others={"part": ALONE + PART},
    )
    env = world.env("part.make")[0]
    assert env == {"WHAT": "the output of name", "RELAY_ARG_1": "the output of name", "RELAY_ARG_2": "2"}
    assert world.env("part.check")[0]["RELAY_ARG_1"] == "output of part.make"
    assert world.output("part") == {"made": "output of part.make", "count": 2}
    assert world.prompts("after")[0]["task"] == "output of part.make, output of part.make, 2"


def test_includes_in_includes_see_their_own_names_only() -> None:
    world = graph(
        ALONE
        + """
inputs: {what: {type: string}}
steps:
  - {id: outer, include: middle, inputs: {what: "{{ inputs.what }}!"}}
""",
        inputs={"what": "top"},
        others={
            "middle": ALONE
            + """
inputs: {what: {type: string, required: true}}
steps:
  - {id: make, run: x}
  - {id: inner, needs: [make], include: part, inputs: {what: "{{ inputs.what }}{{ steps.make.output }}", count: 7}}
outputs: {all: "{{ steps.inner.output }}"}
""",
            "part": ALONE + PART,
        },
    )
    env = world.env("outer.inner.make")[0]
    assert (env["WHAT"], env["RELAY_ARG_2"]) == ("top!output of outer.make", "7")
    assert world.output("outer") == {"all": {"made": "output of outer.inner.make", "count": 7}}


@pytest.mark.parametrize(
    "step", ["run: x", "run: x, when: inputs.count == 2", "prompt: x", "gate: {message: ok}", "end: {}"]
)
def test_an_input_of_an_include_that_does_not_fit_fails_its_steps(step: str) -> None:
    world = graph(ALONE + """
steps:
  - {id: name, run: x}
  - {id: part, needs: [name], include: part, inputs: {count: "{{ steps.name.output }}"}}
""", others={"part": ALONE + f"inputs: {{count: {{type: integer}}}}\nsteps:\n  - {{id: a, {step}}}\n"},
        ends={"name:run": gives("many")})  # fmt: skip
    assert world.asked == "fix_failure"
    assert "the handler" not in world.run.state.message
    assert "count must be integer" in world.run.state.message


@pytest.mark.parametrize(("status", "outcome"), [("done", "done"), ("failed", "failed"), ("cancelled", "cancelled")])
def test_an_end_ends_the_run_and_leaves_out_what_has_not_begun(status: str, outcome: str) -> None:
    world = graph(
        ALONE
        + f"""
steps:
  - {{id: a, run: x}}
  - {{id: slow, run: x}}
  - id: stop
    needs: [a]
    when: "steps.a.status == 'done'"
    end: {{status: {status}, reason: "for {{{{ steps.a.output }}}}"}}
  - {{id: after, needs: [slow], run: x}}
outputs: {{a: "{{{{ steps.a.output }}}}", after: "{{{{ steps.after.output }}}}"}}
""",
        ends={"slow:run": None},
    )
    assert world.outcome == ""
    world.end("slow", gives("x"))
    assert world.outcome == outcome
    assert world.ends_of == {"a": "done", "slow": "done", "stop": "done", "after": "skipped"}
    assert world.run.engine.outputs == {"a": "output of a", "after": None}
    if status != "done":
        assert world.run.state.message == "for output of a"


def test_nothing_begins_beside_the_end_that_stands_before_it() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: a, run: x}
  - {id: stop, needs: [a], end: {status: cancelled}}
  - {id: b, needs: [a], run: x}
"""
    )
    assert world.begun() == ["a"]
    assert world.outcome == "cancelled"


def test_an_end_that_failed_lands_nothing() -> None:
    world = graph("steps:\n  - {id: a, run: x}\n  - {id: stop, needs: [a], end: {status: failed, reason: no}}\n")
    assert (world.outcome, world.run.state.message) == ("failed", "no")


def test_the_end_of_a_run_in_a_group_leaves_out_the_rest_of_it() -> None:
    world = graph(
        ALONE
        + """
steps:
  - id: g
    group:
      - {id: a, run: x}
      - {id: stop, needs: [a], end: {}}
      - {id: b, needs: [stop], run: x}
  - {id: c, needs: [g], run: x}
"""
    )
    assert world.outcome == "done"
    assert world.begun() == ["g.a"]
    assert set(world.ends_of.values()) <= {"done", "skipped"}
