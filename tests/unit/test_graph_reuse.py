"""Steps that take what an equal one gave in another run: by which content, and what follows a hit or a miss."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from graphworld import FIRST, GraphWorld, fails, gives, graph, new_run, reused, says
from world import bad, ok

from lib.effects import Collect, Reuse
from lib.jobs import Effect, JobResult
from lib.model import Step

ALONE = "defaults: {workspace: none}\n"
CACHED = "defaults: {cache: true}\n"
PROMPT = "steps:\n  - {id: a, prompt: Do it}\n"
RUN = "steps:\n  - {id: a, run: make it}\n"


def content(text: str, step: str = "a", aids: dict[str, str] | None = None, **settings: Any) -> str:
    """The digest of what decides a step's work."""
    run = new_run(text, **settings)
    assert run.definition is not None
    world = GraphWorld(replace(run, definition=run.definition.model_copy(update={"aids": aids or {}})))
    world.to_rest()
    assert world.work(step)
    return world.run.steps[step].content


def looked(world: GraphWorld, step: str = "a") -> list[Reuse]:
    """The looks of a step for an equal one."""
    return [job.spec.args for job in world.work(step, "reuse")
            if isinstance(job.spec, Effect) and isinstance(job.spec.args, Reuse)]  # fmt: skip


def flagged(text: str, again: str = "", **more: Any) -> GraphWorld:
    """A world with a run of `relay start --reuse`, settled."""
    own = {name: more.pop(name) for name in ("ends", "quiet") if name in more}
    run = new_run(text, **more)
    assert run.definition is not None
    definition = run.definition.model_copy(update={"reuse": True, "again": again})
    world = GraphWorld(replace(run, definition=definition), **own)
    world.to_rest()
    return world


# --- the content -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "other"), [
    ("steps:\n  - {id: a, prompt: x, env: {A: '1', B: '2'}, output_schema: {type: string, minLength: 1}}\n",
     "steps:\n  - {output_schema: {minLength: 1, type: string}, env: {B: '2', A: '1'}, prompt: x, id: a}\n"),
    (PROMPT, "description: other\n" + PROMPT),
    (PROMPT, "steps:\n  - {id: a, prompt: Do it, description: other, timeout_s: 5.0, retry: {max_attempts: 2}}\n"),
    (PROMPT, "steps:\n  - {id: new, run: first}\n  - {id: a, prompt: Do it}\n"),
    (PROMPT, "steps:\n  - {id: new, run: first}\n  - {id: a, needs: [new], prompt: Do it}\n"),
    (PROMPT, CACHED + PROMPT),
])  # fmt: skip
def test_what_decides_no_work_does_not_change_the_content(one: str, other: str) -> None:
    assert content(one) == content(other) != ""


def test_another_id_does_not_change_the_content() -> None:
    assert content(PROMPT) == content("steps:\n  - {id: b, prompt: Do it}\n", "b") != ""


@pytest.mark.parametrize(("option", "value"), [
    ("prompt", "Do that"), ("assistant", "two"), ("assistant", "[one, two]"), ("model", "large"), ("role", "writer"),
    ("skills", "[tests]"), ("access", "read"), ("workspace", "none"), ("env", "{A: '1'}"), ("verify", "make test"),
    ("output_schema", "{}"),
])  # fmt: skip
def test_each_thing_that_decides_a_prompt_changes_the_content(option: str, value: str) -> None:
    text = f"steps:\n  - {{id: a, {'' if option == 'prompt' else 'prompt: Do it, '}{option}: {value}}}\n"
    assert content(text, sandbox="require") not in {content(PROMPT), ""}


@pytest.mark.parametrize(("option", "value"), [
    ("run", "make that"), ("access", "read"), ("workspace", "none"), ("env", "{A: '1'}"), ("verify", "make test"),
    ("output_schema", "{}"),
])  # fmt: skip
def test_each_thing_that_decides_a_command_changes_the_content(option: str, value: str) -> None:
    text = f"steps:\n  - {{id: a, {'' if option == 'run' else 'run: make it, '}{option}: {value}}}\n"
    assert content(text) not in {content(RUN), ""}


