"""One value is set in a YAML file; the rest of its text stays."""

from __future__ import annotations

from typing import Any

import pytest

from lib.config.edit import NotEditableError, with_value
from lib.config.words import Document

TEMPLATE = "# top\n# parallel: 10    # builders at work at once\n# gates:\n#   design: person   # or none\n"
FILE = """\
# mine
parallel: 3   # few
env:   # for builders
  A: 1   # one
  # two
  B: "x"

# after
flow: {a: x}
verify:    # none yet
words: |
  one
  two
last: [a, b]"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (["parallel"], "4", "parallel: 3   # few", "parallel: 4   # few"),
        (["env", "A"], "two words", "A: 1   # one", "A: two words   # one"),
        (["env", "B"], None, '  B: "x"', "  B: "),
        (["env", "C"], "c", "  A: 1", "  C: c\n  A: 1"),
        (["flow", "a"], "y", "{a: x}", "{a: y}"),
        (["flow", "b"], "y", "{a: x}", "{b: y, a: x}"),
        (["verify"], "a # b", "verify:    # none yet", "verify: 'a # b'    # none yet"),
        (["words"], "one", "words: |\n  one\n  two\n", "words: one\n"),
        (["last"], ["c", "no"], "last: [a, b]", "last: [c, 'no']"),
        (["fresh"], "off", "last: [a, b]", "last: [a, b]\nfresh: off\n"),
        (["gates", "design"], "none", "last: [a, b]", "last: [a, b]\ngates: {design: none}\n"),
    ],
)
def test_only_that_value_changes(path: list[str], value: Any, old: str, new: str) -> None:
    assert with_value(FILE, path, value) == FILE.replace(old, new)


def test_a_line_that_is_offered_takes_the_value_in_its_place() -> None:
    text = with_value(TEMPLATE, ["parallel"], "4", offered=TEMPLATE.splitlines())
    assert text == TEMPLATE.replace("# parallel: 10    # builders", "parallel: 4       # builders")
    text = with_value(text, ["gates", "design"], "none", offered=TEMPLATE.splitlines())
    assert "gates: {design: none}\n#   design: person" in text


def test_a_comment_that_only_looks_like_a_setting_stays() -> None:
    text = "# parallel: we tried 20, too many\n"
    assert with_value(text, ["parallel"], "4", offered=TEMPLATE.splitlines()) == f"{text}parallel: 4\n"


@pytest.mark.parametrize(
    "value", ["", "off", "a: b", "#", "[a", "'", '"', "\n", "- a", "é ☃", "*x", "a #b", " a ", "null"]
)
def test_any_text_is_read_back_as_it_was_set(value: str) -> None:
    for path in (["key"], ["map", "key"]):
        for text in ("", "key: old  # why\nmap:\n  key: 1\n", "map: {key: 1}\n", "map:\n"):
            values = Document(with_value(text, path, value)).values
            assert (values["map"] if len(path) == 2 else values)["key"] == value


def test_what_can_not_be_kept_is_refused() -> None:
    with pytest.raises(NotEditableError):
        with_value("base: &b {x: 1}\nenv: *b\n", ["env", "x"], "2")
