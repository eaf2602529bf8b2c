"""The pieces of a screen: widths, wrapping, colour, and what a stream can't show."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.display import width
from orchestrator.status.screen import Look, ago, bar, columns, error_block, has_colour, paint, table, wrapped


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(st.lists(st.lists(st.text(), min_size=3, max_size=3), min_size=1), st.integers(30, 120))
def test_rows_keep_to_the_width_and_line_up(rows: list[list[str]], total: int) -> None:
    lines = ["  ".join(row) for row in columns(rows, total)]
    assert all(width(line) <= total for line in lines)
    assert len({width(line) for line in lines}) == 1


def test_the_last_column_gives_way_first() -> None:
    rows = table(["run", "requirement"], [["20260101-120000-a", "word " * 40]], 40).splitlines()
    assert rows[1].startswith("20260101-120000-a  word")
    assert len(rows[1]) <= 40


def test_no_cell_can_forge_a_row_or_move_the_cursor() -> None:
    assert len(table(["a"], [["x\ny\x1b[2J"]], 80).splitlines()) == 2
    assert "\x1b" not in table(["a"], [["x\ny\x1b[2J"]], 80)


@pytest.mark.parametrize(
    ("done", "active", "drawn"),
    [(0, 0, "░░░░"), (1, 1, "██▒▒"), (2, 0, "████"), (1, 0, "██░░"), (2, 1, "████")],
)
def test_a_bar_shows_what_is_done_and_what_is_at_work(done: int, active: int, drawn: str) -> None:
    assert bar(done, 2, 4, active=active) == drawn


def test_a_bar_of_nothing_is_empty() -> None:
    assert bar(0, 0, 4) == "░░░░"


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_a_bar_is_as_long_as_asked(done: int, active: int, rest: int) -> None:
    assert len(bar(done, done + active + rest, 16, active=active)) == 16


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0s"), (8.9, "8s"), (125, "2m05s"), (11_220, "3h07m"), (1_051_200, "12d4h")],
)
def test_ages_are_short(seconds: float, words: str) -> None:
    assert ago(seconds) == words


@given(st.text(alphabet="ab 界\n", max_size=200), st.integers(10, 60))
def test_wrapped_text_keeps_to_the_width_and_loses_no_character(text: str, size: int) -> None:
    lines = wrapped(text, size)
    assert all(width(line) <= size for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_a_path_is_never_broken() -> None:
    path = "/a/very/long/path/to/a/file.md"
    assert path in wrapped(f"read {path} and then go on", 20)


def test_colour_is_for_terminals_that_want_it() -> None:
    assert has_colour(Tty(), {"TERM": "xterm"})
    assert not has_colour(io.StringIO(), {"TERM": "xterm"})
    assert not has_colour(Tty(), {"TERM": "dumb"})
    assert not has_colour(Tty(), {"TERM": "xterm", "NO_COLOR": "1"})


def test_painted_text_is_reset_and_unpainted_text_is_as_it_was() -> None:
    assert paint("x", "bold red", colour=True) == "\x1b[1;31mx\x1b[0m"
    assert paint("x", "bold red", colour=False) == "x"
    assert paint("", "red", colour=True) == ""


def test_a_stream_without_the_glyphs_gets_others_of_the_same_width() -> None:
    shown = Look(encoding="ascii").fit("✓ a → b ██░… 界")
    assert shown == "+ a > b ##.~ \\u754c"
    assert Look(encoding="utf-8").fit("✓ 界") == "✓ 界"


def test_a_lone_surrogate_does_not_stop_the_screen() -> None:
    assert Look(encoding="utf-8").fit("a\udc80") == "a\\x80"


def test_an_error_says_what_to_type() -> None:
    lines = error_block("it is \x1b[31mbroken\n" + "very " * 30, "relay doctor").splitlines()
    assert lines[0].startswith(r"error: it is \x1b[31mbroken")
    assert lines[-1] == "  try: relay doctor"
    assert all(len(line) <= 80 and not re.search(r"\x1b", line) for line in lines)


def test_a_long_word_is_cut_into_lines_and_only_as_many_as_are_wanted_are_made() -> None:
    word = "要件😀" * 6000
    lines = wrapped(word, 79)
    assert "".join(lines) == word
    assert {width(line) for line in lines[:-1]} == {78}
    assert wrapped(word, 79, 2) == lines[:2]