@pytest.mark.parametrize("settings", [
    {"env": {"A": "1"}}, {"setup": "make deps"}, {"assistant": ["two"]}, {"assistants": {"one": {"model": "x"}}},
    {"skills": ["tests"]}, {"aids": {"step.md.j2": "digest"}},
])  # fmt: skip
def test_the_settings_that_decide_a_prompt_change_the_content(settings: dict[str, Any]) -> None:
    assert content(PROMPT, **settings) not in {content(PROMPT), ""}


def test_the_text_of_a_skill_changes_the_content_of_those_that_are_given_it() -> None:
    text = "steps:\n  - {id: a, prompt: x, skills: [tests]}\n  - {id: b, prompt: x}\n"
    assert content(text, "a", {"tests": "1"}) != content(text, "a", {"tests": "2"})
    assert content(text, "b", {"tests": "1"}) == content(text, "b", {"tests": "2"})


def test_values_in_a_prompt_and_in_a_command_change_the_content() -> None:
    for line in ("prompt: 'Do {{ inputs.what }}'", "run: 'make {{ inputs.what }}'", "run: [make, '{{ inputs.what }}']",
                 "run: make, verify: 'test {{ inputs.what }}'"):  # fmt: skip
        text = f"inputs: {{what: {{}}}}\nsteps:\n  - {{id: a, {line}}}\n"
        assert content(text, inputs={"what": "it"}) != content(text, inputs={"what": "that"}), line
    filled = "inputs: {what: {}}\nsteps:\n  - {id: a, prompt: 'Do {{ inputs.what }}'}\n"
    assert content(filled, inputs={"what": "it"}) == content(PROMPT)


def test_instances_and_turns_have_contents_of_their_own() -> None:
    world = graph(
        ALONE
        + """
steps:
  - {id: fan, foreach: {in: [x, y]}, run: one}
  - {id: loop, loop: {until: loop.index == 2, max_iterations: 3}, run: one}
"""
    )
    found = {name: step.content for name, step in world.own.items() if step.content}
    assert found.keys() == {"fan:x", "fan:y", "loop:1", "loop:2"}
    assert len(set(found.values())) == 4


@pytest.mark.parametrize(("text", "step"), [
    ("steps:\n  - {id: a, run: x, artifacts: ['*.md']}\n", "a"),
    ("steps:\n  - {id: a, prompt: x}\n  - {id: b, needs: [a], prompt: x, session: {continue: a}}\n", "a"),
    ("steps:\n  - {id: a, prompt: x}\n  - {id: b, needs: [a], prompt: x, session: {continue: a}}\n", "b"),
])  # fmt: skip
def test_what_can_not_be_compared_is_taken_by_no_other_run(text: str, step: str) -> None:
    assert content(CACHED + text, step) == ""


def test_a_step_that_leaves_what_git_ignores_is_taken_by_no_other_run() -> None:
    world = graph(RUN, ends={"a:collect": ok(commit="c", partial=True)})
    assert (world.ends_of["a"], world.run.steps["a"].content) == ("done", "")


# --- a hit and a miss ------------------------------------------------------------------------------------------------


def test_nothing_is_looked_for_unless_it_is_asked_for() -> None:
    assert looked(graph(PROMPT)) == []


@pytest.mark.parametrize("text", [PROMPT, RUN])
def test_a_hit_gives_output_and_commit_and_costs_nothing(text: str) -> None:
    found = reused({"n": 3}, "commit-0", verified=True, assistant="two")
    world = graph(CACHED + text + "  - {id: b, needs: [a], cache: false, run: 'echo {{ steps.a.output.n }}'}\n",
                  ends={"a:reuse": found})  # fmt: skip
    step = world.run.steps["a"]
    assert (step.output, step.commit, step.verified, step.assistant) == ({"n": 3}, "commit-0", True, "two")
    assert (step.note, step.reused, step.attempt, step.usage.cost_usd) == ("reused from r0", "r0", 0, 0.0)
    assert world.begun() == ["b"]
    assert world.env("b")[0]["RELAY_ARG_1"] == "3"
    [collect] = [job.args(Collect) for job in world.work("b", "collect")]
    assert collect is not None
    assert collect.base == "commit-0"
    assert world.outcome == "landed"


