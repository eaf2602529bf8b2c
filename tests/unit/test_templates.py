"""Prompts carry their values as data, and a project may bring its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lib.errors import RelayError
from lib.project.templates import render_prompt, shipped

COMPONENT = {"id": "add", "title": "Addition", "purpose": "Adds.", "files": ["add.py"], "depends_on": ["base"],
             "interfaces": {"add": "(a, b) -> ü"}, "acceptance": ["It adds."], "verify": None}  # fmt: skip
BARE = {"id": "bare", "title": "", "purpose": "", "files": [], "depends_on": [], "interfaces": None, "acceptance": [],
        "verify": None}  # fmt: skip
VALUES: dict[str, dict[str, Any]] = {
    "architect": {"requirement": "Build it", "survey": "README.md", "feedback": "", "errors": [], "previous": "",
                  "worktree": "/w"},
    "builder": {"requirement": "Build it", "component": COMPONENT, "siblings": [BARE], "verify": "make test",
                "feedback": "", "attempt": 1, "resumed": False, "ports": [20000, 20001], "worktree": "/w",
                "outside": "such a change is sent back to you.", "skills": []},
    "reviewer": {"requirement": "Build it", "component": COMPONENT, "verify": "make test", "base": "b" * 40,
                 "tip": "c" * 40, "diff": "+x", "summary": "add.py | 1 +", "is_cut": False, "errors": [],
                 "worktree": "/w"},
    "resolver": {"requirement": "Build it", "attempt": 1, "paths": [{"path": "add.py", "kind": "content"}],
                 "base_branch": "main", "theirs": COMPONENT, "ours": [BARE], "verify": "make test", "reasons": [],
                 "feedback": "", "worktree": "/w"},
    "step": {"task": "Find the cause", "assigned_role": "reviewer", "goes_on": False, "interrupted": False,
             "questions": [], "feedback": "", "errors": [], "schema": '{"type": "object"}', "reads": True,
             "verified": False, "minutes": 5, "worktree": "/w"},
}  # fmt: skip
#: Two values of each that somebody else wrote.
FOREIGN = {"architect": ("requirement", "feedback"), "builder": ("requirement", "feedback"),
           "reviewer": ("requirement", "diff"), "resolver": ("requirement", "feedback"),
           "step": ("task", "feedback")}  # fmt: skip
HOSTILE = "{{ 7 * 7 }} {% raw %} {# no #} $(touch x) `id` ; <b> &amp; \x1b"


def prompt(role: str, folder: Path, **changes: Any) -> str:
    return render_prompt(role, VALUES[role] | changes, folder / "prompts")


def test_every_shipped_prompt_is_rendered_here() -> None:
    assert {file.name for file in shipped("prompts").iterdir()} == {f"{role}.md.j2" for role in VALUES}


@pytest.mark.parametrize("role", VALUES)
def test_what_looks_like_a_template_in_a_value_stays_as_it_is(role: str, tmp_path: Path) -> None:
    text = prompt(role, tmp_path, **dict.fromkeys(FOREIGN[role], HOSTILE))
    assert text.count(HOSTILE) == 2


def test_the_architect_is_given_all_that_it_is_to_use(tmp_path: Path) -> None:
    plain = prompt("architect", tmp_path)
    assert "<feedback>" not in plain
    assert "<errors>" not in plain
    text = prompt("architect", tmp_path, feedback="split it", errors=["a cycle", "no id"], previous='{"old": 1}')
    for part in ("Build it", "README.md", "split it", "- a cycle\n- no id", '{"old": 1}', '"components"', "/w"):
        assert part in text


def test_the_builder_is_given_all_that_it_is_to_use(tmp_path: Path) -> None:
    plain = prompt("builder", tmp_path)
    for part in ("`add`", "Addition", "Adds.", "- add.py", '"add": "(a, b) -> ü"', "- It adds.", "## bare", "make test",
                 "20000 to 20001", "/w", "already: base", "files that are yours", "sent back to you",
                 "Never delete a file that is not yours"):  # fmt: skip
        assert part in plain
    assert "attempt" not in plain.split("</component>")[0]
    again = prompt("builder", tmp_path, attempt=2, resumed=True, feedback="1 test failed")
    assert "This is attempt 2" in again
    assert "1 test failed" in again


def test_a_builder_is_given_the_skills_it_was_named(tmp_path: Path) -> None:
    text = prompt("builder", tmp_path, skills=[{"name": "house-style", "text": "Tabs. {{ never }}"}])
    assert '<skill name="house-style">\nTabs. {{ never }}\n</skill>' in text


def test_the_reviewer_is_given_all_that_it_is_to_use(tmp_path: Path) -> None:
    plain = prompt("reviewer", tmp_path)
    command = f"git diff {'b' * 12} {'c' * 12}"
    for part in ("`add`", "Adds.", "- It adds.", "+x", "add.py | 1 +", "make test", command, '"verdict"', "/w"):
        assert part in plain
    assert "<errors>" not in plain
    assert "no JSON" in prompt("reviewer", tmp_path, errors=["no JSON"])
    assert "changed, in part (" in prompt("reviewer", tmp_path, is_cut=True)


def test_the_resolver_is_given_all_that_it_is_to_use(tmp_path: Path) -> None:
    plain = prompt("resolver", tmp_path)
    for part in (
        "- add.py (content)",
        "## bare",
        "## add: Addition",
        "- It adds.",
        "make test",
        '"removed"',
        '"cannot"',
        "/w",
    ):
        assert part in plain
    again = prompt("resolver", tmp_path, attempt=2, reasons=["a marker", "a line"], feedback="left first", theirs=None)
    for part in ("- a marker\n- a line", "left first", "made on main meanwhile"):
        assert part in again


def test_a_step_of_a_workflow_is_given_all_that_it_is_to_use(tmp_path: Path) -> None:
    plain = prompt("step", tmp_path)
    for part in ("Find the cause", "as the reviewer", '{"type": "object"}', "Change no file", "5 minutes", "/w"):
        assert part in plain
    for part in ("<feedback>", "<errors>", "None", "A command judges"):
        assert part not in plain
    writes = prompt("step", tmp_path, reads=False, verified=True, schema="", feedback="1 test failed")
    for part in ("committed for you", "A command judges", "End with your result", "1 test failed", "was tried before"):
        assert part in writes
    again = prompt("step", tmp_path, goes_on=True, questions=["Which one?"], feedback="The first")
    for part in ("You go on", "- Which one?", "<answer>\nThe first\n</answer>", "Find the cause"):
        assert part in again
    wrong = prompt("step", tmp_path, goes_on=True, errors=["cause: missing"])
    assert "- cause: missing" in wrong
    assert "Find the cause" not in wrong


def test_a_builder_of_little_is_not_told_of_what_is_not_there(tmp_path: Path) -> None:
    text = prompt("builder", tmp_path, component=BARE, siblings=[], verify="", ports=[])
    for part in ("None", "Files that are yours", "siblings", "judged by", "ports"):
        assert part not in text


class TestOverride:
    def write(self, folder: Path, text: str) -> Path:
        file = folder / "prompts" / "builder.md.j2"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file

    def error(self, folder: Path) -> str:
        with pytest.raises(RelayError) as caught:
            prompt("builder", folder)
        assert caught.value.remedy.startswith("$EDITOR ")
        return caught.value.message

    def test_wins_over_the_shipped_one(self, tmp_path: Path) -> None:
        self.write(tmp_path, "Build {{ component.id }}.")
        assert prompt("builder", tmp_path) == "Build add.\n"

    def test_is_read_at_each_turn(self, tmp_path: Path) -> None:
        texts = ["Just do it", "Do it better", None]
        told = []
        for text in texts:
            if text is None:
                (tmp_path / "prompts" / "builder.md.j2").unlink()
            else:
                self.write(tmp_path, text)
            told.append(prompt("builder", tmp_path))
        assert told == ["Just do it\n", "Do it better\n", prompt("builder", tmp_path / "other")]

    def test_can_build_on_the_shipped_one(self, tmp_path: Path) -> None:
        self.write(tmp_path, '{% include "shipped/builder.md.j2" %}\nSign your work.\n')
        text = prompt("builder", tmp_path)
        assert "Adds." in text
        assert text.endswith("Sign your work.\n")

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("one\n{% if %}\n", "Expected"),
            ("one\n{{ componnet.id }}\n", "'componnet' is undefined"),
            ("one\n{{ component.titel }}\n", "titel"),
            ("one\n{{ 1 // 0 }}\n", "division"),
            ("one\n{{ component.__class__.__mro__ }}\n", "unsafe"),
        ],
    )
    def test_is_told_with_file_and_line_when_broken(self, tmp_path: Path, text: str, problem: str) -> None:
        file = self.write(tmp_path, text)
        message = self.error(tmp_path)
        assert message.startswith(f"{file}:2: ")
        assert problem in message


def test_a_role_without_a_prompt_is_told_where_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(RelayError) as caught:
        render_prompt("gardener", {}, tmp_path)
    assert caught.value.code == "prompt_missing"
    assert str(tmp_path / "gardener.md.j2") in caught.value.remedy


def test_a_builder_that_goes_on_is_told_only_what_is_new(tmp_path: Path) -> None:
    text = prompt("builder", tmp_path, goes_on=True, interrupted=True)
    assert "You were interrupted; go on." in text
    assert "Build it" not in text
    text = prompt("builder", tmp_path, goes_on=True, interrupted=False, feedback="1 test failed")
    assert "1 test failed" in text
    assert "make test" in text
    assert "Build it" not in text
    text = prompt("builder", tmp_path, goes_on=True, interrupted=False, questions=["which year?"], feedback="1999")
    assert "- which year?" in text
    assert "<answer>\n1999\n</answer>" in text


def test_a_builder_is_told_how_work_is_done_here_and_of_others_only_where_there_are_some(tmp_path: Path) -> None:
    text = prompt("builder", tmp_path, guides=["AGENTS.md", "CONTRIBUTING.md"], setup="make deps", contained=True,
                  minutes=30, reports=[{"id": "base", "text": "add() rounds"}])  # fmt: skip
    for part in ("Read AGENTS.md and CONTRIBUTING.md", "`make deps`", "Git can only read here", "You have 30 minutes",
                 '<report from="base">\nadd() rounds', "Other assistants build"):  # fmt: skip
        assert part in text
    alone = prompt("builder", tmp_path, siblings=[], feedback="")
    for part in ("Other assistants", "of which you build a part", "Git can only read", "Read AGENTS.md", "minutes"):
        assert part not in alone


def test_the_architect_is_told_how_it_is_built_and_may_ask(tmp_path: Path) -> None:
    text = prompt("architect", tmp_path, verify="make check", setup="make deps", parallel=4, guides=["CLAUDE.md"])
    for part in ("`make check`", "`make deps`", "At most 4 components", "Read CLAUDE.md", '{"questions": ["…"]}'):
        assert part in text
    text = prompt("architect", tmp_path, goes_on=True, questions=["which year?"], feedback="1999")
    assert "A person answers: 1999" in text
    assert "Build it" not in text
    text = prompt("architect", tmp_path, goes_on=True, errors=["a cycle"])
    assert "- a cycle" in text
    assert "Build it" not in text


def test_the_reviewer_and_the_resolver_are_told_what_builders_said(tmp_path: Path) -> None:
    text = prompt("reviewer", tmp_path, report="It rounds.", earlier=["add.py:1: floor"], siblings=[COMPONENT])
    for part in ("It rounds.", "- add.py:1: floor", '<sibling id="add">'):
        assert part in text
    assert "Build it" not in prompt("reviewer", tmp_path, goes_on=True, errors=["no JSON"])
    text = prompt("resolver", tmp_path, theirs={**COMPONENT, "report": "It rounds."})
    assert "It rounds." in text
    again = prompt("resolver", tmp_path, goes_on=True, reasons=["a marker is left"])
    assert "- a marker is left" in again
    assert "Build it" not in again
