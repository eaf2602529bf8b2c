"""The configuration: words mean what was written, and an error names the place and the value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lib.config.model import BOUND, FREE, Config, Gate, Land, Sandbox, load_config, read_settings
from lib.errors import UsageError


def configured(folder: Path, text: str = "", env: Mapping[str, str] | None = None, **flags: Any) -> Config:
    file = folder / "config.yaml"
    file.write_text(text)
    return load_config(file, flags, env or {})


def refused(folder: Path, text: str = "", env: Mapping[str, str] | None = None, **flags: Any) -> str:
    with pytest.raises(UsageError) as caught:
        configured(folder, text, env, **flags)
    assert caught.value.code == "config_invalid"
    assert "pydantic" not in caught.value.message
    assert "Input should" not in caught.value.message
    return caught.value.message


def test_words_that_yaml_takes_for_booleans_are_words(tmp_path: Path) -> None:
    config = configured(tmp_path, "sandbox: off\nverify: true\nsetup: yes\nassistant: no\nenv: {A: on, B: 010, C: }\n")
    assert config.sandbox is Sandbox.OFF
    assert (config.verify, config.setup, config.assistant) == ("true", "yes", ("no",))
    assert config.env == {"A": "on", "B": "010", "C": ""}


@pytest.mark.parametrize("word", ["true", "yes", "on", "True"])
def test_a_yes_is_a_yes_where_one_is_asked_for(tmp_path: Path, word: str) -> None:
    assert configured(tmp_path, f"review: {word}\nallow_no_changes: off\n").review
    assert configured(tmp_path, env={"RELAY_REVIEW": word}).review


@pytest.mark.parametrize("line", ["[ -e x ] || exit 1", "{ a; }", "true", "a: b", "# c", "'x", "- a", "pytest, then"])
def test_a_variable_that_is_a_text_is_taken_as_it_is(tmp_path: Path, line: str) -> None:
    config = configured(tmp_path, env={"RELAY_VERIFY": line, "RELAY_SETUP": line})
    assert (config.verify, config.setup) == (line, line)


@pytest.mark.parametrize("text", ["A,B", " A , B ", '["A", "B"]', "[A, B]", "\n[A,\nB]"])
def test_a_list_is_written_with_commas_or_as_yaml(tmp_path: Path, text: str) -> None:
    env = {"RELAY_ENV_PASS": text, "RELAY_ASSISTANT": text, "RELAY_SANDBOX_WRITE": text}
    config = configured(tmp_path, env=env)
    assert config.env_pass == config.assistant == config.sandbox_write == ("A", "B")


def test_a_list_in_the_file_may_be_written_with_commas(tmp_path: Path) -> None:
    assert configured(tmp_path, "env_pass: A, B\nskills: x,y\n").model_dump(include={"env_pass", "skills"}) == {
        "env_pass": ("A", "B"), "skills": ("x", "y"),
    }  # fmt: skip


def test_mappings_and_numbers_in_variables(tmp_path: Path) -> None:
    env = {"RELAY_ENV": '{"A": 1}', "RELAY_GATES": "design: none", "RELAY_PARALLEL": "4", "RELAY_MAX_TOKENS": "",
           "RELAY_ASSISTANTS": "{codex: {n: 1, x: yes}}"}  # fmt: skip
    config = configured(tmp_path, "max_tokens: 3\n", env)
    assert config.env == {"A": "1"}
    assert config.gates.design is Gate.NONE
    assert (config.parallel, config.max_tokens) == (4, None)
    assert config.assistants == {"codex": {"n": 1, "x": "yes"}}


def test_flags_win_over_variables_and_those_over_the_file(tmp_path: Path) -> None:
    env = {"RELAY_LAND": "branch", "RELAY_PARALLEL": "3"}
    config = configured(tmp_path, "land: ask\nparallel: 2\npoll_s: 9\n", env, land="auto", verify=None)
    assert (config.land, config.parallel, config.poll_s, config.verify) == (Land.AUTO, 3, 9.0, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# a\n\nparallel: many", 'config.yaml, line 3: parallel must be a whole number, not "many"'),
        ("parallel: 0", 'config.yaml, line 1: parallel must be at least 1, not "0"'),
        ("timeout_s: 0", 'config.yaml, line 1: timeout_s must be more than 0, not "0"'),
        ("sandbox: no", 'config.yaml, line 1: sandbox must be one of auto, require, off, not "no"'),
        ("review: maybe", 'config.yaml, line 1: review must be true or false, not "maybe"'),
        ("gates: none", 'config.yaml, line 1: gates must be `name: value` lines, not "none"'),
        ("gates:\n  desing: none", "config.yaml, line 2: unknown key gates.desing; did you mean design?"),
        ("env:\n  A: [1]", "config.yaml, line 2: env.A must be text, not a list"),
        ("verify: [a]", "config.yaml, line 1: verify must be text, not a list"),
        ("assistant: ''", "config.yaml, line 1: assistant must be at least one, not empty"),
        ("paralel: 3", "config.yaml, line 1: unknown key paralel; did you mean parallel?"),
        ("parallel: 3\nparallel: 4", "config.yaml, line 2: parallel is set twice (in line 1 too)"),
        ("a: [", "config.yaml, line 1: not YAML"),
        ("- a", "config.yaml must have `name: value` lines"),
        ("skills: [a, B]", 'config.yaml, line 1: skills.1 must be a name of small letters, digits, - and _, not "B"'),
    ],
)
def test_an_error_of_the_file_names_the_line_in_plain_words(tmp_path: Path, text: str, said: str) -> None:
    assert refused(tmp_path, text).startswith(said)


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    lines = refused(tmp_path, "parallel: x\nattempts: y\nland: z\n").splitlines()
    assert {line.partition(" must")[0] for line in lines} == {
        "config.yaml, line 1: parallel", "config.yaml, line 2: attempts", "config.yaml, line 3: land",
    }  # fmt: skip


def test_errors_of_variables_and_flags_name_them(tmp_path: Path) -> None:
    assert refused(tmp_path, env={"RELAY_PARALLEL": "many"}) == 'RELAY_PARALLEL must be a whole number, not "many"'
    assert refused(tmp_path, env={"RELAY_ENV_PASS": "["}).startswith("RELAY_ENV_PASS is not YAML")
    assert refused(tmp_path, land="now") == '--land must be one of auto, ask, branch, not "now"'
    assert refused(tmp_path, poll_s=-1.0) == '--poll must be more than 0, not "-1.0"'


def test_a_hostile_value_can_not_drive_the_terminal(tmp_path: Path) -> None:
    assert refused(tmp_path, 'parallel: "\\e[2J\\n"').isprintable()


def test_unknown_variables_are_told_with_the_nearest_known_one(tmp_path: Path) -> None:
    env = {"RELAY_PARALELL": "3", "RELAY_RUN": "r", "RELAY_JOB": "j", "RELAYED": "x"}
    settings = read_settings(tmp_path / "none.yaml", {}, env)
    assert settings.warnings == ("RELAY_PARALELL is no setting of Relay; did you mean RELAY_PARALLEL?",)


def test_each_setting_says_what_it_does() -> None:
    assert [name for name, field in Config.model_fields.items() if not field.description] == []


def test_each_setting_either_needs_trust_or_runs_nothing() -> None:
    assert frozenset(Config.model_fields) == BOUND | FREE
    assert not BOUND & FREE
