"""Fan-outs of workflows through the real machine: an instance for each item, how many at once, and how they join."""

from __future__ import annotations

from typing import Any

import pytest
from graphworld import fails, gives, graph, says

ALONE = "defaults: {workspace: none}\n"
FOUND = (
    ALONE
    + """
steps:
  - {id: find, run: x}
  - {id: each, needs: [find], foreach: {in: "{{ steps.find.output.files }}", as: file}, run: "wc {{ file }} {{ item }}"}
  - {id: after, needs: [each], run: "echo {{ steps.each.output }}"}
"""
)


def found(*files: Any) -> Any:
    return gives({"files": list(files)})


def test_there_is_an_instance_for_each_item_and_the_output_has_their_order() -> None:
    world = graph(FOUND, ends={"find:run": found("b", "a", "c"), "each:b:run": None, "each:a:run": None}, parallel=9)
    assert world.ends_of["each"] == "running"
    assert world.env("each:c")[0] == {"RELAY_ARG_1": "c", "RELAY_ARG_2": "c"}
    world.end("each:a", gives(2))
    assert world.ends_of["after"] == "pending"
    world.end("each:b", gives(1))
    assert world.output("each") == [1, 2, "output of each:c"]
    assert world.env("after")[0]["RELAY_ARG_1"] == '[1, 2, "output of each:c"]'
    assert world.outcome == "done"


def test_no_items_give_an_empty_list() -> None:
    world = graph(FOUND, ends={"find:run": found()})
    assert (world.outcome, world.output("each")) == ("done", [])


def test_items_that_are_no_list_fail_the_step() -> None:
    world = graph(FOUND, ends={"find:run": gives({"files": "a"})})
    assert (world.asked, world.ends_of["each"]) == ("fix_failure", "failed")
    assert "must be a list" in world.run.state.message


@pytest.mark.parametrize("items", [["a", "a"], [1, "1"], [{"x": "a"}, {"y": "a"}], ["a", "a", "b"]])
def test_two_items_with_one_key_fail_the_step_with_what_to_do(items: list[Any]) -> None:
    world = graph(FOUND, ends={"find:run": found(*items)})
    assert (world.asked, world.ends_of["each"]) == ("fix_failure", "failed")
    assert "two items have the key" in world.run.state.message
    assert [name for name in world.own if name.startswith("each:")] == []


def test_a_key_names_the_instances() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: find, run: x}
  - id: each
    needs: [find]
    foreach: {in: "{{ steps.find.output }}", as: part, key: "{{ part.name }}"}
    run: "x {{ part.n }}"
""",
        ends={"find:run": gives([{"name": "one", "n": 1}, {"name": "two", "n": 2}])},
    )
    assert {"each:one", "each:two"} < set(world.own)
    assert world.env("each:two")[0]["RELAY_ARG_1"] == "2"


@pytest.mark.parametrize(
    "items",
    [
        ["a b", "a-b", "a/b"],
        ["é", "è"],
        ["../x", "x"],
        ["", " "],
        ["A", "a"],
        ["x" * 200, "x" * 201],
        [1, 1.5],
        [True, False],
        [None, "null "],
        [[1], [1, 2]],
    ],
)
def test_any_item_has_an_instance_of_its_own_whose_name_can_be_typed(items: list[Any]) -> None:
    from orchestrator.engine.decide import ACTION

    world = graph(FOUND, ends={"find:run": found(*items)})
    assert world.outcome == "done", world.run.state.message
    names = [name for name in world.own if name.startswith("each:")]
    assert len(names) == len(items)
    ACTION.validate_python(" ".join(["skip", *names]))


def test_items_with_dots_do_not_meet_the_steps_of_groups() -> None:
    world = graph(
        ALONE
        + """
steps:
  - id: each
    foreach: {in: ["x", "x.y"]}
    group:
      - {id: y, run: "echo {{ item }}"}
