"""Playbooks are read with every mistake told by line, and say what each turn does."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.design.document import check, parse_design
from lib.errors import RelayError
from lib.playbook.book import Playbook, find, matching, shipped_names, steps_for
from lib.playbook.reader import read_playbook
from lib.project.templates import render_prompt

BOOK = """\
name: greeting
match: [greet, say hello]
architect:
  - say: "First. {feedback}"
    design: {components: [{id: hello}]}
  - on_feedback: [split, two]
    say: "You want: {feedback}"
    design: {summary: "Now: {feedback}", components: [{id: hello}, {id: bye}]}
  - on_errors: true
    say: Mended.
builders:
  hello:
    attempts:
      1:
        - fail: {status: 3, say: no luck}
      3:
        - write: {hello.py: "print('hello')"}
  bye:
    - fail: {times: 2}
    - say: good bye
"""


@pytest.fixture
def book(tmp_path: Path) -> Playbook:
    file = tmp_path / "greeting.yaml"
    file.write_text(BOOK)
    return read_playbook(file)


def architect_says(book: Playbook, *, feedback: str = "", errors: tuple[str, ...] = ()) -> str:
    """Its final message after the prompt that ships."""
    values = {
        "requirement": "r",
        "survey": "s",
        "feedback": feedback,
        "errors": errors,
        "previous": "",
        "worktree": "/",
    }
    prompt = render_prompt("architect", values, book.file.parent / "none")
    [(action, text)] = steps_for(book, "architect", "", 1, prompt)
    assert action == "say"
    return str(text)


class TestTurns:
    def test_the_first_answer_is_the_one_without_a_condition(self, book: Playbook) -> None:
        text = architect_says(book)
        assert text.startswith("First. \n")
        assert [part.id for part in parse_design(text).components] == ["hello"]

    def test_words_of_the_feedback_choose_another_and_reach_it(self, book: Playbook) -> None:
        text = architect_says(book, feedback='Split\x1e it,\n"please" \\o/')
        assert 'You want: Split it,\n"please" \\o/' in text
        parsed = parse_design(text)
        assert parsed.summary == 'Now: Split\x1e it,\n"please" \\o/'
        assert len(parsed.components) == 2

    def test_other_feedback_keeps_the_first_answer(self, book: Playbook) -> None:
        assert architect_says(book, feedback="nicer").startswith("First. nicer")

    def test_errors_of_a_design_choose_another(self, book: Playbook) -> None:
        assert architect_says(book, errors=("a cycle",)) == "Mended."
        assert architect_says(book, errors=("a cycle",), feedback="split it") == "Mended."

    def test_an_attempt_that_is_not_listed_plays_the_last_one_before(self, book: Playbook) -> None:
        failure = [("fail", "3", "no luck")]
        assert steps_for(book, "builder", "hello", 1, "") == failure
        assert steps_for(book, "builder", "hello", 2, "") == failure
        assert steps_for(book, "builder", "hello", 9, "") == [("write", "hello.py", "print('hello')")]

    def test_a_failure_may_pass_after_some_attempts(self, book: Playbook) -> None:
        assert [action for action, *_ in steps_for(book, "builder", "bye", 2, "")] == ["fail", "say"]
        assert steps_for(book, "builder", "bye", 3, "") == [("say", "good bye")]

    @pytest.mark.parametrize(("role", "builder"), [("builder", "unknown"), ("gardener", "")])
    def test_what_the_book_does_not_know_is_told(self, book: Playbook, role: str, builder: str) -> None:
        with pytest.raises(RelayError, match="it has hello, bye"):
            steps_for(book, role, builder, 1, "")


def test_a_playbook_for_a_workflow_has_steps_by_their_ids(tmp_path: Path) -> None:
    file = tmp_path / "flow.yaml"
    file.write_text(
        "name: flow\nsteps:\n  look: [{say: any}]\n  'look:b': {attempts: {1: [{say: b}], 2: [{say: again}]}}\n"
    )
    flow = read_playbook(file)
    assert steps_for(flow, "step", "look:a", 1, "") == [("say", "any")]
    assert steps_for(flow, "step", "look:b", 2, "") == [("say", "again")]
    with pytest.raises(RelayError, match="no steps for the step write; it has look, look:b"):
        steps_for(flow, "step", "write", 1, "")


HEAD = "name: x\narchitect: {say: hi}\nbuilders:\n  a:\n"


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "line", "problem"),
        [
            ("", 0, "the file is empty"),
            ("a: b: c", 1, "not YAML: mapping values"),
            ("- a", 1, "expected `key: value`, found a list"),
            ("[" * 100_000, 1, "nested more than 64 deep"),
            ("name: x\nbuilders: {}\n", 1, "architect missing"),
            ("nmae: x\n", 1, "unknown key nmae; did you mean name?"),
            ("name: x\nname: y\n", 2, "name is there twice"),
            ("name: x\nbuilders: {}\narchitect:\n  - say: a\n    on_errors: true\n", 4, "needs an answer without"),
            ("name: x\nbuilders: {}\narchitect:\n  say: a\n  design: none\n", 5, "expected `key: value`, found text"),
            (HEAD + "    - wriet: {a: b}\n", 5, "there is no action wriet; did you mean write?"),
            (HEAD + "    - {say: a, run: b}\n", 5, "a step has one action, this one has say, run"),
            (HEAD + "    - say: a\n    - write: {../x: b}\n", 6, "not inside the worktree"),
            (HEAD + "    - write: {a/../../x: b}\n", 5, "not inside the worktree"),
            (HEAD + "    - delete: /etc/passwd\n", 5, "not inside the worktree"),
            (HEAD + "    - sleep: long\n", 5, "expected a number from 0 up, found 'long'"),
            (HEAD + "    - sleep: -1\n", 5, "expected a number from 0 up"),
            (HEAD + "    - sleep: .inf\n", 5, "expected a number from 0 up"),
            (HEAD + '    - say: "\\x1e"\n', 5, "separator character"),
            (HEAD + "    - exit: 1.5\n", 5, "expected a whole number"),
            (HEAD + "    - hang: maybe\n", 5, "expected true"),
            (HEAD + "    - fail: {tims: 2}\n", 5, "unknown key tims; did you mean times?"),
            (HEAD + "    attempts: {2: []}\n", 5, "attempts must begin with 1"),
            (HEAD + "    attempts: {first: []}\n", 5, "'first' is no number of an attempt"),
            (HEAD + "    []\ndescription: &d [*d]\n", 6, "expected text"),
            ("name: x\nbuilders: {}\narchitect:\n  say: a\n  design: &d {a: *d}\n", 5, "Circular"),
        ],
    )
    def test_are_told_with_file_and_line(self, tmp_path: Path, text: str, line: int, problem: str) -> None:
        file = tmp_path / "book.yaml"
        file.write_text(text)
        with pytest.raises(RelayError) as caught:
            read_playbook(file)
        where = f"{file}:{line}: " if line else f"{file}: "
        assert caught.value.message.startswith(where)
        assert problem in caught.value.message
        assert caught.value.remedy == f"$EDITOR {file}"

    def test_a_folder_or_bytes_that_are_no_text_are_told(self, tmp_path: Path) -> None:
        (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
        for file in (tmp_path, tmp_path / "bytes.yaml"):
            with pytest.raises(RelayError, match=str(file)):
                read_playbook(file)


class TestFinding:
    def test_a_requirement_finds_the_playbook_whose_words_it_uses(self) -> None:
        for name in shipped_names():
            assert matching(read_playbook(find(name)).requirement) == name
        assert matching("Please write me a CALCULATOR.") == "calculator"
        assert matching("manage users") == "user_api"

    def test_words_count_only_whole(self) -> None:
        with pytest.raises(RelayError, match="no shipped playbook fits") as caught:
            matching("forest superuser")
        assert "calculator (" in caught.value.message

    def test_an_unknown_name_or_path_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(RelayError, match="shipped are calculator, user_api") as caught:
            find("calculater")
        assert "scripted:calculator" in caught.value.remedy
        with pytest.raises(RelayError, match="there is no playbook"):
            find(f"{tmp_path}/x.yaml")


@pytest.mark.parametrize("name", shipped_names())
class TestShipped:
    def test_its_designs_are_sound_and_its_builders_are_theirs(self, name: str) -> None:
        book = read_playbook(find(name))
        assert book.name == name
        for text in (architect_says(book), architect_says(book, feedback="use fewer words")):
            design = parse_design(text)
            assert check(design) == ([], [])
            assert [part.id for part in design.components] == list(book.builders)
            assert all(part.verify for part in design.components)

    def test_its_second_design_uses_the_words_of_the_feedback(self, name: str) -> None:
        text = architect_says(read_playbook(find(name)), feedback="use fewer words")
        assert "use fewer words" in parse_design(text).summary

    def test_each_builder_writes_exactly_its_own_files(self, name: str) -> None:
        book = read_playbook(find(name))
        for part in parse_design(architect_says(book)).components:
            steps = steps_for(book, "builder", part.id, 1, "")
            written = {values[0] for action, *values in steps if action == "write"}
            assert written == set(part.files)
