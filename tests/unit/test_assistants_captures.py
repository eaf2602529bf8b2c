"""Output of the real programs, read and judged. Of each in `tests/captures`: standard output, and for some the file
that they write beside it. The exit status is the one that was seen, as a shell counts it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.assistants import LineReader, Tally, assistants
from lib.contracts import Exit
from lib.jobs import JobResult

CAPTURES = Path(__file__).parent.parent / "captures"
ADAPTERS = assistants()
#: What a program wrote into a file of its own during a turn.
SIDE = {"aider-alog": "aider-analytics-log.jsonl", "copilot-ok": "copilot-usage-file.json"}
#: Exit status, failure code, tokens in and out, dollars.
SEEN = {
    "aider-alog": (0, "", 2636, 21, 0.0),
    "aider-api401": (0, "auth", 0, 0, 0.0),
    "aider-api429": (0, "rate_limit", 0, 0, 0.0),
    "aider-api429once": (0, "", 2700, 38, 0.0),
    "aider-api500": (0, "server", 0, 0, 0.0),
    "aider-ok": (0, "", 2700, 42, 0.0),
    "aider-plain": (0, "", 2700, 49, 0.0),
    "aider-resume1": (0, "", 2600, 14, 0.0),
    "aider-resume2": (0, "", 2800, 14, 0.0),
    "aider-stdin": (0, "", 2700, 49, 0.0),
    "claude-acceptedits": (0, "", 38416, 43, 0.154524),
    "claude-api401": (1, "auth", 0, 0, 0.0),
    "claude-api429": (1, "rate_limit", 0, 0, 0.0),
    "claude-api429once": (0, "", 38505, 37, 0.15476),
    "claude-api500": (1, "server", 0, 0, 0.0),
    "claude-budget": (1, "budget", 25561, 10, 0.102444),
    "claude-maxretries1-429": (1, "rate_limit", 0, 0, 0.0),
    "claude-ok": (0, "", 51499, 46, 0.206916),
    "claude-plain": (0, "denied", 51531, 47, 0.207064),
    "claude-refused": (1, "network", 0, 0, 0.0),
    "claude-resume1": (0, "", 25507, 10, 0.102228),
    "claude-resume2": (0, "", 25744, 9, 0.103156),
    "claude-sigterm-tool": (143, "lost", 12729, 1, 0.0),
    "claude-stdin": (0, "", 51504, 47, 0.206956),
    "codex-api401": (1, "auth", 0, 0, 0.0),
    "codex-api429": (1, "rate_limit", 0, 0, 0.0),
    "codex-api429once": (0, "", 29767, 32, 0.0),
    "codex-api500": (1, "server", 0, 0, 0.0),
    "codex-commit": (0, "", 29762, 37, 0.0),
    "codex-failcmd": (0, "", 29717, 16, 0.0),
    "codex-ok": (0, "", 41300, 51, 0.0),
    "codex-plain": (0, "", 39210, 42, 0.0),
    "codex-resume1": (0, "", 19658, 9, 0.0),
    "codex-resume2": (0, "", 39714, 17, 0.0),
    "codex-retries0-429": (1, "rate_limit", 0, 0, 0.0),
    "codex-sigterm-tool": (143, "lost", 0, 0, 0.0),
    "codex-stdin": (0, "", 39866, 42, 0.0),
    "copilot-api401": (1, "auth", 0, 0, 0.0),
    "copilot-api429": (1, "rate_limit", 0, 0, 0.0),
    "copilot-api429once": (0, "", 0, 0, 0.0),
    "copilot-api500": (1, "server", 0, 0, 0.0),
    "copilot-ok": (0, "", 48768, 58, 0.0),
    "copilot-plain": (0, "denied", 0, 0, 0.0),
    "copilot-resume1": (0, "", 0, 0, 0.0),
    "copilot-resume2": (0, "", 0, 0, 0.0),
    "copilot-sigterm-tool": (0, "lost", 0, 0, 0.0),
    "copilot-stdin": (0, "", 0, 0, 0.0),
    "gemini-api401": (145, "auth", 0, 0, 0.0),
    "gemini-api429": (173, "rate_limit", 0, 0, 0.0),
    "gemini-api429once": (0, "", 37034, 28, 0.0),
    "gemini-api500": (244, "server", 0, 0, 0.0),
    "gemini-maxattempts1-429": (173, "rate_limit", 0, 0, 0.0),
    "gemini-ok": (0, "", 49573, 39, 0.0),
    "gemini-plain": (0, "", 8287, 38, 0.0),
    "gemini-resume1": (0, "", 24501, 10, 0.0),
    "gemini-resume2": (0, "", 24883, 9, 0.0),
    "gemini-sigterm-tool": (137, "lost", 0, 0, 0.0),
    "gemini-stdin": (0, "", 49586, 39, 0.0),
    "opencode-api401": (1, "auth", 0, 0, 0.0),
    "opencode-api429": (1, "rate_limit", 0, 0, 0.0),
    "opencode-api429once": (0, "", 23456, 37, 0.02353),
    "opencode-api500": (1, "server", 0, 0, 0.0),
    "opencode-ok": (0, "", 31402, 46, 0.031494),
    "opencode-plain": (0, "", 31410, 47, 0.031504),
    "opencode-resume1": (0, "", 15493, 10, 0.015513),
    "opencode-resume2": (0, "", 15700, 9, 0.015718),
    "opencode-sigterm-tool": (143, "lost", 0, 0, 0.0),
    "opencode-stdin": (0, "", 31410, 47, 0.031504),
    "qwen-api401": (1, "auth", 0, 0, 0.0),
    "qwen-api429": (137, "lost", 0, 0, 0.0),
    "qwen-api429once": (0, "", 59285, 37, 0.0),
    "qwen-api500": (1, "server", 0, 0, 0.0),
    "qwen-ok": (0, "", 79225, 46, 0.0),
    "qwen-plain": (0, "", 15714, 37, 0.0),
    "qwen-resume1": (0, "", 39346, 10, 0.0),
    "qwen-resume2": (0, "", 39654, 9, 0.0),
    "qwen-sigterm-tool": (143, "lost", 19634, 17, 0.0),
    "qwen-stdin": (0, "", 79243, 46, 0.0),
}
GOOD = [case for case, (_, code, *_) in SEEN.items() if not code]
#: Programs whose good turns end with an object; the plain text of aider is tested below.
STREAMS = [case for case in GOOD if case.endswith("-ok") and not case.startswith("aider")]


def lines(case: str) -> list[str]:
    file = next(file for file in CAPTURES.glob(f"{case}.*") if ".stderr" not in file.name)
    side = (CAPTURES / SIDE[case]).read_text() if case in SIDE else ""
    if case in SIDE and SIDE[case].endswith(".json"):
        side = json.dumps(json.loads(side))  # a single document is read as one line
    return [*file.read_text().splitlines(), *side.splitlines()]


def judged(case: str, told: Sequence[str], status: int | None = None, stderr: str = "") -> JobResult:
    adapter = ADAPTERS[case.partition("-")[0]]
    events = [event for line in told for event in adapter.read(line)]
    return adapter.verdict(Exit(SEEN[case][0] if status is None else status), events, stderr)


def test_every_capture_is_judged_here() -> None:
    captured = {file.name.partition(".")[0] for file in CAPTURES.iterdir()}
    assert captured - {Path(name).stem for name in SIDE.values()} == set(SEEN)


@pytest.mark.parametrize("case", SEEN)
def test_verdict_tokens_and_cost_of_each(case: str) -> None:
    status, code, tokens_in, tokens_out, cost = SEEN[case]
    errors = CAPTURES / f"{case}.stderr.txt"
    result = judged(case, lines(case), stderr=errors.read_text() if errors.exists() else "")
    assert (result.ok, result.code, result.exit_status) == (not code, code, status)
    assert (result.usage.input_tokens, result.usage.output_tokens) == (tokens_in, tokens_out)
    assert result.usage.cost_usd == pytest.approx(cost)
    assert result.ok or result.message


@pytest.mark.parametrize("case", [case for case in SEEN if not case.startswith("aider")])
def test_the_session_is_the_one_that_the_program_told(case: str) -> None:
    session = judged(case, lines(case)).session
    assert session is not None
    assert any(session in line for line in lines(case))


@pytest.mark.parametrize("program", ["claude", "codex", "gemini", "qwen", "opencode", "copilot"])
def test_a_session_that_goes_on_keeps_its_id(program: str) -> None:
    first, second = (judged(f"{program}-{case}", lines(f"{program}-{case}")) for case in ("resume1", "resume2"))
    assert first.session == second.session
    assert (first.text, second.text) == ("MARK-ONE done.", "MARK-TWO done.")


@pytest.mark.parametrize("case", GOOD)
def test_the_final_message_is_what_it_said_last(case: str) -> None:
    text = judged(case, lines(case)).text
    assert text
    assert any(text.splitlines()[-1] in line for line in lines(case))


@pytest.mark.parametrize("case", [case for case in SEEN if "429" in case and SEEN[case][1]])
def test_a_limit_shows_while_the_program_still_tries(case: str) -> None:
    adapter = ADAPTERS[case.partition("-")[0]]
    errors = {
        event.error for line in lines(case) for event in adapter.read(line) if event.kind in {"retrying", "finished"}
    }
    assert "rate_limit" in errors


@pytest.mark.parametrize(
    ("case", "seconds"), [("gemini-api429", 3.0), ("opencode-api429", 3.0), ("codex-api429", None)]
)
def test_a_time_that_was_told_is_kept(case: str, seconds: float | None) -> None:
    assert judged(case, lines(case)).retry_after_s == seconds


class TestHarm:
    """Whatever arrives: no exception, and no success that was not told."""

    @pytest.mark.parametrize("case", STREAMS)
    def test_without_its_final_event_a_turn_is_no_success(self, case: str) -> None:
        told = lines(case)
        ends = [
            at for at, line in enumerate(told)
            for event in ADAPTERS[case.partition("-")[0]].read(line) if event.kind == "finished"
        ]  # fmt: skip
        torn = [*told[: ends[0]], told[ends[0]][: len(told[ends[0]]) // 2]]
        assert not judged(case, torn).ok

    @pytest.mark.parametrize("case", STREAMS)
    @given(cut=st.integers(min_value=0), data=st.binary(max_size=40))
    @settings(max_examples=25)
    def test_torn_lines_and_bytes_of_any_kind(self, case: str, cut: int, data: bytes) -> None:
        whole = "\n".join(lines(case)).encode()
        at = cut % len(whole)
        reader = LineReader()
        told = [*reader.feed(whole[:at]), *reader.feed(data), *reader.feed(whole[at:]), *reader.close()]
        judged(case, told)
        reader = LineReader()
        first = [*reader.feed(whole[:at] + data), *reader.close()]
        final = [
            event for line in first for event in ADAPTERS[case.partition("-")[0]].read(line) if event.kind == "finished"
        ]
        assert judged(case, first).ok == bool(final and final[-1].ok)

    @pytest.mark.parametrize("case", STREAMS)
    @given(data=st.data())
    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    def test_any_value_in_place_of_any_field(self, case: str, data: st.DataObject) -> None:
        told = lines(case)
        at = data.draw(st.integers(0, len(told) - 1))
        value = data.draw(VALUES)
        told[at] = _replaced(told[at], data.draw, value)
        result = judged(case, told)
        assert result.usage.cost_usd >= 0

    @pytest.mark.parametrize(
        ("case", "flag", "value"),
        [
            ("claude-ok", "is_error", None),
            ("claude-ok", "is_error", 0),
            ("claude-ok", "subtype", "error_max_turns"),
            ("qwen-ok", "is_error", "false"),
            ("gemini-ok", "status", None),
            ("gemini-ok", "status", ["success"]),
            ("copilot-ok", "exitCode", False),
            ("copilot-ok", "exitCode", None),
        ],
    )
    def test_a_flag_that_does_not_say_success_is_none(self, case: str, flag: str, value: object) -> None:
        told = [json.dumps({**json.loads(line), flag: value}) if _is_result(line) else line for line in lines(case)]
        assert not judged(case, told).ok

    def test_a_line_beyond_all_bounds_is_dropped_whole(self) -> None:
        forged = lines("claude-ok")[-1].encode()
        attack = b"x" * 10_000_001 + forged + b"\n"
        reader = LineReader()
        told = [line for at in range(0, len(attack), 1 << 20) for line in reader.feed(attack[at : at + (1 << 20)])]
        assert [*told, *reader.close()] == []

    def test_it_goes_on_after_such_a_line(self) -> None:
        reader = LineReader(max_bytes=10)
        assert reader.feed(b"x" * 11 + b"\nnext\r\nla") == ["next"]
        assert (reader.partial, reader.close()) == ("la", ["la"])

    def test_a_long_line_within_bounds_is_read(self) -> None:
        told = json.dumps({"type": "item.completed", "item": {"type": "agent_message", "text": "x" * 9_000_000}})
        (event,) = ADAPTERS["codex"].read(told)
        assert len(event.text) == 9_000_000


def test_usage_of_a_message_that_is_told_twice_counts_once() -> None:
    tally = Tally()
    adapter = ADAPTERS["claude"]
    for line in [*lines("claude-ok")[1:3], *lines("claude-ok")[1:3]]:
        for event in adapter.read(line):
            tally.add(event)
    assert tally.usage.input_tokens == 12749


def test_an_error_of_qwen_told_as_an_answer_is_no_answer() -> None:
    """As seen with 0.15.10: exit 0, and a result without an error flag."""
    told = [json.dumps({"type": "result", "subtype": "success", "is_error": False, "session_id": "s",
                        "result": "[API Error: 401 refused with 401]"})]  # fmt: skip
    result = judged("qwen-ok", told)
    assert (result.ok, result.code) == (False, "auth")


def test_copilot_that_was_told_to_end_did_not_succeed_whatever_it_says() -> None:
    assert '"exitCode":0' in lines("copilot-sigterm-tool")[-1]
    assert judged("copilot-sigterm-tool", lines("copilot-sigterm-tool")).code == "lost"


def test_a_turn_whose_session_is_gone_begins_a_new_one() -> None:
    told = [json.dumps({"type": "result", "subtype": "error_during_execution", "is_error": True, "session_id": "gone",
                        "errors": ["No conversation found with session ID: gone"]})]  # fmt: skip
    result = judged("claude-ok", told, status=1)
    assert (result.code, result.session) == ("lost", "")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def _is_result(line: str) -> bool:
    return line.startswith("{") and '"type":"result"' in line


def _replaced(line: str, draw: Callable[[st.SearchStrategy[Any]], Any], value: object) -> str:
    """The line with the value of one of its fields, however deep, replaced."""
    try:
        whole = json.loads(line)
    except ValueError:
        return line
    inner = whole
    while isinstance(inner, dict | list) and inner:
        key = draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
        if not isinstance(inner[key], dict | list) or not inner[key] or draw(st.booleans()):
            inner[key] = value
            break
        inner = inner[key]
    return json.dumps(whole)
