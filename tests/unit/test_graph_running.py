"""Workflows through the real machine: what begins when, beside what, and what it gives to those after it."""

from __future__ import annotations

import pytest
from graphworld import FIRST, GraphWorld, fails, gives, graph, new_run, says

from lib.effects import Collect
from lib.project.paths import SHARED_WORKTREE
from orchestrator.engine.decide import ACTION

ALONE = "defaults: {workspace: none}\n"


def test_steps_begin_in_the_order_of_their_needs() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: last, needs: [left, right], run: x}
  - {id: right, needs: [first], run: x}
  - {id: left, needs: [first], run: x}
  - {id: first, run: x}
"""
    )
    assert world.begun()[0] == "first"
    assert set(world.begun()[1:3]) == {"left", "right"}
    assert world.begun()[3] == "last"
    assert (world.outcome, set(world.ends_of.values())) == ("done", {"done"})


def test_a_step_begins_as_soon_as_its_own_needs_are_over() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: slow, run: x}
  - {id: quick, run: x}
  - {id: after-quick, needs: [quick], run: x}
  - {id: after-both, needs: [quick, slow], run: x}
""",
        ends={"slow:run": None, "after-quick:run": None},
    )
    assert set(world.at_work()) == {"slow", "after-quick"}
    assert world.ends_of["after-both"] == "pending"
    world.end("slow", gives("x"))
    assert world.ends_of["after-both"] == "done"


@pytest.mark.parametrize(
    ("header", "settings", "count"), [("parallel: 2\n", {"parallel": 5}, 2), ("", {"parallel": 3}, 3)]
)
def test_no_more_steps_run_at_once_than_may(header: str, settings: dict[str, int], count: int) -> None:
    steps = "\n".join(f"  - {{id: s{number}, run: x}}" for number in range(6))
    world = graph(f"{ALONE}{header}steps:\n{steps}", ends={"run": None}, **settings)
    assert len(world.at_work()) == count
    world.end(world.at_work()[0], gives("x"))
    assert len(world.at_work()) == count


def test_writers_are_alone_in_the_shared_worktree_and_readers_side_by_side() -> None:
    world = graph(
        """
steps:
  - {id: w1, run: x}
  - {id: r1, access: read, run: x}
  - {id: r2, access: read, prompt: x}
  - {id: w2, run: x}
""",
        ends={"run": None, "turn": None},
        parallel=9,
    )
    assert world.at_work() == ["w1"]
    world.end("w1", gives("x"))
    assert world.at_work() == ["r1", "r2"]
    world.end("r1", gives("x"))
    assert world.at_work() == ["r2"]
    world.end("r2", says("x"))
    assert world.at_work() == ["w2"]


def test_a_writer_is_in_the_worktree_until_its_work_is_collected_and_verified() -> None:
    world = graph(
        """
steps:
  - {id: w1, run: x, verify: make test}
  - {id: w2, run: x}
""",
        ends={"w1:collect": None, "w1:verify": None},
        parallel=9,
    )
    assert world.begun() == ["w1"]
    world.end("w1", world.usual(world.work("w1", "collect")[0]))
    assert world.begun() == ["w1"]
    world.end("w1", gives("x"))
    assert world.begun() == ["w1", "w2"]


def test_without_a_sandbox_each_is_alone_and_what_a_reader_wrote_is_taken_back() -> None:
    world = graph(
        """
steps:
  - {id: r1, access: read, run: x}
  - {id: r2, access: read, run: x}
""",
        ends={"run": None},
        parallel=9,
        sandbox="off",
    )
    assert world.at_work() == ["r1"]
    world.end("r1", gives("x"))
    assert [job.spec.name for job in world.started if job.spec.step == "r1"] == ["gather_diff", "run", "settle_review"]
    assert world.at_work() == ["r2"]


