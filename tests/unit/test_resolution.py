"""Resolutions judged line by line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lib.resolution import Disputed, objections, read_account

BASE = "import os\n\ndef main():\n    return 1\n"
OURS = "import os\nimport json\n\ndef main():\n    return 1\n"
THEIRS = "import os\nimport sys\n\ndef main():\n    return 1\n"
BOTH = "import os\nimport json\nimport sys\n\ndef main():\n    return 1\n"


def judged(result: str | None, said: str = "", **more: Any) -> str:
    values = {"base": BASE, "ours": OURS, "theirs": THEIRS} | more
    file = Disputed("app.py", result=result, **values)
    return "; ".join(objections([file], read_account(said), ("left", "right")))


def account(key: str, text: str, why: str = "on purpose", file: str = "app.py") -> str:
    return "Done.\n```json\n" + json.dumps({key: [{"file": file, "text": text, "why": why}]}) + "\n```"


@pytest.mark.parametrize(
    "result",
    [BOTH, BOTH.replace("    return", "        return"), BOTH.replace("json", "json,"), BOTH.replace("\n", "\r\n")],
    ids=["both", "indented", "comma", "crlf"],
)
def test_what_has_all_of_both_is_accepted(result: str) -> None:
    assert judged(result) == ""


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (OURS, "lines of right are missing"),
        (THEIRS, "lines of left are missing"),
        (BOTH.replace("def main():\n", ""), "def main():"),
        (BOTH + "Here you are.\n", "neither side has these lines"),
        (BOTH + "<<<<<<< HEAD\n", "<<<<<<< HEAD"),
        (BOTH.replace("import sys\n", "import sys\nimport sys\n"), "neither side has these lines"),
        ("", "lines of left are missing"),
        (None, "gone, though both sides have it"),
    ],
)
def test_what_lost_or_invented_a_line_is_refused(result: str | None, words: str) -> None:
    assert words in judged(result)


def test_a_line_that_one_side_removed_may_go() -> None:
    assert judged("import json\n\ndef main():\n    return 1\n", theirs="def main():\n    return 1\n") == ""


def test_the_same_line_added_by_both_is_needed_once() -> None:
    assert judged(OURS, theirs=OURS) == ""


def test_an_account_covers_the_lines_it_quotes_and_no_others() -> None:
    assert judged(OURS, account("removed", "import sys")) == ""
    assert "import json" in judged("import os\n\ndef main():\n    return 1\n", account("removed", "import sys"))
    assert judged(BOTH + "# joined\n", account("added", "  # joined")) == ""


@pytest.mark.parametrize(
    "said",
    [
        account("removed", "import sys", why=" "),
        account("removed", "import sys", file="other.py"),
        account("removed", "everything of right"),
        '{"removed": "all of it"}',
        '{"removed": [{"file": "app.py", "text": "import sys"',
        "I dropped import sys on purpose.",
        '{"removed": [' + "9" * 5000 + "]}",
    ],
)
def test_an_account_that_does_not_name_file_line_and_reason_covers_nothing(said: str) -> None:
    assert "import sys" in judged(OURS, said)


def test_a_file_that_one_side_deleted_may_be_kept_or_accounted_for() -> None:
    assert judged(OURS, theirs=None) == ""
    assert "which left has, is gone" in judged(None, theirs=None)
    assert judged(None, account("removed", "", why="it moved to web.py"), theirs=None) == ""


def test_giving_up_is_read_with_its_reason() -> None:
    assert read_account('I looked.\n{"cannot": "two titles"}').cannot == "two titles"
