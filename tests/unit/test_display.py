"""Foreign text on its way to a terminal, a log or a page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.display import clip, escaped, width


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, naïve, 日本, 🙂, a\u00a0b", "plain, naïve, 日本, 🙂, a\u00a0b"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x1b]52;c;aGk=\x07", r"\x1b]52;c;aGk=\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("done\rfake", r"done\rfake"),
        ("a\bb", r"a\x08b"),
        ("\u202etxt.exe\u2066x\u2069\u200e", r"\u202etxt.exe\u2066x\u2069\u200e"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("one\n10:00:00Z forged", r"one\n10:00:00Z forged"),
        ("\u2028next", r"\u2028next"),
    ],
)
def test_what_a_terminal_would_act_on_is_shown_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_newlines_and_tabs_stay_where_asked_but_nothing_else() -> None:
    assert escaped("a\n\tb\r\n\x1b", keep_newlines=True) == "a\n\tb\\r\n\\x1b"


@given(st.text())
def test_escaped_text_is_one_line_that_can_be_encoded(text: str) -> None:
    shown = escaped(text)
    assert len(shown.splitlines()) <= 1
    shown.encode()  # a lone surrogate would raise
    assert escaped(shown) == shown


def test_width_counts_columns_not_characters() -> None:
    assert width("abc") == 3
    assert width("日本") == 4
    assert width("e\u0301") == 1


@given(st.text(alphabet="ab日e\u0301"), st.integers(0, 12))
def test_clipped_text_fits_and_is_untouched_when_it_did(text: str, columns: int) -> None:
    shown = clip(text, columns)
    assert width(shown) <= columns
    if width(text) <= columns:
        assert shown == text
    elif columns:
        assert shown.endswith("…")
