"""state.json is written in an order for people, and never passes its bound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from situations import SMALL, step
from states import edited, line, state

from lib.config.model import Config
from lib.ledger import Ledger
from lib.model import EDITABLE, Problem, State
from lib.question import Answer
from lib.statefile.document import MAX_BUILDERS, MAX_STATE_BYTES, StateProblem, parse, render, schema
from lib.steps import BuilderStatus, StepKind, StepStatus
from orchestrator.engine.run import Run
from orchestrator.persistence.presenting import present

ROOT = Path(__file__).resolve().parents[2]
TEXTS = st.text(st.characters(), max_size=50).flatmap(lambda text: st.integers(1, 3000).map(lambda n: text * n))
LINES = st.builds(
    line, st.from_regex(r"[a-z]{1,20}", fullmatch=True), st.sampled_from(BuilderStatus), st.floats(0, 9e6)
)


def test_it_is_read_back_as_it_was() -> None:
    written = state(requirement="línea\n\t\u0001 “ok” 𝄞", feedback='"quoted"')
    assert parse(render(written)) == written


def test_it_begins_with_its_schema_and_ends_with_a_newline() -> None:
    lines = render(state()).decode().split("\n")
    assert lines[:4] == ["{", '  "$schema": "state.schema.json",', '  "schema_version": 1,', '  "rev": 7,']
    assert lines[-2:] == ["}", ""]


@settings(max_examples=60, deadline=None)
@given(
    requirement=TEXTS,
    message=TEXTS,
    feedback=TEXTS,
    remedy=TEXTS,
    lines=st.lists(LINES, max_size=30, unique_by=lambda one: one.id),
    copies=st.integers(1, 40),
)
def test_no_content_breaks_the_bound_and_rendering_again_changes_nothing(
    requirement: str, message: str, feedback: str, remedy: str, lines: list[Any], copies: int
) -> None:
    error = Problem(code="c", message=message, remedy=remedy, report=tuple(message.splitlines()))
    builders = [one.model_copy(update={"id": f"{one.id}-{n}", "note": message}) for n in range(copies) for one in lines]
    data = render(
        state(requirement=requirement, message=message, feedback=feedback, error=error, builders=tuple(builders),
              answers=(Answer(remedy, message), Answer("relay approve", "goes on")), progress={})
    )  # fmt: skip
    assert len(data) <= MAX_STATE_BYTES
    again = parse(data)
    assert render(again) == data
    assert again.answers[-1].command == "relay approve"
    assert sum(again.progress.values()) == len(builders)


def test_what_is_unfinished_stays_then_the_latest_finished_and_the_rest_is_counted() -> None:
    finished = [line(f"done-{n}", BuilderStatus.LANDED, ended_s=n) for n in range(500)]
    failed = [line(f"failed-{n}", BuilderStatus.FAILED, ended_s=0) for n in range(3)]
    waiting = [line(f"waiting-{n}") for n in range(20)]
    shown = parse(render(state(builders=(*finished, *failed, *waiting), progress={})))
    ids = [one.id for one in shown.builders]
    assert ids == [f"done-{n}" for n in range(500 - (MAX_BUILDERS - 23), 500)] + [one.id for one in (*failed, *waiting)]
    assert shown.progress == {"landed": 500, "failed": 3, "pending": 20}


@pytest.mark.parametrize("status", ["preparing", "running", "verifying", "retrying", "failed"])
def test_what_waits_makes_room_for_what_is_at_work_or_failed_and_not_for_what_is_finished(status: str) -> None:
    waiting = [line(f"waiting-{n}") for n in range(MAX_BUILDERS)]
    at_work = [line(f"at-work-{n}", BuilderStatus(status)) for n in range(5)]
    finished = [line(f"done-{n}", BuilderStatus.BUILT, ended_s=n) for n in range(5)]
    shown = parse(render(state(builders=(*finished, *waiting, *at_work), progress={})))
    assert [one.id for one in shown.builders] == [one.id for one in (*waiting[: MAX_BUILDERS - 5], *at_work)]
    assert shown.progress == {"built": 5, "pending": MAX_BUILDERS, status: 5}


def test_counts_that_cover_all_builders_are_left_as_they_are() -> None:
    assert parse(render(state(progress={"landed": 4000, "pending": 2}))).progress == {"landed": 4000, "pending": 2}


@pytest.mark.parametrize("letter", ["x", "é", "漢", "𝄞", "\u0001", '"', "\ud800"])
def test_a_text_that_is_cut_says_so(letter: str) -> None:
    shown = parse(render(state(requirement=letter * 100_000)))
    assert shown.requirement.endswith("… (cut; 100,000 characters in all)")
    assert len(shown.requirement) > 3000


def test_feedback_that_grows_where_it_is_shown_stays_within_what_is_read() -> None:
    data = render(state(feedback="\udce9" * 20_000))
    assert render(parse(data)) == data


def test_feedback_as_long_as_it_may_be_is_kept_whole() -> None:
    assert parse(render(state(feedback="x" * 20_000))).feedback == "x" * 20_000


def test_the_shipped_schema_is_that_of_the_model() -> None:
    file = ROOT / "templates" / "state.schema.json"
    assert json.loads(file.read_text()) == schema(), "make schema"


def test_a_written_state_satisfies_its_schema() -> None:
    validator = Draft202012Validator(schema())
    Draft202012Validator.check_schema(schema())
    error = Problem(code="c", message="m", remedy="r")
    for written in (state(), state(error=error, builders=(line("a", BuilderStatus.LANDED, 3),))):
        validator.validate(json.loads(render(written)))
    assert not validator.is_valid(json.loads(edited(render(state()), action_owner="nobody")))
    assert not validator.is_valid(json.loads(edited(render(state()), pausd=True)))


def test_the_schema_says_what_may_be_edited() -> None:
    fields = schema()["properties"]
    assert {name for name, field in fields.items() if not field.get("readOnly")} == set(EDITABLE)
    assert all(fields[name]["description"].startswith("EDITABLE") for name in EDITABLE)
    assert len(fields) == len(State.model_fields)


@pytest.mark.parametrize("feedback", ["a" * 20_000, "a" * 20_001, "aé" * 10_008, "日" * 20_000, "aab日" * 5_000 + "x"])
def test_feedback_of_any_length_can_be_read_again(feedback: str) -> None:
    shown = parse(render(state(feedback=feedback))).feedback
    assert shown == feedback or shown.endswith(f"{len(feedback):,} characters in all)")


def presented(*steps: Any) -> State:
    return parse(render(present(Run(state(builders=(), workflow="small"), Config(), ledger=Ledger(steps)))))


def test_steps_of_a_workflow_have_lines_of_their_own_without_the_worktree_that_they_share() -> None:
    shown = presented(*SMALL)
    assert shown.builders == ()
    assert [(line.id, line.kind) for line in shown.steps] == [
        ("list", "run"), ("look", "fan"), ("ok", "gate"), ("look:a", "prompt"), ("look:b", "prompt"),
    ]  # fmt: skip
    assert shown.progress == {"pending": 1, "running": 1, "done": 2}


def test_many_steps_are_bounded_as_builders_are_and_the_one_that_failed_is_among_them() -> None:
    usual = [step(f"look:{n}", StepKind.PROMPT, StepStatus.DONE, note="x" * 900) for n in range(400)]
    shown = presented(step("bad", StepKind.RUN, StepStatus.FAILED), *usual)
    assert len(shown.steps) <= MAX_BUILDERS
    assert shown.steps[0].id == "bad"
    assert shown.progress == {"done": 400, "failed": 1}


def test_a_state_file_from_before_there_were_steps_is_read() -> None:
    assert parse(edited(render(state()), steps=...)).steps == ()


def test_a_misspelt_key_of_a_step_is_told_with_the_one_that_is_meant() -> None:
    lines = json.loads(render(presented(*SMALL)))["steps"]
    lines[0]["asistant"] = "x"
    with pytest.raises(StateProblem, match=r"there is no field .asistant.; did you mean assistant"):
        parse(edited(render(state()), steps=lines))
