"""Messages, docs and comments say things in plain words: these were found hard to read, each with better ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import ROOT
from texts import literals, prose

#: In comments and docstrings, too.
UNPLAIN_ANYWHERE = {
    r"\b(is|are|was|were|be|been|being) told\b": "is shown, is known",
    r"\banew\b": "again",
    r"\bin the way\b": "blocks",
    r"\bas far as\b": "if, where",
    r"\bstands\b|\bas (it|they) stand\b|\bstand(ing)? still\b": "is, means, stopped",
}
#: In what a person reads.
UNPLAIN = UNPLAIN_ANYWHERE | {
    r"\bci (is|hands|answers|has|must)\b|\b(ask|asks|to|until|unless|when) ci\b|\bcode has the run": "you, Relay",
    r"\b[Mm]end(s|ed|ing)?\b": "fix",
    r"\bin vain\b": "without an answer",
    r"\b[Hh]and(s|ed)? back\b": "approve, retry, go on",
    r"\btried again\b": "retried",
    r"\bno business\b|\bmay help\b": "say it",
}
#: Names and words of git, and of state.json's own fields.
_QUOTED = re.compile(r"`[^`]*`|\"[^\"]*\"")
#: A comment begins with "#".
_BEGINS = re.compile(r"(?:What|Whether|Whose|Who|Which|How|Where|When|Why|Those|That)\b")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "templates").rglob("*.j2")])


def unplain(text: str, words: Mapping[str, str] = UNPLAIN) -> list[str]:
    plain = _QUOTED.sub("", text)
    return [f"{found[0]!r}: {better}" for each, better in words.items() for found in re.finditer(each, plain)]


def test_what_is_unplain_is_found() -> None:
    assert unplain("ci is asked to mend it; `ci` stays") == ["'ci is': you, Relay", "'mend': fix"]


def test_messages_are_plain() -> None:
    wrong = [f"{place}: {why}" for place, text in literals() if " " in text for why in unplain(text)]
    assert not wrong, "\n".join(wrong)


def test_comments_are_plain() -> None:
    wrong = [f"{place}: {why}" for place, text in prose() for why in unplain(text, UNPLAIN_ANYWHERE)]
    assert not wrong, "\n".join(wrong)


def test_docstrings_begin_with_a_verb_or_a_noun() -> None:
    wrong = [f"{place}: {found[0]!r}" for place, text in prose() if (found := _BEGINS.match(text))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_are_plain(page: Path) -> None:
    lines = enumerate(page.read_text().splitlines(), 1)
    wrong = [f"{page.name}:{number}: {why}" for number, line in lines for why in unplain(line)]
    assert not wrong, "\n".join(wrong)
