"""Overlap of two patterns, which can name the same file or not, and paths that a pattern names."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.design.globs import matcher, overlap


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


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("src/**", "src/deep/a.py"),
        ("**/*.py", "a.py"),
        ("docs", "docs/deep/a.md"),
        ("docs/", "docs/a.md"),
        ("LICENSE", "LICENSE"),
        ("./a.py", "a.py"),
        ("web/*.{ts,tsx}", "web/a.tsx"),
        ("{a,b}/{c,d}.py", "b/c.py"),
        ("app/[id]/page.tsx", "app/[id]/page.tsx"),
        ("src/[ab].py", "src/a.py"),
        ("a/**/b/*.py", "a/x/y/b/c.py"),
        (".", "anything/at/all"),
        ("**", "anything/at/all"),
    ],
)
def test_a_path_that_a_pattern_names(pattern: str, path: str) -> None:
    assert matcher(["nothing", pattern])(path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("b.txt", "LICENSE"),
        ("src/*.py", "src/deep/a.py"),
        ("src/[ab].py", "src/c.py"),
        ("web/*.{ts,tsx}", "web/a.js"),
        ("src/a.py", "**"),
        ("a/**/b.py", "a/c.py"),
        ("*.py", "[*].md"),
    ],
)
def test_a_path_that_no_pattern_names(pattern: str, path: str) -> None:
    assert not matcher([pattern])(path)


def test_no_pattern_names_nothing_and_many_stars_take_no_time() -> None:
    assert not matcher([])("a.py")
    assert not matcher(["/".join(["**"] * 30 + ["*a*a*a*a*b"])])("/".join(["a" * 30] * 30))
