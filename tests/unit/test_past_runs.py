"""Parts of texts and percentiles, as `relay runs` and `relay stats` show them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.past_runs import around
from orchestrator.commands.run_statistics import percentile


@given(st.text("abc ", max_size=80), st.text("xyz", min_size=1, max_size=8), st.text("abc ", max_size=80),
       st.integers(24, 60))  # fmt: skip
def test_the_part_of_a_text_has_its_first_mark_and_fits(before: str, word: str, after: str, columns: int) -> None:
    text = before + word + after
    part, marks = around(text, [(len(before), len(before) + len(word))], columns)
    assert len(part) <= columns
    assert [part[begin:end] for begin, end in marks] == [word]
    assert part == text or part.strip("…") in text


@pytest.mark.parametrize(("percent", "found"), [(50, 2.0), (90, 4.0), (100, 4.0), (1, 1.0)])
def test_a_percentile_is_a_value_that_there_is(percent: int, found: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], percent) == found
    assert percentile([], percent) is None
