"""Resolutions, good and bad, judged line by line."""

from __future__ import annotations

import json
from textwrap import dedent
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.conflicts.account import Disputed, Judgement, judge, read_account

BASE = "import os\n\ndef main():\n    return 1\n"
OURS = "import os\nimport json\n\ndef main():\n    return 1\n"
THEIRS = "import os\nimport sys\n\ndef main():\n    return 1\n"
BOTH = "import os\nimport json\nimport sys\n\ndef main():\n    return 1\n"
ACCEPTED = Judgement()


def judged(result: str | None, said: str = "", *others: Disputed, path: str = "app.py", **more: Any) -> Judgement:
    values = {"base": BASE, "ours": OURS, "theirs": THEIRS} | more
    file = Disputed(path, result=result, **values)
    return judge([file, *others], read_account(said), ("left", "right"))


def account(key: str, text: str, why: str = "on purpose", file: str = "app.py") -> str:
    return "Done.\n```json\n" + json.dumps({key: [{"file": file, "text": text, "why": why}]}) + "\n```"


def replaced(removed: str, added: str, path: str = "app.py", why: str = "as one") -> str:
    lists = {"removed": removed, "added": added}
    return json.dumps({key: [{"file": path, "text": text, "why": why}] for key, text in lists.items()})


@pytest.mark.parametrize(
    "result",
    [BOTH, BOTH.replace("    return", "        return"), BOTH.replace("json", "json,"), BOTH.replace("\n", "\r\n")],
    ids=["both", "indented", "comma", "crlf"],
)
def test_what_has_all_of_both_is_accepted(result: str) -> None:
    assert judged(result) == ACCEPTED


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
    assert words in "; ".join(judged(result).objections)


#: Base, ours, theirs, and results by name.
FUNCTIONS: Final = (
    "import os\n",
    "import os\ndef left():\n    a = 1\n    return a\n",
    "import os\ndef right():\n    b = 2\n    return b\n",
)
BRACES: Final = (
    "start();\n",
    "start();\nvoid left()\n{\n    a = 1;\n    use(a);\n}\n",
    "start();\nvoid right()\n{\n    b = 2;\n    use(b);\n}\n",
)
BLOCK: Final = (
    "def main():\n    if ready:\n        begin()\n    end()\n",
    "def main():\n    if ready:\n        begin()\n        left()\n    end()\n",
    "def main():\n    if ready:\n        begin()\n        right()\n    end()\n",
)
WRAPPED: Final = (
    "def main():\n    begin()\n    end()\n",
    "def main():\n    try:\n        begin()\n        end()\n    finally:\n        close()\n",
    "def main():\n    begin()\n    middle()\n    end()\n",
)
SECTIONS: Final = ("[tool]\nname = x\n", "[tool]\nname = x\n[left]\na = 1\n", "[tool]\nname = x\n[right]\nb = 2\n")
TITLES: Final = ("# It\n", "# It\n## Left\nSays left.\n", "# It\n## Right\nSays right.\n")
LISTED: Final = ("import m\n", "import m\nimport b\nimport d\n", "import m\nimport a\nimport c\n")
MOVED: Final = ("a()\nb()\nlast()\n", "a()\nleft()\nb()\nlast()\n", "a()\nright()\nb()\nlast()\n")
HEADER: Final = ("def f(a):\n    one()\n", "def f(a, b):\n    one()\n", "def f(a):\n    one()\n    two()\n")
REMOVED: Final = ("get(verify=False)\nrest()\n", "get(verify=True)\nrest()\n", "get(verify=False)\nlog()\nrest()\n")