def test_steps_without_the_worktree_run_beside_those_in_it() -> None:
    world = graph(
        """
steps:
  - {id: w1, run: x}
  - {id: n1, workspace: none, run: x}
""",
        ends={"run": None},
        parallel=9,
    )
    assert set(world.at_work()) == {"w1", "n1"}
    jobs = {job.spec.step: job.spec for job in world.started}
    assert (jobs["n1"].worktree, jobs["w1"].worktree) == (None, SHARED_WORKTREE)


def test_each_writer_begins_with_the_commit_of_the_one_before() -> None:
    world = graph("steps:\n  - {id: a, run: x}\n  - {id: b, run: x}\n  - {id: c, run: x}\n", parallel=9)
    bases = [job.spec.args.base for job in world.started if job.spec.step in set("abc") and job.args(Collect)]
    assert bases == [FIRST, "commit-1", "commit-2"]


def test_a_run_that_changed_a_file_is_merged_and_lands() -> None:
    world = graph("steps:\n  - {id: a, run: x}\n")
    assert (world.outcome, world.run.state.phase) == ("landed", "storage")


def test_a_run_that_changed_no_file_is_done() -> None:
    world = graph("steps:\n  - {id: a, run: x}\n", quiet={"*"})
    assert world.outcome == "done"
    assert "no file was changed" in world.run.state.message
    assert "merge" not in [job.spec.name for job in world.started]


def test_a_step_whose_condition_is_false_is_left_out_with_what_needs_it() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: a, run: x}
  - {id: b, needs: [a], when: "steps.a.output == 'no'", run: x}
  - {id: c, needs: [b], run: x}
  - {id: d, needs: [a], when: "steps.a.output != 'no'", run: x}
"""
    )
    assert world.ends_of == {"a": "done", "b": "skipped", "c": "skipped", "d": "done"}


def test_a_chain_of_a_thousand_steps_whose_first_is_left_out_comes_to_rest() -> None:
    steps = "\n".join(f"  - {{id: s{at}, needs: [s{at - 1}], run: x}}" for at in range(1, 1000))
    world = GraphWorld(new_run(f"{ALONE}steps:\n  - {{id: s0, when: 'false', run: x}}\n{steps}"))
    world.to_rest()
    assert (world.outcome, set(world.ends_of.values())) == ("done", {"skipped"}), world.run.state.message


def test_a_long_chain_in_a_group_whose_first_is_left_out_comes_to_rest() -> None:
    steps = "\n".join(f"      - {{id: s{at}, needs: [s{at - 1}], run: x}}" for at in range(1, 300))
    world = graph(f"{ALONE}steps:\n  - id: g\n    group:\n      - {{id: s0, when: 'false', run: x}}\n{steps}")
    assert (world.asked, world.outcome) == ("", "done"), world.run.state.message


def test_outputs_go_to_the_steps_after_them() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: words, prompt: x}
  - {id: json, prompt: x}
  - {id: told, run: x}
  - id: all
    needs: [words, json, told]
    env: {WORDS: "{{ steps.words.output }}"}
    prompt: "{{ steps.words.output }}, {{ steps.json.output.n }}, {{ steps.told.output.list[1] }}"
outputs:
  n: "{{ steps.json.output.n }}"
  text: "n is {{ steps.json.output.n }}"
""",
        ends={"words:turn": says("some words"), "json:turn": says({"n": 3}), "told:run": gives({"list": ["a", "b"]})},
    )
    assert world.prompts("all")[0]["task"] == "some words, 3, b"
    assert world.env("all")[0] == {"WORDS": "some words"}
    assert world.run.engine.outputs == {"n": 3, "text": "n is 3"}


