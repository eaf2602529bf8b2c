"""Forms of gates through the real machine: what fits them, and what is asked for again."""

from __future__ import annotations

import pytest
from graphworld import graph

ALONE = "defaults: {workspace: none}\n"
FORM = (
    ALONE
    + """
steps:
  - id: how
    gate:
      message: How?
      form:
        required: [count]
        additionalProperties: false
        properties: {count: {type: integer}, name: {type: string}}
  - {id: b, needs: [how], prompt: "{{ steps.how.output.form.count }} {{ steps.how.output.form.name else 'nobody' }}"}
"""
)


@pytest.mark.parametrize(("words", "told"), [
    ('{"count": 3, "name": "Ada"}', "3 Ada"),
    ("count=3 name='Ada L'", "3 Ada L"),
    ("count=3", "3 nobody"),
])  # fmt: skip
def test_a_form_takes_json_and_pairs(words: str, told: str) -> None:
    world = graph(FORM)
    world.hand_back("approve", words)
    assert world.outcome == "done", world.run.state.message
    assert world.prompts("b")[0]["task"] == told


@pytest.mark.parametrize(
    "words",
    ["", "count=many", '{"count": "3"}', '{"count": 3', "it looks good", "count=3 x=1", "count='3", "count=NaN"],
)
def test_an_answer_that_does_not_fit_the_form_is_asked_for_again(words: str) -> None:
    world = graph(FORM)
    world.hand_back("approve", words)
    assert world.asked == "answer_gate"
    assert "does not fit" in world.run.state.message
    assert "How?" in world.run.state.message
    world.hand_back("approve", "count=1")
    assert world.outcome == "done"


def test_a_form_may_be_rejected_without_being_filled_in() -> None:
    world = graph(FORM)
    world.hand_back("reject", "no")
    assert (world.asked, world.ends_of["how"]) == ("fix_failure", "failed")


def test_a_number_that_json_can_not_hold_does_not_fit_a_form() -> None:
    world = graph(ALONE + "steps:\n  - {id: how, gate: {message: x, form: {properties: {x: {type: number}}}}}\n")
    world.hand_back("approve", "x=NaN")
    assert world.asked == "answer_gate"


def test_a_form_is_asked_for_where_other_gates_are_left_out() -> None:
    assert graph(FORM, gates={"design": "none"}).asked == "answer_gate"
