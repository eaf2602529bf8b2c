"""The launch of each program, what it reports of the machine, and what a configured command makes of its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lib.assistants import PREFERRED, assistants, chosen, resolve
from lib.assistants._outcome import asks
from lib.assistants._program import Program, parts
from lib.contracts import SIDE_OUTPUT, Exit, Launch, Turn
from lib.errors import RelayError

PROGRAMS = {name: program for name, program in assistants().items() if isinstance(program, Program)}
NAMES_SESSION = ("claude", "copilot", "gemini", "qwen")


def launch(name: str, **changes: Any) -> Launch:
    plain = {"role": "builder", "prompt": "p", "worktree": "/w", "scratch": "/s", "keep": "/k", "job": "r/1"}
    return PROGRAMS[name].launch(Turn(**plain | changes))


def test_the_seven_programs() -> None:
    assert set(PROGRAMS) == {"aider", "claude", "codex", "copilot", "gemini", "opencode", "qwen"}
    assert PREFERRED == ("claude", "codex", "gemini", "opencode", "copilot", "qwen", "aider", "ci")


@pytest.mark.parametrize("name", PROGRAMS)
class TestLaunch:
    def test_arguments_of_the_configuration_are_passed_on(self, name: str) -> None:
        argv = launch(name, settings={"model": "m1", "args": ["--x", 3]}).argv
        at = argv.index("--x")
        assert argv[at : at + 2] == ("--x", "3")
        assert "m1" in argv

    def test_the_variant_wins_over_the_model_of_the_settings(self, name: str) -> None:
        argv = launch(name, variant="v", settings={"model": "m1"}).argv
        assert "v" in argv
        assert "m1" not in argv

    def test_an_effort_reaches_those_that_take_one_as_one_word(self, name: str) -> None:
        argv = launch(name, effort="high", session="abc").argv
        assert any("high" in each for each in argv) is PROGRAMS[name].takes_effort
        if PROGRAMS[name].takes_effort:
            with pytest.raises(RelayError, match="is no word"):
                launch(name, effort='high" -x')

    def test_an_unknown_setting_is_told_with_the_nearest(self, name: str) -> None:
        with pytest.raises(RelayError, match="did you mean model"):
            launch(name, settings={"modell": "x"})

    def test_folders_are_below_home_and_variables_are_named(self, name: str) -> None:
        found = launch(name)
        assert all(folder.startswith("~/.") for folder in found.folders)
        assert found.folders
        assert "*" not in found.variables

    def test_a_session_goes_on(self, name: str) -> None:
        argv = launch(name, session="abc").argv
        assert ("abc" in argv) or (name == "aider" and "--restore-chat-history" in argv)

    def test_prices_make_a_cost_of_tokens(self, name: str) -> None:
        priced = PROGRAMS[name].configured({"usd_per_million_input": 2, "usd_per_million_output": 10.0})
        assert priced.prices == (2.0, 10.0)
        assert PROGRAMS[name].configured({}) is PROGRAMS[name]


@pytest.mark.parametrize("name", NAMES_SESSION)
def test_a_session_that_relay_names_is_named_but_once(name: str) -> None:
    first, other = launch(name), launch(name, job="r/2")
    assert first.session is not None
    assert first.session in first.argv
    assert first.session != other.session


def test_codex_has_its_own_sandbox_unless_it_is_in_one() -> None:
    assert "workspace-write" in launch("codex").argv
    contained = launch("codex", contained=True).argv
    assert "danger-full-access" in contained
    assert "workspace-write" not in contained
    assert launch("codex", session="t").argv[-3:] == ("resume", "t", "-")


def test_aider_keeps_its_history_for_the_builder_and_its_numbers_for_the_turn() -> None:
    argv = launch("aider").argv
    assert argv[argv.index("--chat-history-file") + 1] == "/k/aider.chat.md"
    assert argv[argv.index("--analytics-log") + 1] == f"/s/{SIDE_OUTPUT}"
    assert "ask" in launch("aider", role="architect").argv


def test_what_a_cloud_needs_is_passed_only_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLAUDE_CODE_USE_BEDROCK", raising=False)
    assert "AWS_*" not in launch("claude").variables
    monkeypatch.setenv("CLAUDE_CODE_USE_BEDROCK", "1")
    assert "AWS_*" in launch("claude").variables


def test_a_home_that_was_moved_is_the_one_that_it_may_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_HOME", "/elsewhere")
    assert launch("codex").folders == ("/elsewhere",)


def test_the_price_of_the_configuration_counts_while_it_runs() -> None:
    codex = resolve("codex", {"codex": {"usd_per_million_input": 1.0, "usd_per_million_output": 2.0}})
    told = '{"type":"turn.completed","usage":{"input_tokens":1000000,"output_tokens":500000}}'
    (used, _) = codex.read(told)
    assert used.usage is not None
    assert used.usage.cost_usd == pytest.approx(2.0)


class TestProbe:
    @pytest.fixture
    def program(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for name in PROGRAMS["codex"].credentials:
            if not name.startswith("~"):
                monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv("CODEX_HOME", raising=False)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        file = tmp_path / "codex"
        file.write_text("#!/bin/sh\necho codex-cli 0.169.0\n")
        file.chmod(0o755)
        return file

    @pytest.mark.usefixtures("program")
    def test_version_and_login(self) -> None:
        probe = PROGRAMS["codex"].probe()
        assert (probe.version, probe.supported) == ("0.169.0", True)
        assert probe.logged_in is not True
        (Path.home() / ".codex").mkdir()
        (Path.home() / ".codex" / "auth.json").write_text("{}")
        assert PROGRAMS["codex"].probe().logged_in is True

    @pytest.mark.usefixtures("program")
    def test_the_login_moves_with_the_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CODEX_HOME", str(tmp_path))
        (tmp_path / "auth.json").write_text("{}")
        assert PROGRAMS["codex"].probe().logged_in is True

    def test_a_version_that_was_never_tried_is_told(self, program: Path) -> None:
        program.write_text("#!/bin/sh\necho codex-cli 9.0\n")
        probe = PROGRAMS["codex"].probe()
        assert (probe.version, probe.supported) == ("9.0", False)
        assert "0.169.0" in probe.detail

    def test_one_that_is_missing_or_says_nothing(self, program: Path) -> None:
        program.write_text("#!/bin/sh\nexit 3\n")
        assert PROGRAMS["codex"].probe().version is None
        program.unlink()
        assert "no program called codex" in PROGRAMS["codex"].probe().detail

    def test_versions_compare_as_numbers(self) -> None:
        assert parts("2.1.329") > parts("2.1.33")


class TestCommand:
    def adapter(self, **settings: Any) -> Any:
        return resolve("mytool", {"mytool": {"command": "mytool", **settings}})

    def test_any_name_with_a_command_is_an_assistant(self) -> None:
        assert chosen("mytool:fast", {"mytool": {"command": "x"}}, "r") == "mytool:fast"
        with pytest.raises(RelayError, match="no assistant called mytool"):
            resolve("mytool", {"mytool": {"args": []}})

    def test_it_may_speak_the_stream_of_another(self) -> None:
        adapter = self.adapter(parser="codex")
        told = ['{"type":"thread.started","thread_id":"t1"}', '{"type":"turn.completed","usage":{"input_tokens":7}}']
        events = [event for line in told for event in adapter.read(line)]
        result = adapter.verdict(Exit(0), events, "")
        assert (result.ok, result.session, result.usage.input_tokens) == (True, "t1", 7)
        failed = adapter.verdict(
            Exit(1), adapter.read('{"type":"turn.failed","error":{"message":"401 Unauthorized"}}'), ""
        )
        assert (failed.code, failed.remedy) == ("auth", "$EDITOR .project/config.yaml  # assistants.mytool")

    def test_the_session_is_an_argument_and_never_pasted(self) -> None:
        settings = {"command": 'mytool "$@"', "session_flag": "--resume"}
        turn = Turn(role="builder", prompt="p", worktree="/w", scratch="/s", session="a b; $(x)", settings=settings)
        found = self.adapter().launch(turn)
        assert found.argv == ("/bin/sh", "-c", 'mytool "$@"', "mytool", "--resume", "a b; $(x)")
        assert found.env["RELAY_SESSION"] == "a b; $(x)"

    def test_its_tokens_are_found_by_their_paths(self) -> None:
        adapter = self.adapter(usage={"input_tokens": "stats.in", "output_tokens": "stats.out", "cost_usd": "usd"})
        (said, used) = adapter.read('{"stats": {"in": 3, "out": 4}, "usd": 0.5}')
        assert said.kind == "text"
        assert (used.usage.input_tokens, used.usage.output_tokens, used.usage.cost_usd) == (3, 4, 0.5)
        assert len(adapter.read("hello")) == 1

    def test_its_line_goes_on_with_a_session_only_if_it_is_given_one(self) -> None:
        assert not self.adapter(parser="codex").resumes
        assert self.adapter(parser="codex", session_flag="--resume").resumes
        assert self.adapter(parser="codex", builder='x "$RELAY_SESSION"').resumes

    def test_its_tokens_have_the_prices_of_the_configuration(self) -> None:
        paths = {"input_tokens": "in", "output_tokens": "out"}
        adapter = self.adapter(usage=paths, usd_per_million_input=2, usd_per_million_output=10)
        (_, used) = adapter.read('{"in": 1000000, "out": 100000}')
        assert used.usage.cost_usd == 3
        assert adapter.counts() == {"tokens", "cost"}
        assert self.adapter(usage=paths).counts() == {"tokens"}
        assert self.adapter().counts() == frozenset()

    @pytest.mark.parametrize(
        ("settings", "problem"),
        [
            ({"parser": "xml"}, "known are plain, claude"),
            ({"usage": {"tokens": "x"}}, "unknown key"),
            ({"usage": []}, "type"),
        ],
    )
    def test_settings_that_are_off_are_told_at_the_start(self, settings: dict[str, Any], problem: str) -> None:
        with pytest.raises(RelayError, match=problem):
            self.adapter(**settings)


@pytest.mark.parametrize(
    ("line", "is_question"),
    [("Overwrite a.py? [y/N] ", True), ("Continue? (yes/no): ", True), ("Allow this command?", True),
     ("Password: ", True), ("Wrote a.py", False), ("Is this right? I think so.", False),
     ("see [y/N] above, then go on", False)],
)  # fmt: skip
def test_a_question_at_the_end_of_the_output(line: str, is_question: bool) -> None:
    assert asks(line) is is_question
