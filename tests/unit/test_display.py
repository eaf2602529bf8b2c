"""Foreign text on its way to a terminal, a log or a page."""

from __future__ import annotations

import json
import os
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.display import Masker, clip, escaped, width

KEY = "hunter2-is-not-a-good-one"


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


def test_secrets_of_the_environment_are_masked_by_name() -> None:
    masker = Masker.from_environ(
        {"MY_API_KEY": KEY, "DB_PASSWORD": "p4ss word+(x", "SHORT_TOKEN": "true", "HOME": "/x/home"}
    )
    assert masker.masked(f"a {KEY}b p4ss word+(x true /x/home") == (
        "a [masked MY_API_KEY]b [masked DB_PASSWORD] true /x/home"
    )


def test_the_longer_of_two_secrets_with_one_beginning_is_masked_whole() -> None:
    masker = Masker({"SHORT": "abcdefgh", "LONG": "abcdefghijkl"})
    assert masker.masked("abcdefghijkl abcdefgh") == "[masked LONG] [masked SHORT]"


def test_every_line_of_a_secret_of_many_lines_is_masked() -> None:
    masker = Masker({"PEM_KEY": "-----BEGIN-----\nMIIEvQIBADAN\n-----END-----\n"})
    assert masker.masked("MIIEvQIBADAN") == "[masked PEM_KEY]"


@pytest.mark.parametrize(
    ("token", "name"),
    [
        ("sk-ant-api03-" + "x" * 40, "api key"),
        ("ghp_" + "a1" * 18, "github token"),
        ("github_pat_" + "a1" * 20, "github token"),
        ("glpat-" + "a" * 20, "gitlab token"),
        ("AKIA" + "A1" * 8, "aws key"),
        ("xoxb-" + "1234567890-abc", "slack token"),
        ("AIza" + "a" * 35, "google key"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "jwt"),
    ],
)
def test_tokens_are_known_by_their_shape(token: str, name: str) -> None:
    assert Masker({}).masked(f"key={token}, next") == f"key=[masked {name}], next"


def test_a_password_in_an_address_is_masked() -> None:
    assert Masker({}).masked("https://ada:s3cret@host/x") == "https://[masked credentials]@host/x"


def test_ordinary_words_are_left_alone() -> None:
    text = "the task-runner is asking risk-free questions, see disk-usage-report-for-everyone"
    assert Masker({}).masked(text) == text


def test_data_is_masked_at_every_depth() -> None:
    data = {"a": [1, None, {"b": f"x{KEY}"}], KEY: True}
    masked = Masker({"K": KEY}).masked_data(data)
    assert masked == {"a": [1, None, {"b": "x[masked K]"}], "[masked K]": True}
    assert KEY not in json.dumps(masked)


SPLIT = f"before {KEY} and ghp_{'b2' * 18}\nwith two words after"


@given(st.lists(st.integers(0, len(SPLIT)), max_size=8))
def test_a_secret_split_over_reads_is_masked_wherever_it_is_cut(cuts: list[int]) -> None:
    masker = Masker({"K": KEY, "W": "two words"})
    edges = [0, *sorted(cuts), len(SPLIT)]
    stream = masker.stream()
    shown = "".join(stream.feed(SPLIT[a:b]) for a, b in pairwise(edges)) + stream.close()
    assert shown == "before [masked K] and [masked github token]\nwith [masked W] after"


def test_a_stream_shows_complete_words_without_waiting_for_more() -> None:
    stream = Masker({"K": KEY}).stream()
    assert stream.feed("compiling app.c\nlink") == "compiling app.c\n"
    assert stream.feed("ing\n") == "linking\n"


def test_a_stream_does_not_hold_back_an_endless_word() -> None:
    stream = Masker({"K": KEY}).stream()
    assert len(stream.feed("x" * 100_000)) > 50_000


def test_hostile_text_takes_no_more_than_linear_time() -> None:
    text = "-eyJ" * 100_000
    assert Masker({}).masked(text) == text  # quadratic matching would run into the time limit of the tests


def test_lone_surrogates_pass_the_masker() -> None:
    assert Masker({"K": KEY}).masked(os.fsdecode(b"\xff") + KEY) == "\udcff[masked K]"
