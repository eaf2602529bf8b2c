"""Expressions say what they mean, refuse all else at its place, and never reach a shell as its own language."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.workflow.evaluating import EvaluationError, UndefinedError, as_text, evaluate
from lib.workflow.expressions import ExpressionError, parse
from lib.workflow.placeholders import template
from lib.workflow.shell import ShellLine, shell_line

NAMES: dict[str, Any] = {
    "inputs": {"n": 3, "text": "abc", "flag": True, "none": None},
    "steps": {"a-b": {"status": "done", "output": {"list": [{"x": 1}, {"x": 2}], "text": "it's"}}},
    "item": {"key with space": 1},
}


def value(text: str) -> Any:
    return evaluate(parse(text), NAMES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inputs.n == 3", True), ("inputs.n == 3.0", True), ("inputs.n != 4", True), ("inputs.n < 4", True),
        ("inputs.n >= 3 and inputs.n <= 3", True), ("inputs.n > 3 or inputs.flag", True), ("not inputs.flag", False),
        ("not not inputs.flag", True), ("inputs.flag == 1", False), ("'b' in inputs.text", True),
        ("'z' not in inputs.text", True), ("inputs.n in [1, 2, 3]", True), ("'text' in inputs", True),
        ("defined inputs.n", True), ("defined inputs.m", False), ("defined(steps.none.output)", False),
        ("defined inputs.none", False), ("inputs.m else 'x'", "x"), ("inputs.none else inputs.m else 1", 1),
        ("inputs.n else 1", 3), ("steps.a-b.output.list[1].x", 2), ("steps.a-b.output['list'][0].x", 1),
        ("steps['a-b'].status", "done"), ("item['key with space']", 1), ("[1, 'a', [true]]", [1, "a", [True]]),
        ("'it\\'s' == steps.a-b.output.text", True), ("-1 < 0", True), ("null == inputs.none", True),
        ("(1 == 1) == true", True), ("inputs.text < 'b'", True), ("true or inputs.m", True),
        ("false and inputs.m", False),
        ("[[1]] == [[1]]", True), ("[true] == [1]", False),
    ],
)  # fmt: skip
def test_values(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "offset", "said"),
    [
        ("a && b", 2, "write and"), ("a || b", 2, "write or"), ("!a", 0, "write not"), ("a = b", 2, "write =="),
        ("a ?? b", 2, "write else"), ("a | upper", 2, "command"), ("a ==", 4, "the end"), ("'x", 0, "no end"),
        ("a.", 2, "a name after the point"), ("1 < 2 < 3", 6, "chain"), ("(a", 2, "expected )"), ("[1, ", 4, "a value"),
        ("defined 3", 8, "a name"), ("a b", 2, "can't be here"), ("a[b]", 2, "a text or a whole number"),
        ("and", 0, "a value"), ("", 0, "a value"), ("f(x)", 1, "can't be here"), ("a + 1", 2, "can't be here"),
        ("__import__('os')", 10, "can't be here"), ("(" * 60, 51, "deeply"), ("not " * 60 + "a", 200, "deeply"),
        ("a or " * 400 + "a", 750, "at most 300"), ("x" * 10_001, 0, "at most"), ("a not b", 6, "not in"),
        ("a.b.", 4, "a name"), ("'a' 'b'", 4, "can't be here"), ("1.5.2", 0, "can't be here"),
    ],
)  # fmt: skip
def test_what_is_no_expression_is_refused_at_its_place(text: str, offset: int, said: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert said in caught.value.message
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("inputs.m", "inputs.m is not there"), ("nothing.x", "there is no nothing"), ("inputs.n.x", "inputs.n is 3"),
        ("not inputs.n", "expected true or false, found 3"), ("inputs.n < 'a'", "no order"),
        ("inputs.flag < 1", "no order"), ("1 in 'a1'", "only a text"), ("1 in 2", "nothing can be in 2"),
        ("steps.a-b.output.list[2]", "is not there"), ("inputs.text.upper", "without upper"),
        ("inputs.__class__", "without __class__"),
    ],
)  # fmt: skip
def test_what_has_no_value_says_why(text: str, said: str) -> None:
    with pytest.raises(EvaluationError, match=r".") as caught:
        value(text)
    assert said in caught.value.message


def test_a_template_keeps_the_type_of_a_single_value_and_renders_all_else() -> None:
    assert template("{{ inputs.n }}").value(NAMES) == 3
    assert template(" {{ steps.a-b.output.list }} ").value(NAMES) == [{"x": 1}, {"x": 2}]
    assert template("n={{ inputs.n }}, {{ inputs.flag }}").value(NAMES) == "n=3, true"
    assert template("${vars.text} $HOME ${HOME} {x}").rendered({"vars": {"text": "t"}}) == "t $HOME ${HOME} {x}"
    assert template(r"\{{ x }} \${vars.y} {{ '}}' }}").rendered({}) == "{{ x }} ${vars.y} }}"
    with pytest.raises(UndefinedError):
        template("{{ inputs.m }}").rendered(NAMES)
    with pytest.raises(ExpressionError) as caught:
        template("a {{ b")
    assert caught.value.offset == 2


NASTY = 'x\'; touch pwned; "$(touch pwned)" `touch pwned` $HOME * \\ \n &&| #'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("printf %s {{ v }}", NASTY), ('printf %s "{{ v }}"', NASTY), ('printf %s "a {{ v }} b"', f"a {NASTY} b"),
        ('printf %s "$(printf %s {{ v }})"', NASTY), ("printf %s $(printf x)a{{ v }}", f"xa{NASTY}"),
        ('x={{ v }}; printf %s "$x"', NASTY), ("printf %s 'it' \"'\"{{ v }}", f"it'{NASTY}"),
        ("# it's\nprintf %s {{ v }}", NASTY), ("(printf %s {{ v }})", NASTY), ("printf %s a#{{ v }}", f"a#{NASTY}"),
        ('printf %s "${HOME:+}{{ v }}"', NASTY), ("case a in a) printf %s {{ v }};; esac", NASTY),
    ],
)  # fmt: skip
def test_a_value_in_a_shell_line_is_one_word_and_never_runs(tmp_path: Any, line: str, expected: str) -> None:
    made = shell_line(line)
    env = {f"RELAY_ARG_{at}": as_text(evaluate(each, {"v": NASTY})) for at, each in enumerate(made.arguments, 1)}
    done = subprocess.run(["/bin/sh", "-c", made.line], cwd=tmp_path, capture_output=True, text=True, check=True,
                          env={"HOME": "/", "PATH": "/usr/bin:/bin", **env})  # fmt: skip
    assert done.stdout == expected
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("echo '{{ v }}'", "single quotes"), ("echo `x {{ v }}`", "backquotes"), ("echo # {{ v }}", "comment"),
        ("echo ${A:-{{ v }}}", "${"), ("echo $(( {{ v }} ))", "$(("), ("cat <<E\n{{ v }}\nE", "here-document"),
        ("echo \\{{{ v }}", ""), ("{{ v }}", "[sh, -c"), ("  {{ v }} -x", "[sh, -c"), ("echo $'{{ v }}'", "single"),
        ("echo 'a' 'b {{ v }}", "single"),
    ],
)  # fmt: skip
def test_where_a_shell_would_not_put_a_value_in_a_template_is_refused(line: str, said: str) -> None:
    if not said:
        assert shell_line(line) == ShellLine("echo {{{ v }}")
        return
    with pytest.raises(ExpressionError, match=r".") as caught:
        shell_line(line)
    assert said in caught.value.message


@given(st.text(st.sampled_from("ab.[]()'\"-0123456789<>=! \n") | st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    offset = 0
    try:
        evaluate(parse(text), NAMES)
    except (ExpressionError, EvaluationError) as error:
        offset = error.offset
    assert 0 <= offset <= len(text)


_WORDS = st.sampled_from(
    ["inputs.n", "inputs.text", "inputs.m", "steps.a-b.output", "true", "null", "1", "'x'", "and", "or", "not", "in",
     "else", "defined", "==", "<", "(", ")", "[", "]", ",", ".x"]
)  # fmt: skip


@given(st.lists(_WORDS, max_size=30).map(" ".join))
def test_words_of_the_language_in_any_order(text: str) -> None:
    test_any_text_is_an_expression_or_refused.hypothesis.inner_test(text)  # type: ignore[attr-defined]


@given(
    st.lists(
        st.sampled_from(["echo ", "'", '"', "`", "$(", "${", "}", ")", "(", "#", "\\", "<<E", "\n", "{{ v }}", "$(("])
    )
)
def test_any_shell_line_is_made_or_refused(parts: list[str]) -> None:
    line = "echo " + "".join(parts)
    offset = 0
    try:
        made = shell_line(line).line
    except ExpressionError as error:
        made, offset = "", error.offset
    assert 0 <= offset <= len(line)
    assert "{{ v }}" not in made or "\\{{ v }}" in line