def test_a_value_in_a_command_is_in_its_environment() -> None:
    world = graph(
        ALONE
        + """
inputs: {name: {type: string}}
env: {ALL: "for {{ inputs.name }}"}
steps:
  - {id: line, run: "echo {{ inputs.name }}"}
  - {id: list, run: [echo, "{{ inputs.name }}", plain]}
""",
        inputs={"name": "$(rm -rf /) 'x'"},
    )
    line, listed = world.work("line")[0].spec, world.work("list")[0].spec
    assert (line.command, line.env["RELAY_ARG_1"]) == ('echo "${RELAY_ARG_1}"', "$(rm -rf /) 'x'")
    assert line.env["ALL"] == "for $(rm -rf /) 'x'"
    assert "rm" not in listed.command
    assert [listed.env[f"RELAY_ARG_{at}"] for at in (1, 2, 3)] == ["echo", "$(rm -rf /) 'x'", "plain"]


def test_an_expression_without_a_value_fails_the_step_with_its_words() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: a, run: x}
  - {id: b, needs: [a], prompt: "{{ steps.a.output.missing }}"}
""",
        ends={"a:run": gives({"there": 1})},
    )
    assert (world.asked, world.ends_of["b"]) == ("fix_failure", "failed")
    assert "steps.a.output.missing is not there" in world.run.state.message
    assert world.work("b") == []


def test_a_condition_that_is_neither_true_nor_false_fails_the_step() -> None:
    world = graph(ALONE + "steps:\n  - {id: a, run: x}\n  - {id: b, needs: [a], when: steps.a.output, run: x}\n")
    assert world.ends_of["b"] == "failed"
    assert "expected true or false" in world.why("b")


def test_the_output_of_a_group_has_those_of_its_steps() -> None:
    world = graph(
        ALONE
        + """
steps:
  - id: g
    group:
      - {id: one, run: x}
      - {id: two, needs: [one], run: "echo {{ steps.one.output }}"}
      - {id: none, when: "false", run: x}
  - {id: after, needs: [g], prompt: "{{ steps.g.output.two }}"}
"""
    )
    assert world.output("g") == {"one": "output of g.one", "two": "output of g.two", "none": None}
    assert world.prompts("after")[0]["task"] == "output of g.two"
    assert world.env("g.two")[0]["RELAY_ARG_1"] == "output of g.one"


@pytest.mark.parametrize(
    "value", ['{"x": NaN}', '{"x": Infinity}', '{"x": 1e999}', '{"x": "\\ud800"}', '{"x": "\\u0000"}']
)
def test_whatever_json_a_reply_ends_with_can_be_stored(value: str) -> None:
    world = graph(ALONE + "steps:\n  - {id: a, prompt: x}\n", ends={"turn": says(value)})
    assert world.outcome == "done"


def test_a_failure_of_the_worktree_is_tried_again_and_then_told() -> None:
    world = graph("steps:\n  - {id: a, run: x}\n", ends={"prepare": fails(), "setup": fails()}, attempts=2)
    assert (world.asked, world.begun()) == ("fix_failure", [])
    del world.ends["prepare"]
    world.hand_back()
    assert world.outcome == "landed"


def test_what_is_offered_for_a_worktree_that_can_not_be_made_can_be_typed() -> None:
    world = graph("steps:\n  - {id: a, run: x}\n", ends={"prepare": fails()}, attempts=1)
    assert world.asked == "fix_failure"
    for command in world.offers():
        if command.startswith("relay skip "):
            ACTION.validate_python(command.removeprefix("relay "))


def test_a_worktree_that_is_to_be_set_up_is_set_up_once() -> None:
    world = graph("steps:\n  - {id: a, run: x}\n  - {id: b, run: x}\n", setup="make deps")
    assert [job.spec.name for job in world.started][:3] == ["prepare", "setup", "run"]
    assert [job.spec.name for job in world.started].count("setup") == 1


def test_the_note_of_a_prompt_is_its_last_line_of_words() -> None:
    world = graph("steps: [{id: a, prompt: x}]\n", ends={"a:turn": says({"cause": "it subtracts"})})
    assert world.run.steps["a"].note == '{"cause": "it subtracts"}'
