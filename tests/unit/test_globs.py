"""Whether two patterns can name the same file."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.globs import overlap


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("a.py", "a.py"),
        ("./a.py", "a.py"),
        ("src/", "src/a.py"),
        ("src", "src/deep/a.py"),
        ("src/**", "src/a/b.py"),
        ("**/*.py", "tests/unit/test_a.py"),
        ("src/*.py", "src/a*"),
        ("*/a.py", "src/?.py"),
        ("src/[ab].py", "src/a.py"),
        ("**", "anything/at/all"),
    ],
)
def test_patterns_that_meet(left: str, right: str) -> None:
    assert overlap(left, right)
    assert overlap(right, left)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("a.py", "b.py"),
        ("src/a.py", "src2/a.py"),
        ("src/*.py", "src/a/b.py"),
        ("src/*.py", "src/*.md"),
        ("tests/test_*.py", "tests/conftest.py"),
        ("*.py", "src/a.py"),
        ("**/*.py", "docs/a.md"),
    ],
)
def test_patterns_that_do_not_meet(left: str, right: str) -> None:
    assert not overlap(left, right)
    assert not overlap(right, left)


@given(st.text("ab*?", max_size=6), st.text("ab*?", max_size=6), st.text("ab", min_size=1, max_size=6))
def test_two_patterns_that_match_one_name_overlap(left: str, right: str, name: str) -> None:
    if fnmatch.fnmatchcase(name, left) and fnmatch.fnmatchcase(name, right):
        assert overlap(left, right)
