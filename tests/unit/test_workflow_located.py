"""Documents know the place of each value, and no text takes the reader down."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lib.workflow.located import MAX_BYTES, NotReadableError, Written, read
from lib.workflow.writing import as_yaml

TEXT = """\
name: x
list: [1, {a: "b"}]
block: |
  first

  second {{ here }} end
quoted: "say {{ it }}"
folded: >-
  one
  two {{ three }}
"""


def test_places() -> None:
    document = read(TEXT)
    assert document.place(("name",)) == (1, 7)
    assert document.key_place(("list",)) == (2, 1)
    assert document.place(("list", 1, "a")) == (2, 15)
    assert document.place(("list", 7, "z")) == (2, 7)
    assert document.place(("none",)) == (1, 1)
    block = document.data["block"]
    assert document.place_in(("block",), block.index("{{")) == (6, 10)
    assert document.place_in(("quoted",), 4) == (7, 14)
    folded = document.data["folded"]
    assert document.place_in(("folded",), folded.index("{{")) == (10, 7)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("yes", "yes"), ("on", "on"), ("010", "010"), ("1:30", "1:30"), ("0x1f", "0x1f"), ("1_000", "1_000"), ("+1", "+1"),
     ("2024-01-01", "2024-01-01"), ("true", True), ("False", False), ("~", None), ("", None), ("-5", -5), ("1.50", 1.5),
     ("1e3", 1000.0), (".5", ".5"), ("1e999", "1e999"), ("9" * 30, "9" * 30), ("'1'", "1"), ("<<", "<<"),
     ("!!str 5", "5")],
)  # fmt: skip
def test_scalars_are_what_version_1_2_says(written: str, meant: object) -> None:
    found = read(f"a: {written}\n").data["a"]
    assert found == meant
    assert isinstance(found, bool) == isinstance(meant, bool)
    if isinstance(found, Written):
        assert found.text == written


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 0, "empty"), ("# only\n", 0, "empty"), ("a: 1\nb: 2\na: 3\n", 3, "in line 1 too"),
        ("a: !!python/x 1", 1, "tag"),
        ("a: *b", 1, "*b"), ("a: &a [*a]", 1, "*a"), ("--- 1\n--- 2", 2, "second document"), ("a: [", 1, "not YAML"),
        ("[" * 100_000, 1, "nested"), ("{a: " * 100_000, 1, "nested"), ("- " * 100_000, 1, "nested"),
        ("? " * 99, 1, "key"),
        ("[a]: 1", 1, "key must be text"), ("a: 'x", 1, "not YAML"), ("\tx: 1", 1, "not YAML"),
        ("a: \x00", 0, "not YAML"),
        ("x" * (MAX_BYTES + 1), 0, "limit"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, line: int, said: str) -> None:
    with pytest.raises(NotReadableError, match=r".") as caught:
        read(text)
    assert said in caught.value.reason
    assert abs(caught.value.line - line) <= 1


def test_aliases_are_followed_and_counted() -> None:
    assert read("a: &a [1, 2]\nb: *a\n").data == {"a": [1, 2], "b": [1, 2]}
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(NotReadableError, match="more than"):
        read(bomb)
    deep = "a: &a [1]\n" + "".join(f"b{at}: &b{at} [*{f'b{at - 1}' if at else 'a'}]\n" for at in range(70))
    with pytest.raises(NotReadableError, match="nested"):
        read(deep)


def test_json() -> None:
    document = read('{"a": 1.10,\n "b": ["\\ud83d\\ude00", "\\/"]}', is_json=True)
    assert document.data == {"a": 1.1, "b": ["\U0001f600", "/"]}
    assert document.data["a"].text == "1.10" if isinstance(document.data["a"], Written) else True
    assert read('{"a": 1,\n "b": 2}', is_json=True).key_place(("b",)) == (2, 2)
    for wrong in ('{"a": 1, "a": 2}', "{", "[1,]", '{"a": NaN}', "", '"\\ud800"', "[" * 200_000, "\ufeff{}"):
        with pytest.raises(NotReadableError):
            read(wrong, is_json=True)


@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"#%@,? \n\t~0") | st.characters(codec="utf-8"), max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    for is_json in (False, True):
        with suppress(NotReadableError):
            read(text, is_json=is_json)


_DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(st.characters(codec="utf-8"), max_size=20)
    | st.sampled_from(["yes", "010", "1e3", "true", "~", "", "a: b", "x\n y\n", " x", "x\n\n", "\tx", "# x", "null",
                       "- a"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text("abc-", min_size=1, max_size=5), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.text("abcxyz_", min_size=1, max_size=6), _DATA, min_size=1, max_size=5))
def test_what_is_written_reads_back(data: dict[str, Any]) -> None:
    printable = json.loads(json.dumps(data))
    try:
        text = as_yaml(printable)
        yaml.compose(text)
    except yaml.YAMLError:
        return  # characters that no YAML may hold
    assert read(text).data == printable