def test_a_hit_without_a_change_leaves_the_worktree_to_the_next() -> None:
    world = graph(CACHED + RUN + "  - {id: b, needs: [a], cache: false, run: x}\n", ends={"a:reuse": reused("x")})
    assert (world.begun(), world.outcome) == (["b"], "landed")
    assert "settle_review" not in [job.spec.name for job in world.started]


def test_a_miss_is_a_first_attempt() -> None:
    world = graph(CACHED + PROMPT)
    assert [job.spec.name for job in world.started if job.spec.step == "a"] == ["reuse", "turn", "collect"]
    step = world.run.steps["a"]
    assert (step.attempt, step.reused, step.content) == (1, "", looked(world)[0].content)


def test_the_look_is_on_the_tree_that_the_step_begins_with() -> None:
    world = graph(CACHED + RUN + "  - {id: b, run: y}\n  - {id: c, workspace: none, run: z}\n")
    assert [each.head for name in "abc" for each in looked(world, name)] == [FIRST, "commit-1", ""]


def test_steps_that_only_read_are_reused_beside_others_and_have_no_commit() -> None:
    text = "steps:\n  - {id: a, access: read, prompt: x}\n  - {id: b, access: read, prompt: y}\n"
    world = graph(CACHED + text, ends={"reuse": reused("seen")})
    assert world.begun() == []
    assert {name: (step.output, step.commit) for name, step in world.own.items()} == dict.fromkeys("ab", ("seen", ""))
    assert world.outcome == "done"


def test_a_writer_that_looks_keeps_others_from_the_worktree() -> None:
    world = graph(CACHED + RUN + "  - {id: b, run: x}\n", ends={"a:reuse": None}, parallel=9)
    assert [job.spec.step for job in world.run.ledger.live()] == ["a"]
    world.end("a", ok())
    assert world.begun() == ["a", "b"]


def test_a_hit_needs_no_assistant() -> None:
    held = {"turn": bad("auth", "logged out")}
    steps = "steps:\n  - {id: first, prompt: x}\n  - {id: a, prompt: y, cache: true}\n"
    world = graph(ALONE + steps, ends=held | {"a:reuse": reused("y")}, parallel=1)
    assert world.ends_of == {"first": "retrying", "a": "done"}


def test_a_miss_without_an_assistant_waits_for_one() -> None:
    steps = "steps:\n  - {id: first, prompt: x, cache: false}\n  - {id: a, prompt: y}\n"
    world = graph(
        ALONE + steps.replace("y}", "y, cache: true}"), ends={"first:turn": [bad("auth", "logged out"), says("x")]}
    )
    assert (world.asked, world.work("a")) == ("fix_failure", [])
    world.hand_back()
    assert (world.outcome, len(looked(world)), world.run.steps["a"].attempt) == ("done", 1, 1)


def test_the_flag_is_for_all_steps_and_a_rerun_does_its_first_one_again() -> None:
    text = ALONE + "steps:\n  - {id: a, run: x}\n  - {id: g, group: [{id: in, run: y}]}\n"
    world = flagged(text, ends={"reuse": reused("x")})
    assert (world.begun(), world.outcome) == ([], "done")
    assert flagged(text, "a", ends={"reuse": reused("x")}).begun() == ["a"]
    assert flagged(text, "g", ends={"reuse": reused("x")}).begun() == ["g.in"]


def test_a_step_can_be_left_out_of_the_flag() -> None:
    text = ALONE + "steps:\n  - {id: a, run: x}\n  - {id: deploy, cache: false, run: y}\n"
    assert flagged(text, ends={"reuse": reused("x")}).begun() == ["deploy"]


def test_turns_of_a_loop_are_reused_one_by_one() -> None:
    text = ALONE + "steps:\n  - {id: a, loop: {until: steps.a.output == 3, max_iterations: 9}, run: x}\n"
    ends = {"a:1:reuse": reused(1), "a:2:reuse": reused(2)}
    world = flagged(text, ends=ends | {"run": gives(3)})
    assert (world.begun(), world.outcome, world.output("a")) == (["a:3"], "done", 3)


