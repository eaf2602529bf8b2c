"""Output of claude in real runs, read and judged. `tests/captures/claude-*.jsonl` are its standard output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib.assistants._outcome import usage_of
from lib.assistants.claude import assistant
from lib.contracts import AssistantEvent, Exit, Turn
from lib.errors import RelayError
from lib.jobs import JobResult
from lib.model import Usage

WRITTEN = (
    "File created successfully at: /repo/worktrees/claude-ok/calc/add.py (file state is current in your context — no "
    "need to Read it back)"
)
CAPTURES = Path(__file__).parent.parent / "captures"
#: Exit status and verdict of each.
SEEN = {
    "ok": (0, ""),
    "stdin": (0, ""),
    "resume1": (0, ""),
    "resume2": (0, ""),
    "api429once": (0, ""),
    "acceptedits": (0, ""),
    "plain": (0, "denied"),
    "api401": (1, "auth"),
    "api429": (1, "rate_limit"),
    "maxretries1-429": (1, "rate_limit"),
    "api500": (1, "server"),
    "refused": (1, "network"),
    "budget": (1, "budget"),
    "sigterm-tool": (143, "lost"),
}


def lines(case: str) -> list[str]:
    return (CAPTURES / f"claude-{case}.jsonl").read_text().splitlines()


def events(case: str) -> list[AssistantEvent]:
    return [event for line in lines(case) for event in assistant.read(line)]


def verdict(case: str, status: int | None = None, stopped: str = "") -> JobResult:
    return assistant.verdict(Exit(SEEN[case][0] if status is None else status, stopped), events(case), "")


def launch(**changes: object) -> tuple[str, ...]:
    plain = {"role": "builder", "prompt": "p", "worktree": "/w", "scratch": "/s"}
    return assistant.launch(Turn(**plain | changes)).argv  # type: ignore[arg-type]


def test_every_capture_is_judged_here() -> None:
    assert {file.stem.removeprefix("claude-") for file in CAPTURES.glob("claude-*.jsonl")} == set(SEEN)


@pytest.mark.parametrize("case", SEEN)
def test_the_verdict_of_each_capture(case: str) -> None:
    status, code = SEEN[case]
    result = verdict(case)
    assert (result.ok, result.code, result.exit_status) == (not code, code, status)
    assert result.ok or result.message
    assert result.session == events(case)[0].session


def test_a_good_turn_tells_what_it_did() -> None:
    assert [(event.kind, event.text) for event in events("ok") if event.kind != "usage"][1:-1] == [
        ("tool_start", "Bash: mkdir -p calc"),
        ("tool_end", "(Bash completed with no output)"),
        ("tool_start", "Write: /repo/worktrees/claude-ok/calc/add.py"),
        ("tool_end", WRITTEN),
        ("file_change", "/repo/worktrees/claude-ok/calc/add.py"),
        ("tool_start", "Bash: ls calc > listing.txt"),
        ("tool_end", "(Bash completed with no output)"),
        ("file_change", "/repo/worktrees/claude-ok/listing.txt"),
        ("text", "Wrote calc/add.py."),
    ]
    result = verdict("ok")
    assert result.text == "Wrote calc/add.py."
    assert (result.usage.input_tokens, result.usage.output_tokens) == (51499, 46)


def test_a_resumed_session_counts_only_what_this_turn_cost() -> None:
    assert verdict("resume1").usage.cost_usd == pytest.approx(0.102228)
    assert verdict("resume2").usage.cost_usd == pytest.approx(0.205384 - 0.102228)


def test_retries_and_refusals_show_while_they_happen() -> None:
    retries = [event for event in events("api401") if event.kind == "retrying"]
    assert (len(retries), retries[0].error, retries[0].text) == (10, "auth", "status 401, again in 0.6 s")
    denied = [event.text for event in events("plain") if event.kind == "denied"]
    assert [text.split(":")[0] for text in denied] == ["Bash", "Write", "Bash"]


def test_auth_names_the_way_to_log_in() -> None:
    assert verdict("api401").remedy == "claude /login"
    assert "401" in verdict("api401").message


@pytest.mark.parametrize("count", range(9))
def test_a_stream_without_its_final_event_is_no_result(count: int) -> None:
    """However much of the turn was printed: its first lines, and the last one cut in the middle."""
    torn = [*lines("ok")[:count], lines("ok")[-1][:200]]
    result = assistant.verdict(Exit(0), [event for line in torn for event in assistant.read(line)], "")
    assert (result.ok, result.code) == (False, "no_result")


def test_a_good_final_event_does_not_outweigh_the_exit() -> None:
    assert verdict("ok", status=1).code == "exit_nonzero"
    assert verdict("ok", stopped="timeout").code == "timeout"


class TestLaunch:
    def test_never_waits_for_a_permission(self) -> None:
        argv = launch()
        assert argv[:6] == ("claude", "-p", "--output-format", "stream-json", "--verbose",
                            "--dangerously-skip-permissions")  # fmt: skip

    def test_a_new_session_has_an_id_of_its_own_and_a_known_one_is_resumed(self) -> None:
        first, other = launch(scratch="/jobs/1"), launch(scratch="/jobs/2")
        assert first[-2] == "--session-id"
        assert first[-1] != other[-1]
        assert launch(session="abc")[-2:] == ("--resume", "abc")

    def test_the_variant_is_the_model_and_wins_over_the_setting(self) -> None:
        assert launch(variant="opus", settings={"model": "sonnet"})[-2:] == ("--model", "opus")
        assert launch(settings={"model": "sonnet"})[-2:] == ("--model", "sonnet")

    def test_settings_become_options(self) -> None:
        argv = launch(settings={"max_budget_usd": 1.5, "max_turns": 40, "args": ["--add-dir", "/x"]})
        assert argv[-6:] == ("--max-budget-usd", "1.5", "--max-turns", "40", "--add-dir", "/x")

    def test_an_unknown_setting_is_told_with_the_nearest(self) -> None:
        with pytest.raises(RelayError, match="did you mean max_turns"):
            launch(settings={"max_turn": 3})


class TestCost:
    """The cost of a resumed turn, whose `total_cost_usd` counts from the session's start."""

    def used(self, **told: object) -> Usage:
        zero = {"input_tokens": 0, "output_tokens": 0}
        result = {"type": "result", "subtype": "success", "is_error": True, "session_id": "s", "result": "no answer",
                  "total_cost_usd": 3.30, "usage": zero, **told}  # fmt: skip
        return usage_of(list(assistant.read(json.dumps(result))))

    def test_a_share_that_is_empty_means_that_nothing_was_used(self) -> None:
        assert self.used(model_usage_since_last_result={}) == Usage()
        assert self.used(model_usage_since_last_result={}, usage={"input_tokens": 7}) == Usage()

    def test_a_turn_without_tokens_has_no_cost_where_no_share_is_told(self) -> None:
        assert self.used() == Usage()

    def test_a_turn_that_was_answered_costs_its_share(self) -> None:
        share = {"m": {"inputTokens": 10, "outputTokens": 5, "costUSD": 0.2}}
        assert self.used(model_usage_since_last_result=share) == Usage(input_tokens=10, output_tokens=5, cost_usd=0.2)
