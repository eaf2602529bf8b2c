"""Each trigger rule with each pair of ends of what a step needs, through the real machine, and in each order."""

from __future__ import annotations

import itertools

import pytest
from graphworld import GraphWorld, fails, gives, graph

ENDS = {"done": "run: x", "waived": "run: x, optional: true", "left out": "run: x, when: 'false'",
        "failed": "run: x, on_failure: continue"}  # fmt: skip
GOOD = {"done", "waived"}
#: Whether a step with that rule runs, by the ends of its needs.
RUNS = {
    "all_success": lambda ends: set(ends) <= GOOD,
    "all_done": lambda ends: len(ends) > 0,
    "one_success": lambda ends: bool(set(ends) & GOOD),
    "none_failed_min_one_success": lambda ends: "failed" not in ends and bool(set(ends) & GOOD),
}
PAIRS = list(itertools.product(ENDS, repeat=2))


def joined(rule: str, ends: tuple[str, str]) -> GraphWorld:
    """A run whose step `c` has that rule and needs `a` and `b`, which are at work if they are to be."""
    text = f"""
defaults: {{workspace: none}}
steps:
  - {{id: a, {ENDS[ends[0]]}}}
  - {{id: b, {ENDS[ends[1]]}}}
  - {{id: c, needs: [a, b], trigger_rule: {rule}, run: x}}
  - {{id: d, needs: [c], run: x}}
"""
    return graph(text, ends={"a:run": None, "b:run": None}, parallel=4)


def finish(world: GraphWorld, name: str, end: str) -> None:
    if end != "left out":
        world.end(name, gives("x") if end == "done" else fails())


@pytest.mark.parametrize("order", ["ab", "ba"])
@pytest.mark.parametrize("ends", PAIRS, ids=" and ".join)
@pytest.mark.parametrize("rule", RUNS)
def test_a_step_runs_or_is_left_out_as_its_rule_says(rule: str, ends: tuple[str, str], order: str) -> None:
    world = joined(rule, ends)
    for name in order:
        finish(world, name, ends["ab".index(name)])
    end = "done" if RUNS[rule](ends) else "skipped"
    assert (world.ends_of["c"], world.ends_of["d"]) == (end, end)
    assert (world.outcome, world.asked) == ("done", "")


@pytest.mark.parametrize("rule", RUNS)
def test_only_one_success_runs_before_all_have_ended(rule: str) -> None:
    world = joined(rule, ("done", "done"))
    world.end("b", gives("x"))
    assert (world.ends_of["c"] == "done") == (rule == "one_success")


@pytest.mark.parametrize(
    ("rule", "end"),
    [
        ("all_success", "skipped"),
        ("all_done", "pending"),
        ("one_success", "pending"),
        ("none_failed_min_one_success", "skipped"),
    ],
)
def test_the_first_failure_decides_where_it_can(rule: str, end: str) -> None:
    world = joined(rule, ("failed", "done"))
    world.end("a", fails())
    assert world.ends_of["c"] == end


@pytest.mark.parametrize("rule", RUNS)
def test_a_failure_that_a_person_has_not_decided_on_is_no_end(rule: str) -> None:
    world = graph(
        f"""
defaults: {{workspace: none}}
on_error: continue
steps:
  - {{id: a, run: x}}
  - {{id: c, needs: [a], trigger_rule: {rule}, run: x}}
""",
        ends={"a:run": fails()},
    )
    assert (world.asked, world.ends_of["c"]) == ("fix_failure", "pending")
    world.hand_back("skip a")
    assert (world.outcome, world.ends_of["c"]) == ("done", "done")


@pytest.mark.parametrize("needs", ["part", "part.one"])
def test_what_needs_a_step_of_an_include_waits_for_it(needs: str) -> None:
    world = graph(f"""
defaults: {{workspace: none}}
steps:
  - {{id: part, include: part}}
  - {{id: after, needs: [{needs}], run: "x {{{{ steps.part.one.output }}}}"}}
""", others={"part": "steps:\n  - {id: one, workspace: none, run: x}\n  - {id: two, workspace: none, run: x}\n"},
        ends={"part.one:run": None}, parallel=4)  # fmt: skip
    assert world.ends_of["after"] == "pending"
    world.end("part.one", gives("it"))
    assert world.env("after")[0]["RELAY_ARG_1"] == "it"


def test_a_rejection_that_sends_back_a_step_of_an_include_asks_after_that_is_done() -> None:
    world = graph(
        """
defaults: {workspace: none}
steps:
  - {id: part, include: part}
  - {id: ok, needs: [part], gate: {message: "?", on_reject: {back_to: part}}}
""",
        others={
            "part": """
defaults: {workspace: none}
steps:
  - {id: one, prompt: x}
  - {id: two, needs: [one], run: x}
"""
        },
    )
    world.hand_back("reject", "again")
    assert world.begun() == ["part.one", "part.two"] * 2
    assert world.prompts("part.one")[1]["feedback"] == "again"
    assert world.asked == "answer_gate"
