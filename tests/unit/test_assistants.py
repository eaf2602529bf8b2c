"""Properties of every assistant, the choice of one, and what each makes of its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.assistants import assistants, chosen, names, resolve, split
from lib.contracts import Assistant, AssistantEvent, Exit, Turn
from lib.errors import RelayError

BUILT_IN = assistants()
KINDS = {"started", "text", "tool_start", "tool_end", "file_change", "retrying", "denied", "usage", "finished"}
SETTINGS = {"command": {"command": "cat"}}
CALCULATOR = "a calculator"
STRANGE = ["", "{", "[1]", "7", '{"type": 7}', '{"type": []}', '{"type": "result"}', '{"a":' * 5000, "::usage {",
           "::usage", '{"type": "user", "message": null}', "\ufffd" * 9]  # fmt: skip


def turn(adapter: Assistant, **changes: Any) -> Turn:
    settings = SETTINGS.get(adapter.name, {})
    plain = {"role": "builder", "prompt": "-p 'x' $(y)\nBuild it.", "worktree": "/w", "scratch": "/s", "builder": "add",
             "requirement": CALCULATOR, "settings": settings}  # fmt: skip
    return Turn(**plain | changes)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PATH, and the one folder in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(folder: Path, name: str) -> None:
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("adapter", BUILT_IN.values(), ids=BUILT_IN)
class TestContract:
    """Every built-in assistant, and so each new one on its arrival."""

    def test_has_the_members_of_the_contract(self, adapter: Assistant) -> None:
        assert isinstance(adapter, Assistant)

    def test_gets_the_prompt_on_standard_input_and_never_as_an_argument(self, adapter: Assistant) -> None:
        launch = adapter.launch(turn(adapter))
        assert launch.stdin.startswith("-p 'x' $(y)\nBuild it.")
        assert launch.argv
        assert not any("Build it" in part or "$(y)" in part for part in (*launch.argv, *launch.env.values()))

    def test_the_same_turn_is_launched_the_same_way(self, adapter: Assistant) -> None:
        assert adapter.launch(turn(adapter)) == adapter.launch(turn(adapter))

    @given(st.text())
    def test_reads_any_line(self, adapter: Assistant, line: str) -> None:
        assert {event.kind for event in adapter.read(line)} <= KINDS

    @pytest.mark.parametrize("line", STRANGE)
    def test_reads_torn_and_strange_lines(self, adapter: Assistant, line: str) -> None:
        assert {event.kind for event in adapter.read(line)} <= KINDS

    @pytest.mark.parametrize(
        ("end", "code"),
        [
            (Exit(0, stopped="timeout"), "timeout"),
            (Exit(0, stopped="idle"), "idle"),
            (Exit(143, stopped="cancelled"), "cancelled"),
            (Exit(None), "lost"),
        ],
    )
    def test_a_turn_that_was_ended_is_no_success_whatever_it_said(
        self, adapter: Assistant, end: Exit, code: str
    ) -> None:
        happy = [AssistantEvent(kind="text", text="All done!"), AssistantEvent(kind="finished", text="Done!", ok=True)]
        result = adapter.verdict(end, happy, "")
        assert (result.ok, result.code) == (False, code)

    def test_a_failing_exit_is_a_failure_with_its_last_words(self, adapter: Assistant) -> None:
        result = adapter.verdict(Exit(3), [], "first\nno such luck\n")
        assert (result.ok, result.code, result.exit_status) == (False, "exit_nonzero", 3)
        assert "no such luck" in result.message

    def test_a_program_that_is_not_there_is_told_apart(self, adapter: Assistant) -> None:
        assert adapter.verdict(Exit(127), [], "sh: not found").code == "not_available"


class TestChoosing:
    def test_takes_a_name_apart_at_its_first_colon(self) -> None:
        assert split("claude") == ("claude", "")
        assert split("scripted:/a:b.yaml") == ("scripted", "/a:b.yaml")

    def test_all_names_are_known(self) -> None:
        assert names() == [
            *("aider", "ci", "claude", "codex", "command", "copilot", "gemini", "opencode", "qwen", "scripted")
        ]

    @pytest.mark.parametrize(
        ("installed", "variable", "taken"),
        [
            (["claude", "ci"], "ANTHROPIC_API_KEY", "claude"),
            (["claude", "codex"], "OPENAI_API_KEY", "codex"),  # the other one is not logged in
            (["claude", "ci"], "NOTHING", "ci"),
            (["claude", "codex"], "NOTHING", "command"),
            (["ci"], "NOTHING", "ci"),
            ([], "NOTHING", "command"),
        ],
    )
    def test_auto_takes_the_first_that_may_be_logged_in(
        self, programs: Path, installed: list[str], variable: str, taken: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(variable, "made-up")
        for name in installed:
            install(programs, name)
        assert resolve("auto", SETTINGS).name == taken
        assert chosen("auto", SETTINGS, CALCULATOR) == taken

    def test_auto_takes_one_that_is_logged_out_where_there_is_no_other(self, programs: Path) -> None:
        install(programs, "codex")
        install(programs, "claude")
        assert resolve("auto", {}).name == "claude"

    @pytest.mark.usefixtures("programs")
    def test_auto_never_rehearses(self) -> None:
        with pytest.raises(RelayError) as caught:
            resolve("auto", {})
        assert caught.value.code == "not_available"
        assert "claude: no program called claude" in caught.value.message

    @pytest.mark.usefixtures("programs")
    def test_one_that_is_not_installed_is_told_at_the_start(self) -> None:
        with pytest.raises(RelayError) as caught:
            chosen("claude:opus", {}, CALCULATOR)
        assert caught.value.code == "not_available"

    def test_a_model_stays_chosen(self, programs: Path) -> None:
        install(programs, "claude")
        assert chosen("claude:opus", {}, CALCULATOR) == "claude:opus"

    def test_an_unknown_name_is_told_with_the_nearest(self) -> None:
        with pytest.raises(RelayError, match="did you mean claude") as caught:
            resolve("cluade", {})
        assert caught.value.remedy == "relay start --assistant claude …"
        with pytest.raises(RelayError, match="known are aider, ci, claude"):
            resolve("zzz", {})

    def test_a_playbook_is_chosen_for_the_whole_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert chosen("scripted", {}, CALCULATOR) == "scripted:calculator"
        (tmp_path / "own.yaml").write_text("{name: own, architect: {say: hi}, builders: {}}")
        monkeypatch.chdir(tmp_path)
        assert chosen("scripted:own.yaml", {}, CALCULATOR) == f"scripted:{tmp_path}/own.yaml"
        with pytest.raises(RelayError, match="no shipped playbook fits"):
            chosen("scripted", {}, "a game of chess")


class TestCommand:
    adapter = BUILT_IN["command"]

    def test_each_role_may_have_its_own_line(self) -> None:
        settings = {"command": "general", "architect": "special"}
        assert self.adapter.launch(turn(self.adapter, role="architect", settings=settings)).argv[2] == "special"
        assert self.adapter.launch(turn(self.adapter, settings=settings)).argv[:3] == ("/bin/sh", "-c", "general")

    @pytest.mark.parametrize(
        ("settings", "problem"),
        [
            ({"comand": "x"}, "did you mean command?"),
            ({"architect": "x"}, "no assistants.command.builder and no assistants.command.command"),
            ({"command": ["x"]}, "not of the right type"),
        ],
    )
    def test_settings_that_are_off_are_told(self, settings: dict[str, Any], problem: str) -> None:
        with pytest.raises(RelayError) as caught:
            self.adapter.launch(turn(self.adapter, settings=settings))
        assert problem in caught.value.message

    def test_is_there_once_it_has_a_line(self) -> None:
        assert self.adapter.available({}) is not None
        assert self.adapter.available({"builder": "x"}) is None


def test_what_plain_programs_print_is_their_final_message() -> None:
    events = [AssistantEvent(kind="text", text=line) for line in ("one", "", "two", "")]
    assert BUILT_IN["ci"].verdict(Exit(0), events, "noise").text == "one\n\ntwo"


def test_what_the_player_did_is_not_what_it_said() -> None:
    adapter = BUILT_IN["scripted"]
    lines = ["hello", "::write a/b.py", "::run make", '::usage {"input_tokens": 5, "cost_usd": 0.5}', "::other", "bye"]
    events = [event for line in lines for event in adapter.read(line)]
    assert [event.kind for event in events] == ["text", "file_change", "tool_start", "usage", "text", "text"]
    result = adapter.verdict(Exit(0), events, "")
    assert result.text == "hello\n::other\nbye"
    assert (result.usage.input_tokens, result.usage.cost_usd) == (5, 0.5)