GOOD: Final = {
    "concatenated": (FUNCTIONS, FUNCTIONS[1] + FUNCTIONS[2].removeprefix("import os\n")),
    "concatenated the other way": (FUNCTIONS, FUNCTIONS[2] + FUNCTIONS[1].removeprefix("import os\n")),
    "braces": (BRACES, BRACES[1] + BRACES[2].removeprefix("start();\n")),
    "interleaved": (LISTED, "import m\nimport a\nimport b\nimport c\nimport d\n"),
    "both in one block": (BLOCK, BLOCK[1].replace("left()\n", "left()\n        right()\n")),
    "indented further as a whole": (BLOCK, BLOCK[1].replace("left()", "left()\n        right()").replace("    ", "\t")),
    "put into what the other side wrapped": (WRAPPED, WRAPPED[1].replace("begin()", "begin()\n        middle()")),
    "the other side's new header": (HEADER, "def f(a, b):\n    one()\n    two()\n"),
    "sections": (SECTIONS, "[tool]\nname = x\n[right]\nb = 2\n[left]\na = 1\n"),
    "titles": (TITLES, "# It\n## Left\nSays left.\n## Right\nSays right.\n"),
    "a removal kept": (REMOVED, "get(verify=True)\nlog()\nrest()\n"),
}
BAD: Final = {
    "bodies swapped": (
        FUNCTIONS, "import os\ndef left():\n    b = 2\n    return b\ndef right():\n    a = 1\n    return a\n",
    ),
    "headers first": (
        FUNCTIONS, "import os\ndef left():\ndef right():\n    a = 1\n    return a\n    b = 2\n    return b\n",
    ),
    "order in a body": (
        FUNCTIONS, "import os\ndef left():\n    return a\n    a = 1\ndef right():\n    b = 2\n    return b\n",
    ),
    "one side within the other": (
        FUNCTIONS,
        "import os\ndef left():\n    a = 1\n    def right():\n        b = 2\n        return b\n    return a\n",
    ),
    "bodies swapped in braces": (
        BRACES, "start();\nvoid left()\n{\n    b = 2;\n    use(b);\n}\nvoid right()\n{\n    a = 1;\n    use(a);\n}\n",
    ),
    "dedented in part": (FUNCTIONS, FUNCTIONS[1].replace("    return", "return") + FUNCTIONS[2][10:]),
    "out of its block": (BLOCK, BLOCK[1].replace("left()\n", "left()\n    right()\n")),
    "out of its function": (BLOCK, BLOCK[1].replace("left()\n", "left()\nright()\n")),
    "context into the block": (BLOCK, BLOCK[1].replace("left()\n    end", "left()\n        right()\n        end")),
    "out of what the other side wrapped": (WRAPPED, WRAPPED[1].replace("begin()", "begin()\n    middle()")),
    "before its context": (MOVED, "left()\na()\nright()\nb()\nlast()\n"),
    "after its context": (MOVED, "a()\nleft()\nb()\nlast()\nright()\n"),
    "context swapped": (MOVED, "a()\nleft()\nright()\nlast()\nb()\n"),
    "sections mixed": (SECTIONS, "[tool]\nname = x\n[left]\n[right]\na = 1\nb = 2\n"),
    "sections swapped": (SECTIONS, "[tool]\nname = x\n[left]\nb = 2\n[right]\na = 1\n"),
    "titles mixed": (TITLES, "# It\n## Left\n## Right\nSays left.\nSays right.\n"),
    "a removal undone": (REMOVED, "get(verify=True)\nget(verify=False)\nlog()\nrest()\n"),
    "short markers": (LISTED, "import m\n<<<< HEAD\nimport b\nimport d\n====\nimport a\nimport c\n>>>> right\n"),
    "long markers": (LISTED, "import m\n" + "<" * 40 + "\nimport b\nimport d\nimport a\nimport c\n"),
    "chatter": (LISTED, "import m\nI kept both.\nimport b\nimport d\nimport a\nimport c\n"),
}  # fmt: skip
_FILES = {"sections": "a.toml", "titles": "a.md"}


def of(case: tuple[tuple[str, str, str], str], name: str, said: str = "") -> Judgement:
    (base, ours, theirs), result = case
    path = _FILES.get(name.split(maxsplit=1)[0], "app.py")
    return judged(result, said, path=path, base=base, ours=ours, theirs=theirs)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_resolution_is_accepted(name: str) -> None:
    assert of(GOOD[name], name) == ACCEPTED


@pytest.mark.parametrize("name", BAD)
def test_a_bad_resolution_is_refused(name: str) -> None:
    assert of(BAD[name], name).objections


@pytest.mark.parametrize("name", BAD)
def test_no_reason_makes_a_bad_resolution_a_good_one(name: str) -> None:
    (base, ours, theirs), result = BAD[name]
    everything = f"{base}\n{ours}\n{theirs}\n{result}"
    path = _FILES.get(name.split(maxsplit=1)[0], "app.py")
    found = of(BAD[name], name, replaced(everything, everything, path, "needed"))
    assert found.objections or found.questions


def test_conflict_markers_are_refused_with_any_reason() -> None:
    assert judged(BOTH + "<<<<< HEAD\n", account("added", "<<<<< HEAD", "needed")).objections