"""
    )
    assert world.outcome == "done", world.run.state.message
    assert len(world.begun()) == len(set(world.begun())) == 2
    assert all(set(given) == {"y"} for given in world.output("each"))


def test_a_matrix_has_an_instance_for_each_combination() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: find, run: x}
  - id: try
    needs: [find]
    matrix: {python: ["3.11", "3.12"], system: "{{ steps.find.output }}"}
    foreach: {as: image}
    run: "docker {{ image.python }} {{ item.system }}"
""",
        ends={"find:run": gives(["debian", "alpine"])},
        parallel=9,
    )
    given = [tuple(job.spec.env.values()) for name in world.own for job in world.work(name) if name.startswith("try:")]
    assert given == [("3.11", "debian"), ("3.11", "alpine"), ("3.12", "debian"), ("3.12", "alpine")]
    assert len(world.output("try")) == 4


def test_a_matrix_that_is_written_out_needs_no_foreach() -> None:
    world = graph(ALONE + "steps:\n  - {id: try, matrix: {a: [x, y], b: [1, 2]}, run: 'x {{ item.a }} {{ item.b }}'}\n")
    assert {"try:x-1", "try:x-2", "try:y-1", "try:y-2"} < set(world.own), world.run.state.message


@pytest.mark.parametrize("kind", ["run: x", "prompt: x", "group: [{id: in, run: x}]"])
def test_no_more_instances_are_at_work_than_may_be(kind: str) -> None:
    world = graph(f"{ALONE}steps:\n  - {{id: each, foreach: {{in: [a, b, c, d], max_parallel: 2}}, {kind}}}\n",
                  ends={"run": None, "turn": None}, parallel=9)  # fmt: skip
    for _ in range(3):
        assert len(world.at_work()) == 2
        world.end(world.at_work()[0], says("x"))
    assert len(world.at_work()) == 1


def test_an_instance_that_is_tried_again_keeps_to_the_limit() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: each, foreach: {in: [a, b], max_parallel: 1}, run: x, retry: {max_attempts: 2, delay_s: 5}}
""",
        ends={"each:a:run": [fails(), None], "each:b:run": None},
        parallel=9,
    )
    world.mono_s += 100
    world.settle()
    assert len(world.at_work()) == 1


def test_instances_that_write_are_alone_in_the_worktree_and_those_that_read_are_not() -> None:
    text = "steps:\n  - {id: each, foreach: {in: [a, b, c]}, run: x%s}\n"
    assert len(graph(text % "", ends={"run": None}, parallel=9).at_work()) == 1
    assert len(graph(text % ", access: read", ends={"run": None}, parallel=9).at_work()) == 3


def test_with_all_success_a_failure_is_asked_about_and_a_retry_goes_on() -> None:
    world = graph(FOUND, ends={"find:run": found("a", "b"), "each:a:run": [fails(), gives("x")]})
    assert (world.asked, world.ends_of["each"], world.ends_of["each:b"]) == ("fix_failure", "running", "done")
    assert "relay skip each:a" in world.offers()
    world.hand_back("retry each:a")
    assert (world.outcome, world.output("each")) == ("done", ["x", "output of each:b"])


def test_an_instance_that_is_skipped_by_a_person_is_told_in_the_output() -> None:
    world = graph(FOUND, ends={"find:run": found("a", "b"), "each:a:run": fails()})
    world.hand_back("skip each:a")
    assert (world.outcome, world.output("each")[0]["status"]) == ("done", "skipped")


def test_a_fan_out_that_is_skipped_by_a_person_is_skipped_whole() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: each, foreach: {in: [a, b, c]}, run: x}
  - {id: after, needs: [each], run: x}
""",
        ends={"each:a:run": fails(), "each:b:run": fails()},
    )
    world.hand_back("skip each")
    assert (world.asked, world.outcome) == ("", "done")
    assert world.ends_of == {
        "each": "skipped",
        "each:a": "skipped",
        "each:b": "skipped",
        "each:c": "done",
        "after": "done",
    }


def test_with_all_done_failures_are_data() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: each, foreach: {in: [a, b], join: all_done}, run: x}
  - {id: after, needs: [each], prompt: "{{ steps.each.output[0].status }}: {{ steps.each.output[0].error }}"}
""",
        ends={"each:a:run": fails(3)},
    )
    assert world.ends_of == {"each": "done", "each:a": "failed", "each:b": "done", "after": "done"}
    assert world.output("each")[1] == "output of each:b"
    assert world.prompts("after")[0]["task"].startswith("failed: each:a: run: exit status 3")
    assert world.outcome == "done"


def test_with_all_done_a_failure_in_a_group_is_data() -> None:
    world = graph(
        ALONE
        + """
