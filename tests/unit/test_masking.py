"""Secrets in text, and in bytes that arrive in pieces."""

from __future__ import annotations

import json
import os
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.secrets.masking import Masker
from lib.secrets.stream import MaskStream

KEY = "hunter2-is-not-a-good-one"
TOKENS = [
    ("sk-ant-api03-" + "x" * 40, "api key"),
    ("ghp_" + "a1" * 18, "github token"),
    ("github_pat_" + "a1" * 20, "github token"),
    ("glpat-" + "a" * 20, "gitlab token"),
    ("AKIA" + "A1" * 8, "aws key"),
    ("xoxb-" + "1234567890-abc", "slack token"),
    ("AIza" + "a" * 35, "google key"),
    ("eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "jwt"),
]


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


@pytest.mark.parametrize(("token", "name"), TOKENS)
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


def pieces(masker: Masker, data: bytes, cuts: list[int]) -> bytes:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    stream = MaskStream(masker.known())
    return b"".join(stream.feed(data[a:b]) for a, b in pairwise(edges)) + stream.close()


SPLIT = f"before {KEY} and ghp_{'b2' * 18}\nwith two words https://ada:s3cret@host/x task-ghp_{'c' * 9} after".encode()
HIDDEN = (
    b"before [masked K] and [masked github token]\n"
    b"with [masked W] https://[masked credentials]@host/x task-ghp_ccccccccc after"
)
CUTS = st.lists(st.integers(0, len(SPLIT)), max_size=8)


@given(CUTS)
def test_a_secret_split_over_reads_is_masked_wherever_it_is_cut(cuts: list[int]) -> None:
    assert pieces(Masker({"K": KEY, "W": "two words"}), SPLIT, cuts) == HIDDEN


@pytest.mark.parametrize(("token", "name"), TOKENS)
def test_a_token_that_arrives_byte_by_byte_is_masked(token: str, name: str) -> None:
    data = f"key={token}, next\\n{token}".encode()
    hidden = f"key=[masked {name}], next\\n[masked {name}]".encode()
    assert pieces(Masker({}), data, list(range(len(data)))) == hidden


PARTS = ("abcdefgh", "abcdefghij", "fghijklmn", "ghp_", "a" * 16, "://", "u:p@", " ", "é", "\n")


@given(st.lists(st.sampled_from(PARTS)), CUTS)
def test_no_secret_shows_wherever_it_is_cut_and_the_rest_stays(words: list[str], cuts: list[int]) -> None:
    masker, data = Masker({"A": "abcdefgh", "B": "abcdefghij", "C": "fghijklmn"}), "".join(words).encode()
    shown = pieces(masker, data, cuts)
    assert shown == pieces(masker, data, [])
    assert not any(value in shown for value in (b"abcdefgh", b"fghijklmn"))
    if b"[" not in shown:
        assert shown == data


@given(st.binary(), CUTS)
def test_bytes_without_a_secret_pass_unchanged(data: bytes, cuts: list[int]) -> None:
    assert pieces(Masker({"K": KEY}), data, cuts) == data


def test_a_stream_holds_back_nothing_but_what_may_be_a_secret() -> None:
    stream = MaskStream(Masker({"K": KEY}).known())
    assert stream.feed(b"Overwrite build.log? [y/N]") == b"Overwrite build.log? [y/N]"
    assert stream.feed(b" hunter2-is") == b" "
    assert stream.feed(b"-it") == b"hunter2-is-it"
    assert (stream.feed(b" ghp_a"), stream.feed(b" b"), stream.feed(b" g"), stream.close()) == (
        b" ", b"ghp_a b", b" ", b"g")  # fmt: skip


def test_a_stream_does_not_hold_back_an_endless_word() -> None:
    assert len(MaskStream({}).feed(b"ghp_" + b"x" * 100_000)) < 100_000
    assert len(MaskStream({}).feed(b"eyJ" + b"x" * 100_000)) > 50_000


@pytest.mark.parametrize("value", ['quo"ted-secret', "back\\slash-secret", "tab\tin-secret", "schlüssel-für-alle"])
@pytest.mark.parametrize("plain", [True, False])
def test_a_secret_is_known_as_json_has_it_also_in_a_string_of_json(value: str, plain: bool) -> None:
    once = json.dumps({"text": value}, ensure_ascii=plain)
    twice = json.dumps({"arguments": once}, ensure_ascii=plain)
    for line in (once, twice):
        shown = pieces(Masker({"K": value}), line.encode(), [])
        assert shown == Masker({"K": value}).masked(line).encode()
        assert b"[masked K]" in shown
        json.loads(shown)


def test_a_secret_of_bytes_that_are_no_text_is_masked() -> None:
    value = b"\xff\xfe-is-a-secret"
    assert pieces(Masker({"K": os.fsdecode(value)}), b"a " + value, [5]) == b"a [masked K]"


def test_hostile_text_takes_no_more_than_linear_time() -> None:
    text = "-eyJ" * 100_000
    assert Masker({}).masked(text) == text  # quadratic matching would run into the time limit of the tests
    assert pieces(Masker({}), text.encode(), []) == text.encode()


def test_lone_surrogates_pass_the_masker() -> None:
    assert Masker({"K": KEY}).masked(os.fsdecode(b"\xff") + KEY) == "\udcff[masked K]"
