"""Times at which a limit is lifted, in the wordings that programs and services were seen to use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.assistants import assistants
from lib.assistants._kinds import kind_of
from lib.assistants._limits import delay_of, from_epoch, is_timed, lifted_at, moment_of
from lib.contracts import AssistantEvent, Exit

NOW = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("try again in 2 days 17 hours 14 minutes.", (2 * 24 + 17) * 3600 + 14 * 60),
        ("try again in 3 hours 2 minutes", 3 * 3600 + 120),
        ("Your quota will reset after 8h44m7s.", 8 * 3600 + 44 * 60 + 7),
        ("Your quota will reset after 5s.. Retrying after 6173ms...", 5),
        ("Suggested retry after 3s.", 3),
        ("Please try again in 1.5s", 1.5),
        ("Please try again in 28ms", 0.028),
        ("retry-after: 3", 3),
        ("Retry-After: 120", 120),
        ("retry-after-ms: 1500", 1.5),
        ("retry-after: 1500ms", 1.5),
        ('"retryAfterMs": 2500', 2.5),
        ("try again in about 2 hours", 7200),
        ("Please wait 5 minutes before the next request", 300),
        ("limit resets in 1 week", 7 * 86_400),
        ('"resets_in_seconds":13872', 13872),
        ('"retryDelay":"34s"', 34),
        ("try again later", None),
        ("try again at 3:28 PM", None),
    ],
)
def test_a_span(text: str, seconds: float | None) -> None:
    found = delay_of(text)
    assert found == (pytest.approx(seconds) if seconds is not None else None)


def test_an_instant_in_seconds_since_1970() -> None:
    assert moment_of("Claude AI usage limit reached|1749924000") == datetime(2025, 6, 14, 18, 0, tzinfo=UTC)
    assert moment_of('"resets_at":1777936568') == datetime(2026, 5, 4, 23, 16, 8, tzinfo=UTC)
    assert moment_of("usage limit reached|soon") is None
    at = datetime(2026, 11, 28, 1, 0, tzinfo=UTC)
    assert moment_of("retry-after: Sat, 28 Nov 2026 01:00:00 GMT") == at
    assert moment_of("Your limit resets at 2026-11-28T01:00:00Z") == at
    assert moment_of("try again after 2026-11-28T02:00:00+01:00") == at
    assert moment_of("resets at 2026-11-31T01:00:00Z") is None
    assert from_epoch(1749924000000) == from_epoch(1749924000)
    assert [from_epoch(value) for value in (None, "x", True, float("inf"), -1e30)] == [None] * 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("resets 11:50pm (Asia/Riyadh)", datetime(2026, 11, 21, 20, 50, tzinfo=UTC)),
        ("Your limit will reset at 1pm (Etc/GMT+5).", datetime(2026, 11, 21, 18, 0, tzinfo=UTC)),
        ("resets 3pm (Europe/Berlin)", datetime(2026, 11, 22, 14, 0, tzinfo=UTC)),
        ("resets 2:20pm (UTC)", datetime(2026, 11, 21, 14, 20, tzinfo=UTC)),
        ("resets Nov 27, 3am (UTC)", datetime(2026, 11, 27, 3, 0, tzinfo=UTC)),
        ("or try again at 3:28 PM.", datetime(2026, 11, 21, 15, 28, tzinfo=UTC)),
        ("or try again at Nov 28th, 2026 12:30 PM.", datetime(2026, 11, 28, 12, 30, tzinfo=UTC)),
        ("Try again at 15:05", datetime(2026, 11, 21, 15, 5, tzinfo=UTC)),
        ("resets Nov 28 at 1am (America/Sao_Paulo)", datetime(2026, 11, 28, 4, 0, tzinfo=UTC)),
        ("Opus weekly limit reached ∙ resets Monday at 9am (UTC)", datetime(2026, 11, 23, 9, 0, tzinfo=UTC)),
        ("resets Mon, 9:30 AM", datetime(2026, 11, 23, 9, 30, tzinfo=UTC)),
        ("resets Sat 1pm (UTC)", datetime(2026, 11, 28, 13, 0, tzinfo=UTC)),
        ("resets tomorrow at 3:00 PM (UTC)", datetime(2026, 11, 22, 15, 0, tzinfo=UTC)),
        ("available again on Friday, 4:00 PM UTC", datetime(2026, 11, 27, 16, 0, tzinfo=UTC)),
        ("resets 12am (UTC)", datetime(2026, 11, 22, 0, 0, tzinfo=UTC)),
        ("resets 3pm (Mars/Olympus)", None),
        ("try again at Feb 31, 2027 1pm", None),
        ("try again at Nov 28th, 2031 12:30 PM.", None),
        ("resets 99pm", None),
        ("resets soon", None),
    ],
)
def test_a_time_of_day_becomes_the_next_such_instant(text: str, expected: datetime | None) -> None:
    assert lifted_at(text, NOW) == expected


def test_a_time_without_a_zone_is_of_this_machine() -> None:
    local = NOW.astimezone(timezone(timedelta(hours=2)))
    assert lifted_at("try again at 6:00 PM", local) == datetime(2026, 11, 21, 16, 0, tzinfo=UTC)


def test_a_new_year_lies_ahead() -> None:
    assert lifted_at("resets Jan 2, 4am (UTC)", datetime(2026, 12, 30, tzinfo=UTC)) == datetime(
        2027, 1, 2, 4, tzinfo=UTC
    )


@given(st.text())
def test_any_words_are_harmless(text: str) -> None:
    kind_of(text)
    delay_of(text)
    moment_of(text)
    lifted_at(text, NOW)
    is_timed(text)


class TestFromWordsToResult:
    claude = assistants()["claude"]

    def result(self, *lines: str) -> object:
        events = [event for line in lines for event in self.claude.read(line)]
        return self.claude.verdict(Exit(1), events, "", now=NOW)  # type: ignore[call-arg]

    def told(self, text: str, flag: str = "true") -> str:
        return f'{{"type":"result","subtype":"success","is_error":{flag},"session_id":"s","result":"{text}"}}'

    def test_a_subscriptions_limit_holds_until_its_time(self) -> None:
        for flag in ("true", "false"):
            result = self.result(self.told("You've hit your session limit · resets 11:50pm (Asia/Riyadh)", flag))
            assert (result.code, result.retry_at) == ("rate_limit", datetime(2026, 11, 21, 20, 50, tzinfo=UTC))  # type: ignore[attr-defined]

    def test_the_event_of_the_limit_wins_over_its_words(self) -> None:
        event = ('{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1795290000,'
                 '"rateLimitType":"five_hour"}}')  # fmt: skip
        result = self.result(event, self.told("You've hit your limit · resets 1pm (UTC)"))
        assert result.retry_at == datetime(2026, 11, 21, 19, 40, tzinfo=UTC)  # type: ignore[attr-defined]

    def test_one_that_is_allowed_is_nothing(self) -> None:
        allowed = '{"type":"rate_limit_event","rate_limit_info":{"status":"allowed","resetsAt":1795290000}}'
        assert self.claude.read(allowed) == ()

    def test_the_time_at_which_a_program_tries_again_is_not_that_of_the_limit(self) -> None:
        codex = assistants()["codex"]
        events = [AssistantEvent(kind="retrying", error="rate_limit", text="429", delay_s=0.6)]
        assert codex.verdict(Exit(1), events, "").retry_after_s is None
        failed = codex.read('{"type":"turn.failed","error":{"message":"usage limit: try again in 3 days 4 hours"}}')
        assert codex.verdict(Exit(1), failed, "").retry_after_s == (3 * 24 + 4) * 3600