steps:
  - id: each
    foreach: {in: [a, b], join: all_done}
    group:
      - {id: one, run: x}
      - {id: two, needs: [one], run: x}
""",
        ends={"each:a.one:run": fails()},
    )
    assert (world.outcome, world.asked) == ("done", "")
    assert world.ends_of["each:a"] == "failed"
    assert world.ends_of["each:a.two"] == "skipped"
    assert world.output("each")[0]["status"] == "failed"
    assert world.output("each")[1] == {"one": "output of each:b.one", "two": "output of each:b.two"}


def test_a_fan_out_that_may_fail_fails_with_its_instances() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: each, on_failure: continue, foreach: {in: [a, b]}, run: x}
  - {id: after, needs: [each], run: x}
  - {id: always, needs: [each], trigger_rule: all_done, run: "echo {{ steps.each.output else 'nothing' }}"}
""",
        ends={"each:a:run": fails()},
    )
    assert world.outcome == "done"
    assert world.ends_of == {
        "each": "failed",
        "each:a": "failed",
        "each:b": "done",
        "after": "skipped",
        "always": "done",
    }
    assert "1 of 2 failed: each:a" in world.why("each")


def test_steps_go_on_after_an_optional_fan_out_with_a_failure() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: each, optional: true, foreach: {in: [a, b]}, run: x}
  - {id: after, needs: [each], run: x}
""",
        ends={"each:a:run": fails()},
    )
    assert (world.outcome, world.ends_of["after"]) == ("done", "done")
    assert world.ends_of["each:a"] in {"skipped", "failed"}


def test_a_condition_is_that_of_the_whole_fan_out() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: no, when: "false", foreach: {in: [a, b]}, run: x}
  - {id: yes, when: "true", foreach: {in: [a, b]}, run: x}
"""
    )
    assert world.ends_of == {"no": "skipped", "yes": "done", "yes:a": "done", "yes:b": "done"}


def test_fan_outs_in_groups_of_fan_outs_see_both_items() -> None:
    world = graph(
        ALONE
        + """
steps:
  - id: outer
    foreach: {in: [a, b], as: one}
    group:
      - {id: list, run: "x {{ one }}"}
      - id: inner
        needs: [list]
        foreach: {in: "{{ steps.list.output }}", as: two}
        run: "x {{ one }} {{ two }} {{ item }} {{ steps.list.status }}"
""",
        ends={"outer:a.list:run": gives(["p"]), "outer:b.list:run": gives(["q", "r"])},
    )
    assert world.outcome == "done", world.run.state.message
    env = world.env("outer:b.inner:r")[0]
    assert list(env.values()) == ["b", "r", "r", "done"]
    assert world.output("outer")[1] == {
        "list": ["q", "r"], "inner": ["output of outer:b.inner:q", "output of outer:b.inner:r"]
    }  # fmt: skip


def test_an_include_in_a_group_that_fans_out_takes_the_item() -> None:
    world = graph(
        ALONE
        + """
steps:
  - id: each
    foreach: {in: [a, b], as: file}
    group:
      - {id: part, include: part, inputs: {what: "the {{ file }}"}}
""",
        others={
            "part": ALONE
            + """
inputs: {what: {}}
steps:
  - {id: do, run: "x {{ inputs.what }}"}
outputs: {did: "{{ steps.do.output }}"}
"""
        },
    )
    assert [world.env(f"each:{name}.part.do")[0]["RELAY_ARG_1"] for name in "ab"] == ["the a", "the b"]
    assert world.output("each")[0] == {"part": {"did": "output of each:a.part.do"}}


def test_an_instance_that_fails_alone_leaves_the_others_at_work() -> None:
    world = graph(FOUND, ends={"find:run": found("a", "b"), "each:a:run": fails(), "each:b:run": None})
    assert (world.asked, world.at_work()) == ("", ["each:b"])
    world.end("each:b", gives("x"))
    assert world.asked == "fix_failure"


def test_many_items_come_to_rest() -> None:
    world = graph(FOUND, ends={"find:run": found(*(f"f{number}" for number in range(300)))}, parallel=300)
    assert (world.outcome, len(world.output("each"))) == ("done", 300)
