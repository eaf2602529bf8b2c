"""The rules by which checkpoints are kept or pruned. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lib.config.model import Config
from lib.errors import UsageError
from lib.store.rows import Cause, CheckpointMark
from orchestrator.commands.checkpoints import span_of
from orchestrator.persistence.pruning import Keep, by_run, outdated

NOW = datetime(2026, 1, 31, tzinfo=UTC)
PERSON, TRANSITION, INTERVAL = Cause.PERSON, Cause.TRANSITION, Cause.INTERVAL


def made(*days_and_causes: tuple[float, Cause]) -> list[CheckpointMark]:
    """Checkpoints 1, 2 … so many days old."""
    return [CheckpointMark(number, "r", (NOW - timedelta(days=days)).isoformat(), cause)
            for number, (days, cause) in enumerate(days_and_causes, 1)]  # fmt: skip


def keep(most: int = 100, days: float = 7, *, goes_on: bool = False) -> Keep:
    return Keep(most, timedelta(days=days), goes_on)


OLD = made((9, TRANSITION), (8, INTERVAL), (1, TRANSITION), (0, INTERVAL))


@pytest.mark.parametrize(
    ("marks", "rule", "gone"),
    [
        (OLD, keep(), [1, 2]),
        (OLD, keep(days=30), []),
        (OLD, keep(most=3, days=30), [1]),
        (OLD, keep(most=1, days=30), [1, 2, 3]),
        (OLD, keep(most=0), [1, 2, 3, 4]),
        (OLD, keep(most=0, goes_on=True), [1, 2, 3]),
        (made((9, TRANSITION), (8, TRANSITION)), keep(), [1, 2]),
        (made((9, TRANSITION), (8, TRANSITION)), keep(goes_on=True), [1]),
        (made((9, PERSON), (8, TRANSITION), (1, TRANSITION)), keep(most=1), [2]),
        (made((9, TRANSITION), (8, PERSON)), keep(goes_on=True), [1]),
        ([], keep(goes_on=True), []),
    ],
)
def test_the_old_and_the_many_go_but_not_labelled_ones_nor_the_newest_of_a_run_that_goes_on(
    marks: list[CheckpointMark], rule: Keep, gone: list[int]
) -> None:
    assert outdated(marks, rule, NOW) == gone


def test_the_settings_of_a_run_say_what_it_keeps() -> None:
    assert Keep.of(Config(), goes_on=True) == Keep(50, timedelta(days=7), goes_on=True)
    settings = Config(checkpoints_max=3, checkpoints_max_days=0.5)
    assert Keep.of(settings, goes_on=False) == Keep(3, timedelta(hours=12), goes_on=False)


def test_runs_are_told_apart_also_where_their_checkpoints_alternate() -> None:
    marks = [mark._replace(run=run) for mark, run in zip(OLD, "abab", strict=True)]
    assert {run: [mark.id for mark in of_it] for run, of_it in by_run(marks)} == {"a": [1, 3], "b": [2, 4]}


SPANS = [("7d", 168), ("12h", 12), ("90m", 1.5), ("2w", 336)]


@pytest.mark.parametrize(("text", "hours"), SPANS)
def test_spans_of_time_are_read(text: str, hours: float) -> None:
    assert span_of(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["7", "d", "-1d", "7 days", "1y"])
def test_what_is_no_span_of_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no span of time"):
        span_of(text)
