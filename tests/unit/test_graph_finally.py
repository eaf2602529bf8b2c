"""Steps of `finally` through the real machine, and conversations that a step goes on with."""

from __future__ import annotations

import pytest
from graphworld import fails, gives, graph, says

ALONE = "defaults: {workspace: none}\n"
LAST = """
finally:
  - {id: clean, run: "rm {{ steps.a.status }} {{ steps.b.output else 'nothing' }}"}
  - {id: tell, needs: [clean], run: x}
"""


def test_it_begins_once_all_others_are_over() -> None:
    text = f"{ALONE}steps:\n  - {{id: a, run: x}}\n  - {{id: b, run: y}}\n{LAST}"
    world = graph(text, ends={"b:run": None}, parallel=9)
    assert "clean" not in world.own
    world.end("b", gives("made"))
    assert (world.outcome, world.begun()) == ("done", ["a", "b", "clean", "tell"])
    assert list(world.env("clean")[0].values()) == ["done", "made"]


@pytest.mark.parametrize(("status", "outcome"), [("failed", "failed"), ("cancelled", "cancelled"), ("done", "done")])
def test_it_begins_after_the_end_of_the_run_as_well(status: str, outcome: str) -> None:
    text = f"""{ALONE}
steps:
  - {{id: a, run: x}}
  - {{id: stop, needs: [a], end: {{status: {status}}}}}
  - {{id: b, needs: [stop], run: y}}
{LAST}"""
    world = graph(text)
    assert (world.outcome, world.begun()) == (outcome, ["a", "clean", "tell"])
    assert world.ends_of["b"] == "skipped"


def test_it_begins_after_a_failure_that_a_person_has_decided_on() -> None:
    text = f"{ALONE}steps:\n  - {{id: a, run: x}}\n  - {{id: b, needs: [a], run: y}}\n{LAST}"
    world = graph(text, ends={"a:run": fails()})
    assert (world.asked, "clean" in world.own) == ("fix_failure", False)
    world.hand_back("skip a")
    assert (world.outcome, world.begun()) == ("done", ["a", "b", "clean", "tell"])


def test_its_own_failure_asks() -> None:
    world = graph(f"{ALONE}steps:\n  - {{id: a, run: x}}\n  - {{id: b, run: y}}\n{LAST}", ends={"clean:run": fails()})
    assert (world.asked, world.ends_of["clean"]) == ("fix_failure", "failed")
    world.hand_back("retry")
    assert world.asked == "fix_failure"
    world.hand_back("skip clean")
    assert (world.outcome, world.ends_of["tell"]) == ("done", "done")


CONTINUED = """
steps:
  - {id: a, prompt: Plan it, access: read}
  - {id: b, needs: [a], prompt: Do it, session: {continue: a}%s}
"""


def test_a_step_goes_on_in_the_conversation_of_another() -> None:
    said = says("planned").model_copy(update={"session": "s1"})
    world = graph(CONTINUED % "", ends={"a:turn": said})
    [job] = world.work("b")
    assert job.turn is not None
    assert (job.turn.session, job.turn.prompt["follows"], job.turn.prompt["task"]) == ("s1", True, "Do it")


def test_its_own_conversation_comes_first_once_it_has_one() -> None:
    first, second = (
        says(text).model_copy(update={"session": name}) for text, name in (("planned", "s1"), ("no", "s2"))
    )
    text = CONTINUED % ", verify: make test, retry: {max_attempts: 2, delay_s: 0.0}"
    world = graph(text, ends={"a:turn": first, "b:turn": second, "b:verify": [fails(), gives("")]})
    assert [job.turn.session for job in world.work("b") if job.turn] == ["s1", "s2"]
    assert [prompt["follows"] for prompt in world.prompts("b")] == [True, False]


def test_another_assistant_begins_a_conversation_of_its_own() -> None:
    said = says("planned").model_copy(update={"session": "s1"})
    world = graph(CONTINUED % ", assistant: two", ends={"a:turn": said})
    [job] = world.work("b")
    assert job.turn is not None
    assert (job.turn.assistant, job.turn.session, job.turn.prompt["follows"]) == ("two", None, False)
