"""The critical path of a run: by needs, boxes, turns, and the seconds of each step."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lib.critical_path import CriticalPath, Timed, critical_path
from lib.steps import StepKind


def test_the_longest_way_by_what_steps_need() -> None:
    steps = [Timed("a", seconds=2), Timed("b", seconds=5), Timed("c", needs=("a", "b"), seconds=1),
             Timed("d", needs=("a",), seconds=3.5)]  # fmt: skip
    assert critical_path(steps) == CriticalPath(("b", "c"), 6)


def test_steps_of_a_box_begin_after_it_and_end_before_what_needs_it() -> None:
    steps = [
        Timed("first", seconds=1),
        Timed("box", StepKind.GROUP, needs=("first",), members=("box.x", "box.y"), seconds=100),
        Timed("box.x", parent="box", seconds=2),
        Timed("box.y", parent="box", needs=("box.x",), seconds=3),
        Timed("beside", seconds=5),
        Timed("last", needs=("box",), seconds=1),
    ]
    assert critical_path(steps) == CriticalPath(("first", "box.x", "box.y", "last"), 7)


def test_turns_of_a_loop_follow_one_another_and_instances_of_a_fan_do_not() -> None:
    turns = tuple(f"again:{number}" for number in (1, 2, 3))
    for kind, seconds in ((StepKind.LOOP, 6), (StepKind.FAN, 3)):
        box = Timed("again", kind, members=turns)
        inside = [Timed(turn, parent="again", seconds=number) for number, turn in enumerate(turns, 1)]
        path = critical_path([box, *inside])
        assert path == CriticalPath(turns if kind is StepKind.LOOP else turns[2:], seconds)


def test_records_in_a_circle_and_no_records_have_none() -> None:
    assert critical_path([]) == CriticalPath()
    assert critical_path([Timed("a", needs=("b",), seconds=1), Timed("b", needs=("a",), seconds=1)]) == CriticalPath()


def test_a_long_chain_is_walked() -> None:
    steps = [Timed(f"{n}", needs=(f"{n - 1}",), seconds=1) for n in range(10_000)]
    assert critical_path(steps).seconds == 10_000


@given(st.lists(st.tuples(st.sets(st.integers(0, 7)), st.integers(0, 9)), max_size=8))
def test_no_way_is_longer(drawn: list[tuple[set[int], int]]) -> None:
    needs = [tuple(f"{need}" for need in of if need < at) for at, (of, _) in enumerate(drawn)]
    steps = [Timed(f"{at}", needs=needs[at], seconds=s) for at, (_, s) in enumerate(drawn)]
    ends: dict[str, float] = {}
    for step in steps:
        ends[step.id] = step.seconds + max((ends[need] for need in step.needs), default=0)
    path = critical_path(steps)
    assert path.seconds == max(ends.values(), default=0)
    assert sum(step.seconds for step in steps if step.id in path.steps) == path.seconds
