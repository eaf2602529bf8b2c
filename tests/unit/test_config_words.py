"""YAML whose scalars stay the words that were written."""

from __future__ import annotations

import pytest

from lib.config.words import Document, NotYamlError


@pytest.mark.parametrize(
    "word", ["off", "no", "yes", "on", "true", "False", "010", "1:30", "2026-01-01", "0x1f", "1_000"]
)
def test_a_scalar_is_the_word_that_was_written(word: str) -> None:
    assert Document(f"key: {word}").values == {"key": word}
    assert Document(f"key: [{word}]").values == {"key": [word]}


def test_nothing_is_none_and_quotes_are_text() -> None:
    assert Document("a:\nb: ~\nc: ''\nd: null").values == {"a": None, "b": None, "c": "", "d": None}


def test_typed_keys_have_types_but_no_words_as_booleans() -> None:
    values = Document("free: {a: 1, b: 1.5, c: true, d: off, e: yes}\nother: 1", typed=("free",)).values
    assert values == {"free": {"a": 1, "b": 1.5, "c": True, "d": "off", "e": "yes"}, "other": "1"}


def test_the_line_of_a_value_is_that_of_its_last_known_part() -> None:
    document = Document("# top\n\na: 1\nb:\n  c:\n    - x\n    - y\n")
    assert [document.line(path) for path in (["a"], ["b"], ["b", "c"], ["b", "c", 1], ["b", "z"], ["z"])] == [
        3, 4, 5, 7, 4, 1,
    ]  # fmt: skip


def test_a_key_that_is_there_twice_is_found_with_both_lines() -> None:
    assert Document("a: 1\nb: 2\na: 3\n").twice() == ("a", 1, 3)
    assert Document("a: 1\nb: 2\n").twice() is None


def test_anchors_that_multiply_and_that_hold_themselves_end() -> None:
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    assert Document(bomb + "z: &z [*z]").line(["i"]) == 9


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\ta: 1", "a: 1\nb", "x: !!int many", "{a: 1}: b", "[" * 20_000])
def test_what_is_no_yaml_is_told(text: str) -> None:
    with pytest.raises(NotYamlError) as caught:
        Document(text)
    assert caught.value.reason