#: Both sides of a conflict, its result, the lines left out and those put in: all that the latter say is in the former.
EXPLAINED: Final = {
    "imports joined": (
        ("import a\n", "import a\nfrom shop import cart\n", "import a\nfrom shop import user\n"),
        "import a\nfrom shop import cart, user\n",
        "from shop import cart\nfrom shop import user", "from shop import cart, user",
    ),
    "conditions joined": (
        ("go()\n", "if left:\n    go()\n", "if right:\n    go()\n"), "if left and right:\n    go()\n",
        "if left:\nif right:", "if left and right:",
    ),
    "parameters joined": (
        ("def f(x):\n    go()\n", "def f(x, a):\n    go()\n", "def f(x, b):\n    go()\n"),
        "def f(x, a, b):\n    go()\n",
        "def f(x, a):\ndef f(x, b):", "def f(x, a, b):",
    ),
    "a list in lines": (
        ("call(a)\n", "call(\n    a,\n    b,\n)\n", "call(a, c)\n"), "call(\n    a,\n    b,\n    c,\n)\n",
        "call(a, c)", "c",
    ),
    "renamed": (
        ("old(1)\n", "new(1)\n", "old(1)\nx = old(2)\n"), "new(1)\nx = new(2)\n", "x = old(2)", "x = new(2)",
    ),
    "the other side says more": (
        ("a()\n", "a()\nuse(1)\n", "a()\nuse(1, 2)\n"), "a()\nuse(1, 2)\n", "use(1)", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPLAINED)
def test_what_is_still_said_in_other_lines_is_accepted_and_told_with_the_reason(name: str) -> None:
    (base, ours, theirs), result, removed, added = EXPLAINED[name]
    found = judged(result, replaced(removed, added), base=base, ours=ours, theirs=theirs)
    assert (found.objections, found.questions) == ([], [])
    assert len(found.told) == len(removed.splitlines()) + len(added.splitlines())
    assert all('"as one"' in told for told in found.told)
    assert judged(result, base=base, ours=ours, theirs=theirs).objections


#: Like those above, but something is not said any more, or was never said.
DROPPED: Final = {
    "an import that only looks alike": ((BASE, OURS, THEIRS), OURS, "import sys", ""),
    "a feature": (
        FUNCTIONS, FUNCTIONS[1], "def right():\n    b = 2\n    return b", "",
    ),
    "a value": (("v = 1\n", "v = 2\n", "v = 3\n"), "v = 3\n", "v = 2", ""),
    "commented out": (MOVED, "a()\nleft()\n# right()\nb()\nlast()\n", "right()", "# right()"),
    "commented out at the end": (MOVED, "a()\nleft()\npass  # right()\nb()\nlast()\n", "right()", "pass  # right()"),
    "in a string": (MOVED, 'a()\nleft()\n"right()"\nb()\nlast()\n', "right()", '"right()"'),
    "negated": (("go()\n", "if left:\n    go()\n", "go()\nend()\n"), "if not left:\n    go()\nend()\n", "if left:",
                "if not left:"),
    "never true": (("go()\n", "if left:\n    go()\n", "go()\nend()\n"), "if left and False:\n    go()\nend()\n",
                   "if left:", "if left and False:"),
    "turned around": (("go()\n", "f(a, b)\n", "go()\nend()\n"), "f(b, a)\nend()\n", "f(a, b)", "f(b, a)"),
    "added for no reason": (MOVED, "a()\nleft()\nright()\nerase()\nb()\nlast()\n", "", "erase()"),
    "a string around it": (
        MOVED, 'a()\nleft()\n"""\nright()\n"""\nb()\nlast()\n', "", '"""',
    ),
    "twice": (MOVED, "a()\nleft()\nright()\nright()\nb()\nlast()\n", "", "right()"),
    "a line of the base": (MOVED, "left()\nright()\nb()\nlast()\n", "a()", ""),
    "a removal undone": (REMOVED, BAD["a removal undone"][1], "", "get(verify=False)"),
    "chatter": (LISTED, BAD["chatter"][1], "", "I kept both."),
}  # fmt: skip


@pytest.mark.parametrize("name", DROPPED)
@pytest.mark.parametrize("why", ["n/a", "needed"])
def test_what_is_not_said_any_more_is_for_a_person_with_the_line_and_the_reason(name: str, why: str) -> None:
    (base, ours, theirs), result, removed, added = DROPPED[name]
    found = judged(result, replaced(removed, added, why=why), base=base, ours=ours, theirs=theirs)
    assert found.objections == []
    assert found.questions
    assert all(f'"{why}"' in question for question in found.questions)
    assert (removed or added).splitlines()[0] in "\n".join(found.questions)


def test_a_line_that_one_side_removed_may_go() -> None:
    assert judged("import json\n\ndef main():\n    return 1\n", theirs="def main():\n    return 1\n") == ACCEPTED


def test_the_same_line_added_by_both_is_needed_once() -> None:
    assert judged(OURS, theirs=OURS) == ACCEPTED


def test_an_account_covers_the_lines_it_quotes_and_no_others() -> None:
    assert judged(OURS, account("removed", "import sys")).objections == []
    lost = judged("import os\n\ndef main():\n    return 1\n", account("removed", "import sys"))
    assert "import json" in lost.objections[0]
    assert "import sys" not in lost.objections[0]


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
    assert "import sys" in judged(OURS, said).objections[0]


def test_a_file_that_one_side_deleted_may_be_kept() -> None:
    assert judged(OURS, theirs=None) == ACCEPTED
    assert "which left has, is gone" in judged(None, theirs=None).objections[0]


def test_a_file_that_a_side_changed_is_deleted_by_a_person_only() -> None:
    gone = account("removed", "", why="it moved to web.py")
    found = judged(None, gone, theirs=None)
    assert "import json" in found.questions[0]
    assert '"it moved to web.py"' in found.questions[0]
    assert judged(None, gone, ours=BASE, theirs=None) == Judgement(told=['app.py is gone ("it moved to web.py")'])


def test_a_file_may_go_when_all_that_it_said_is_in_another_one() -> None:
    other = Disputed("web.py", None, None, OURS, OURS)
    found = judged(None, account("removed", "", why="it has the other name"), other, base=None, ours=OURS, theirs=None)
    assert (found.objections, found.questions, len(found.told)) == ([], [], 1)


def test_a_file_that_neither_side_has_is_not_left() -> None:
    assert "neither side has it" in judged(BASE, ours=None, theirs=None).objections[0]


def test_giving_up_is_read_with_its_reason() -> None:
    assert read_account('I looked.\n{"cannot": "two titles"}').cannot == "two titles"


def test_a_file_too_long_to_be_judged_is_for_a_person() -> None:
    long = "".join(f"line {number}\n" for number in range(20_001))
    assert "more than 20000 lines" in judged(long, base=long, ours=long, theirs=long).questions[0]


# --- what holds for every merge --------------------------------------------------------------------------------------

WORDS = st.text("abcdxyz", min_size=2, max_size=4)
HUNK = st.lists(WORDS, max_size=3)


@st.composite
def merges(draw: st.DrawFn) -> tuple[list[str], list[str], list[str], list[str]]:
    """Lines of a base, two sides and the merge of them: hunks by turns, with a line between that both keep."""
    base: list[str] = []
    ours: list[str] = []
    theirs: list[str] = []
    merged: list[str] = []
    for number in range(draw(st.integers(1, 6))):
        indent = "    " * draw(st.integers(0, 2))
        old, new = ([f"{indent}{word}{number}{kind}" for word in dict.fromkeys(draw(HUNK))] for kind in "on")
        changed = draw(st.sampled_from(["ours", "theirs", "neither"]))
        for lines, is_new in (
            (base, False), (ours, changed == "ours"), (theirs, changed == "theirs"), (merged, changed != "neither"),
        ):  # fmt: skip
            lines += [*(new if is_new else old), f"kept {number}"]
    return base, ours, theirs, merged


def judged_lines(base: list[str], ours: list[str], theirs: list[str], result: list[str], said: str = "") -> Judgement:
    texts = ["".join(f"{line}\n" for line in lines) for lines in (base, ours, theirs, result)]
    return judge([Disputed("app.py", *texts)], read_account(said), ("left", "right"))


@given(merges())
def test_what_git_would_merge_is_accepted(case: tuple[list[str], list[str], list[str], list[str]]) -> None:
    assert judged_lines(*case) == ACCEPTED


@given(merges(), st.data())
def test_no_line_that_a_side_added_goes_in_silence(
    case: tuple[list[str], list[str], list[str], list[str]], data: st.DataObject
) -> None:
    base, ours, theirs, merged = case
    added = [place for place, line in enumerate(merged) if line not in base]
    if not added:
        return
    place = data.draw(st.sampled_from(added))
    line, result = merged[place], merged[:place] + merged[place + 1 :]
    assert judged_lines(base, ours, theirs, result).objections
    explained = judged_lines(base, ours, theirs, result, account("removed", line, "n/a"))
    assert explained.questions or explained.objections


@given(merges(), st.data())
def test_no_two_lines_of_a_side_change_places(
    case: tuple[list[str], list[str], list[str], list[str]], data: st.DataObject
) -> None:
    base, ours, theirs, merged = case
    place = data.draw(st.integers(0, len(merged) - 1))
    other = data.draw(st.integers(0, len(merged) - 1))
    result = [*merged]
    result[place], result[other] = result[other], result[place]
    orders = [[[line for line in lines if line in side] for side in (ours, theirs)] for lines in (result, merged)]
    if orders[0] != orders[1]:
        assert judged_lines(base, ours, theirs, result).objections


def test_texts_of_the_table_are_what_they_say() -> None:
    for name, (texts, result) in (GOOD | BAD).items():
        assert all(text == dedent(text) for text in (*texts, result)), name
