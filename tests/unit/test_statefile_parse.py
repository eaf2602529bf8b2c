"""state.json is parsed strictly, and what is wrong with it is said in words, with line and column."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from states import edited, state

from lib.statefile.document import DISCARD, StateProblem, parse, render

GOOD = render(state())
TEXT = GOOD.decode()


def problem(raw: bytes) -> StateProblem:
    with pytest.raises(StateProblem) as caught:
        parse(raw)
    return caught.value


def line_of(text: str, key: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if f'"{key}"' in line)


@pytest.mark.parametrize(
    ("raw", "code", "words"),
    [
        (b"", "state_not_json", "is empty"),
        (b" \n ", "state_not_json", "is empty"),
        (b"\xef\xbb\xbf" + GOOD, "state_not_json", "byte order mark"),
        (TEXT.encode("utf-16"), "state_not_json", "UTF-16"),
        (TEXT.encode("utf-16-be"), "state_not_json", "UTF-16"),
        (TEXT.encode("utf-32"), "state_not_json", "UTF-16"),
        (b"[" * 100_000, "state_not_json", "too deeply"),
        (b'{"run": ' + b"[" * 400 + b"]" * 400 + b"}", "state_not_json", "too deeply"),
        (b'{"a":1,"a":' * 100_000, "state_not_json", "too deeply"),
        (b"[]", "state_invalid", "one object"),
        (b"null", "state_invalid", "one object"),
        (b"\0" * 1000, "state_not_json", "UTF-16"),
        (edited(GOOD, schema_version=2), "state_newer", "newer"),
        (edited(GOOD, schema_version=10**30, unheard_of=1), "state_newer", "newer"),
        (edited(GOOD, schema_version=0), "state_invalid", "schema_version"),
        (edited(GOOD, paused="yes"), "state_invalid", 'paused must be true or false, not "yes"'),
        (edited(GOOD, paused=0), "state_invalid", "paused must be true or false, not 0"),
        (edited(GOOD, rev="7"), "state_invalid", 'rev must be a whole number, not "7"'),
        (edited(GOOD, rev=7.5), "state_invalid", "rev must be a whole number"),
        (edited(GOOD, rev=-1), "state_invalid", "rev must be 0 or more"),
        (edited(GOOD, feedback=None), "state_invalid", "feedback must be a text"),
        (edited(GOOD, feedback="x" * 20_001), "state_invalid", "feedback is longer than 20,000"),
        (edited(GOOD, action_owner="cod"), "state_invalid", "did you mean code?"),
        (edited(GOOD, action_owner="nobody"), "state_invalid", "must be code or ci"),
        (edited(GOOD, action_needed="Do It!"), "state_invalid", "lower-case words"),
        (edited(GOOD, builders={}), "state_invalid", "builders must be a list"),
        (edited(GOOD, base="main"), "state_invalid", "base must be an object"),
        (edited(GOOD, usage={"cost_usd": "much"}), "state_invalid", "usage.cost_usd must be a number"),
        (edited(GOOD, created_at="yesterday"), "state_invalid", "created_at must be a time"),
        (edited(GOOD, run=...), "state_invalid", "run is missing"),
        (edited(GOOD, pausd=True), "state_invalid", "did you mean paused?"),
        (edited(GOOD, run=..., rum="r1"), "state_invalid", "did you mean run?"),
        (edited(GOOD, base={"brunch": "main", "commit": "0"}), "state_invalid", "did you mean branch?"),
        (edited(GOOD, xyzzy=1), "state_invalid", 'there is no field "xyzzy"'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_message_with_a_remedy(raw: bytes, code: str, words: str) -> None:
    found = problem(raw)
    assert (found.code, words in found.message) == (code, True), found.message
    assert (found.problem.remedy, *found.problem.others) == ("$EDITOR .project/state.json", DISCARD)
    assert found.remedy == "$EDITOR .project/state.json, or: relay resume --discard-edit"
    assert len(found.message) < 300


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"paused": false', '"paused": fals', "it is not JSON"),
        ('"paused": false', "paused: false", "it is not JSON"),
        ('"paused": false', '"paused": NaN', "NaN is no JSON number"),
        ('"paused": false', '"paused": -Infinity', "-Infinity is no JSON number"),
        ('"paused": false', '"paused": 1e999', "1e999 is too large"),
        ('"paused": false', f'"paused": {"9" * 5000}', "a number has 5000 digits"),
        ('"paused": false', '"paused": true, "paused": false', "the key 'paused' is there twice"),
        ('"paused": false', '"paused": "\\ud800"', "half of a surrogate pair"),
        ('"paused": false', '"paused": "\\udc00\\ud800"', "half of a surrogate pair"),
        ('"paused": false', '"paused": "yes"', "must be true or false"),
        ('"paused": false', '"pausd": false', "did you mean paused?"),
        ('"feedback": ""', '"feedback": "tab\there"', "it is not JSON"),
        ('"attempt": 1', '"attempt": "1"', "builders.0.attempt must be a whole number"),
        ('"commit": "', '"branch": "", "commit": "', "the key 'branch' is there twice"),
    ],
)
def test_the_line_is_named(old: str, new: str, words: str) -> None:
    broken = TEXT.replace(old, new, 1)
    expected = TEXT[: TEXT.index(old)].count("\n") + 1
    found = problem(broken.encode())
    assert words in found.message
    assert (found.line, f"line {expected}, column" in found.message) == (expected, True), found.message


def test_the_column_counts_from_one_and_the_second_of_two_keys_is_meant() -> None:
    assert "line 1, column 9:" in problem(b'{"a":1, "a":2}').message
    assert "line 2, column 3:" in problem(b'{"a": {"a": 1},\n  "a":2}').message


def test_a_byte_that_is_no_utf8_is_found() -> None:
    raw = GOOD.replace(b"a shop", b"a sh\xffp")
    found = problem(raw)
    assert "no UTF-8" in found.message
    assert found.line == line_of(TEXT, "requirement")


def test_a_field_that_is_missing_is_looked_for_where_its_object_begins() -> None:
    values = json.loads(GOOD)
    del values["builders"][1]["branch"]
    text = json.dumps(values, indent=2)
    assert problem(text.encode()).line == text[: text.index('"web"')].count("\n") + 1


def test_messages_name_the_file_as_they_were_told() -> None:
    with pytest.raises(StateProblem, match=r"^\.project/instances/two/state\.json: it is empty"):
        parse(b"", ".project/instances/two/state.json")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def mutated(data: st.DataObject) -> bytes:
    raw = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(start, min(len(raw), start + 40)))
        pieces = st.binary(max_size=6) | st.sampled_from(
            [b'"', b"{", b"}", b"[", b",", b":", b"\\u", b"\\ud83d", b"1e9"]
        )
        raw[start:end] = data.draw(pieces)
    return bytes(raw)


def only_state_problems(raw: bytes) -> None:
    with contextlib.suppress(StateProblem):
        parse(raw)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_nothing_but_a_state_problem_comes_of_a_damaged_file(data: st.DataObject) -> None:
    only_state_problems(mutated(data))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_nothing_but_a_state_problem_comes_of_any_bytes(raw: bytes) -> None:
    only_state_problems(raw)


@settings(max_examples=300, deadline=None)
@given(key=st.sampled_from(sorted(json.loads(GOOD))) | st.text(max_size=10), value=VALUES)
def test_nothing_but_a_state_problem_comes_of_any_value(key: str, value: object) -> None:
    text = json.dumps(json.loads(GOOD) | {key: value}, indent=1)
    only_state_problems(text.encode())