@pytest.mark.parametrize(("first", "looks"), [(ok(), 0), (reused("x"), 1)])
def test_a_turn_looks_unless_it_goes_on_in_a_conversation_of_this_run(first: JobResult, looks: int) -> None:
    text = ALONE + "steps:\n  - {id: a, loop: {until: loop.index == 2, max_iterations: 3}, prompt: x}\n"
    turn = says("x").model_copy(update={"session": "s1"})
    world = flagged(text, ends={"a:1:reuse": first, "turn": turn})
    assert (len(looked(world, "a:1")), len(looked(world, "a:2")), world.outcome) == (1, looks, "done")
    [job] = world.work("a:2")
    assert job.turn is not None
    assert job.turn.session == (None if looks else "s1")


def test_instances_of_a_fan_out_are_reused_one_by_one() -> None:
    text = ALONE + "steps:\n  - {id: a, foreach: {in: [x, y, z]}, run: 'echo {{ item }}'}\n"
    world = flagged(text, ends={"a:y:reuse": reused("old y")})
    assert world.begun() == ["a:x", "a:z"]
    assert world.output("a") == ["output of a:x", "old y", "output of a:z"]


# --- failures, and what persons say ----------------------------------------------------------------------------------


def test_a_step_that_needed_another_attempt_keeps_its_content() -> None:
    world = graph(CACHED + "steps:\n  - {id: a, run: x, retry: {max_attempts: 2}}\n", ends={"run": [fails(), gives(1)]})
    step = world.run.steps["a"]
    assert (step.attempt, step.content, len(looked(world))) == (2, looked(world)[0].content, 1)


def test_a_reader_whose_tree_changed_between_two_attempts_loses_its_content() -> None:
    text = """
steps:
  - {id: a, access: read, run: x, retry: {max_attempts: 2, delay_s: 9.0}}
  - {id: b, run: y}
"""
    world = graph(text, ends={"a:run": [fails(), gives(1)]}, parallel=9)
    assert (world.ends_of, world.run.steps["a"].content) == ({"a": "done", "b": "done"}, "")


def test_a_failed_look_is_done_again_without_an_attempt_and_then_told() -> None:
    world = graph(CACHED + RUN, ends={"a:reuse": bad("git_failed")}, attempts=2)
    assert (world.asked, len(looked(world)), world.begun()) == ("fix_failure", 2, [])
    world.ends["a:reuse"] = reused("x", "commit-0")
    world.hand_back()
    assert (world.outcome, world.begun(), world.run.steps["a"].attempt) == ("landed", [], 0)


def sent_back() -> GraphWorld:
    text = """
steps:
  - {id: a, prompt: x}
  - {id: b, needs: [a], run: y}
  - {id: ok, needs: [b], gate: {message: Good?, on_reject: {back_to: a}}}
"""
    return graph(CACHED + text, ends={"reuse": reused("x")})


def test_what_a_gate_sends_back_is_done_and_is_this_runs_own() -> None:
    world = sent_back()
    assert (world.asked, world.begun()) == ("answer_gate", [])
    world.hand_back("reject", "not like this")
    assert world.begun() == ["a", "b"]
    assert world.prompts("a")[0]["feedback"] == "not like this"

    def facts(step: Step) -> tuple[str, str, int]:
        return step.content, step.reused, step.attempt

    assert [facts(world.run.steps[name]) for name in "ab"] == [("", "", 1)] * 2


def test_what_comes_of_a_persons_words_is_this_runs_own() -> None:
    for words, kept in (("try the other door", False), (None, True)):
        world = graph(PROMPT, ends={"turn": [fails(), says("x")]})
        assert world.asked == "fix_failure"
        world.hand_back(words=words)
        assert (world.ends_of["a"], bool(world.run.steps["a"].content)) == ("done", kept)


def test_what_another_step_left_is_taken_back_before_a_step_that_found_nothing() -> None:
    text = "steps:\n  - {id: a, run: x, on_failure: continue}\n  - {id: b, run: y, cache: true}\n"
    world = graph(text, ends={"a:run": fails()})
    names = [job.spec.name for job in world.started if job.spec.step == "b"]
    assert names == ["reuse", "settle_review", "run", "collect"]
    assert world.outcome == "landed"
