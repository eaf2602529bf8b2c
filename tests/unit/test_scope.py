"""A builder's change held against its component's files: what is outside, what asks, what is no work at all."""

from __future__ import annotations

from typing import Any

import pytest
from world import World, new_run, ok

from lib.config.model import Scope
from lib.design.scope import FEW, NAMES, asks, is_emptied, is_refused, judge, sentence
from lib.model import Reach

OWN = ("b.txt",)
DELETED = [("A", "b.txt"), ("D", "LICENSE"), *(("D", f"docs/{number}.md") for number in range(5))]


def added(count: int) -> list[tuple[str, str]]:
    return [("A", f"new/{number}.txt") for number in range(count)]


def test_what_is_outside_is_counted_and_named_with_deletions_first() -> None:
    reach = judge([*added(2), ("M", "b.txt"), ("M", "poetry.lock"), ("D", "LICENSE")], OWN, total=9)
    assert (reach.outside, reach.deleted, reach.locks, reach.lost, reach.total) == (4, 1, 1, 1, 9)
    assert reach.names == ("D LICENSE", "M poetry.lock", "A new/0.txt", "A new/1.txt")


def test_what_is_kept_is_bounded_and_fit_to_be_shown() -> None:
    reach = judge([("A", f"{'x' * 4000}\x1b\udcff{number}") for number in range(5000)], OWN)
    assert reach.outside == 5000
    assert len(reach.names) == NAMES
    assert len(reach.model_dump_json()) < 10_000
    assert "\x1b" not in sentence("one", reach)


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ([("A", "b.txt")], False),
        (added(FEW), False),
        (added(FEW + 1), True),
        (added(307), True),
        (DELETED, True),
        ([("D", "LICENSE")], True),
        ([("M", "web/package-lock.json")], True),
        ([("A", "Cargo.lock")], True),
    ],
)
def test_deletions_lock_files_and_many_files_outside_are_asked_about(
    changes: list[tuple[str, str]], asked: bool
) -> None:
    reach = judge(changes, OWN, total=100)
    assert asks(reach, Scope.ASK) is asked
    assert not asks(reach, Scope.WARN)
    assert is_refused(reach, Scope.REFUSE) is (reach.outside > 0)
    assert not is_refused(reach, Scope.ASK)


@pytest.mark.parametrize("owned", [(), ("**",), (".",)])
def test_who_owns_everything_is_asked_about_mass_deletions_alone(owned: tuple[str, ...]) -> None:
    assert not asks(judge([*added(307), ("M", "poetry.lock"), ("D", "a"), ("D", "b")], owned, total=50), Scope.ASK)
    gone = [("D", f"{number}.py") for number in range(30)]
    assert asks(judge(gone, owned, total=1000), Scope.ASK)
    assert asks(judge(gone[:2], owned, total=4), Scope.ASK)
    assert asks(judge([*gone[:1], *added(9)], owned, total=1), Scope.ASK)
    assert not asks(judge([*gone[:1], *added(1)], owned, total=1, moved=1), Scope.ASK)
    assert not asks(judge([*gone, *added(30)], owned, total=31, moved=30), Scope.ASK)


@pytest.mark.parametrize(
    ("lost", "total", "left", "emptied"),
    [
        (1, 1, 0, True),
        (7, 7, 0, True),
        (7, 7, 1, True),
        (30, 31, 1, True),
        (0, 0, 0, False),
        (2, 2, 1, True),
        (1, 1, 1, False),
        (2, 2, 2, False),
        (30, 31, 40, False),
        (15, 30, 15, False),
    ],
)
def test_a_tree_of_which_next_to_nothing_is_left_is_an_emptied_one(
    lost: int, total: int, left: int, emptied: bool
) -> None:
    assert is_emptied(Reach(lost=lost, total=total), left) is emptied


def test_a_sentence_tells_who_how_many_and_a_few_names() -> None:
    said = sentence("api", judge(DELETED, OWN, total=7))
    assert said.startswith("api changed 6 files outside its own, 6 of them deleted (D LICENSE, D docs/0.md")
    assert said.endswith("and 2 more)")
    assert sentence("api", judge([("A", "b.txt")], OWN)) == ""
    assert sentence("api", judge([("D", f"{n}") for n in range(30)], (), total=40)) == (
        "api: 30 of 40 files deleted in all (0, 1, 2, 3, …)"
    )


def world(**reaches: dict[str, Any]) -> World:
    parts = [{"id": "one", "files": ["one.txt"]}, {"id": "two", "files": ["two.txt"]}, {"id": "six"}]
    made = World(new_run(gates={"design": "none"}, **reaches.pop("settings", {})), design={"components": parts})

    def collect(job: Any) -> Any:
        return ok(commit=f"c-{job.spec.step}-{job.attempt}", reach=reaches.get(job.spec.step, {}))

    made.answers["collect"] = collect
    return made


BAD = {"outside": 6, "deleted": 6, "names": ("D LICENSE",), "lost": 6, "total": 90}
FEW_MORE = {"outside": 2, "names": ("A x", "A y")}


def test_one_question_before_landing_has_all_that_is_outside_on_it() -> None:
    made = world(one=BAD, two=FEW_MORE, six={"lost": 50, "total": 90})
    made.settle()
    state = made.run.state
    assert state.action_needed == "approve_landing"
    for words in ("one changed 6 files outside its own, 6 of them deleted", "two changed 2 files", "six: 50 of 90"):
        assert words in state.message
    assert "run:land" not in made.names()
    made.edit(action_owner="code")
    assert made.run.state.outcome == "landed"


def test_a_few_new_files_outside_land_unasked_and_are_told() -> None:
    made = world(two=FEW_MORE)
    made.settle()
    assert made.run.state.outcome == "landed"
    assert any("two changed 2 files outside its own" in getattr(event, "message", "") for event in made.events)


def test_warn_lands_what_ask_would_ask_about() -> None:
    made = world(one=BAD, settings={"scope": "warn"})
    made.settle()
    assert made.run.state.outcome == "landed"


def test_refuse_sends_it_back_with_the_files_as_a_counted_attempt() -> None:
    made = world(two=FEW_MORE, settings={"scope": "refuse", "attempts": 2})
    made.settle()
    made.mono_s += 100
    made.settle()
    builder = made.run.steps["two"]
    assert (builder.status, builder.attempt) == ("failed", 2)
    assert builder.error is not None
    assert builder.error.code == "outside_scope"
    assert "A x\nA y" in builder.feedback
    assert made.run.state.action_needed == "fix_failure"
