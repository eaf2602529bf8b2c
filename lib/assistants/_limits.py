"""The time at which a limit is lifted, by the words of an error. The kind of an error is in `_kinds`. Pure.

Wordings as met in the wild (2025, 2026), one example each; the tests have more:

- claude: `Claude AI usage limit reached|1749924000` (anthropics/claude-code issue 2087), `You've hit your session limit
  · resets 11:50pm (Asia/Riyadh)` (issue 76709), `Your limit will reset at 1pm (Etc/GMT+5)`, `resets Oct 12, 4am`
- codex: `try again in 2 days 17 hours 14 minutes` (openai/codex issue 3124), `try again at 3:28 PM`, `try again at Aug
  8th, 2026 12:30 PM` in local time, `"resets_in_seconds":13872`, `"resets_at":1777936568`
- gemini: `Your quota will reset after 8h44m7s.` (google-gemini/gemini-cli issue 13004), `Suggested retry after 3s`,
  `"retryDelay":"34s"`
- with a day: `resets Monday at 9am`, `Resets tomorrow at 3:00 PM (UTC)`; in figures: `resets 2026-11-28T01:00:00Z`
- any service: the header `retry-after: 3`, or a date (RFC 9110, 10.2.3), and `retry-after-ms: 1500`
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: Further ahead than any limit is: then it was something else.
FURTHEST = timedelta(days=40)
#: A time of day that has just passed is not tomorrow's.
JUST_PASSED = timedelta(minutes=15)

_UNITS = {"ms": 0.001, "milli": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN = (
    r"\d+(?:\.\d+)?\s*(?:ms|milliseconds?|weeks?|w|days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])"
)
_DELAY = re.compile(
    r"(?:(?:again|retry|resets?|wait|available)\s+(?:(?:in|after|for|about|approximately|another)\s+|~\s*)*"
    rf"|retry[-_ ]?(?:after|delay|in)\W{{1,5}})((?:{_SPAN}[\s,]*(?:and\s+)?)+)",
    re.IGNORECASE,
)
_ONE_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milli|w|d|h|m|s)", re.IGNORECASE)
_SECONDS = re.compile(
    r"(?:retry[-_ ]?after(?:[-_ ]?(?:seconds|secs?|s))?|resets_in_seconds)[\"'\s:=]+(\d+(?:\.\d+)?)\b(?!\s*[a-z])",
    re.IGNORECASE,
)
_MILLISECONDS = re.compile(r"retry[-_ ]?after[-_ ]?(?:ms|millis\w*)[\"'\s:=]+(\d+(?:\.\d+)?)\b", re.IGNORECASE)
_EPOCH = re.compile(r"(?:limit reached[^|\n]{0,40}\||resets?_?at[\"'\s:=]+)(\d{10}|\d{13})\b", re.IGNORECASE)
_DATE = re.compile(
    r"(?:resets?|retry|again|until|available)\b[^\n]{0,30}?(20\d\d-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)\d*"
    r"\s?(Z\b|UTC\b|[+-]\d\d:?\d\d)?",
    re.IGNORECASE,
)
_HTTP_DATE = re.compile(
    r"retry[-_ ]?after[\"'\s:=]+((?:mon|tue|wed|thu|fri|sat|sun)\w*, ?\d\d[ -]\w{3}[ -]\d{2,4} "
    r"\d\d:\d\d:\d\d(?: GMT)?)",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"(?:resets?|try again|available(?: again)?|until)(?:\s+(?:at|on))?\s+"
    r"(?:(?P<weekday>mon|tue|wed|thu|fri|sat|sun|tomorrow)[a-z]*\.?,?\s*(?:(?:at|on)\s+)?)?"
    r"(?:(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?"
    r"(?:,?\s+(?P<year>20\d\d))?,?\s*(?:at\s+)?)?"
    r"(?:(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?\s*(?P<half>[ap])\.?m\b\.?|(?P<hour24>\d{1,2}):(?P<minute24>\d\d))?"
    r"(?:\s*\((?P<zone>[\w/+-]+)\)|\s+(?P<utc>utc|gmt)\b)?",
    re.IGNORECASE,
)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def delay_of(text: str) -> float | None:
    """Seconds until it may be tried again, if the words name a span."""
    if found := _MILLISECONDS.search(text):
        return float(found[1]) / 1000
    if found := _SECONDS.search(text):
        return float(found[1])
    if found := _DELAY.search(text):
        return sum(float(number) * _UNITS[unit.lower()] for number, unit in _ONE_SPAN.findall(found[1]))
    return None


def moment_of(text: str) -> datetime | None:
    """Time (UTC) to try it again, if the words name an instant: seconds since 1970, or a date with its time."""
    if found := _EPOCH.search(text):
        return from_epoch(int(found[1]))
    try:
        if found := _HTTP_DATE.search(text):
            return parsedate_to_datetime(found[1]).replace(tzinfo=UTC)
        if found := _DATE.search(text):
            zone = (found[2] or "Z").upper().replace("UTC", "Z")
            return datetime.fromisoformat(f"{found[1]}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):  # the 31st of June
        return None
    return None


def is_timed(text: str) -> bool:
    """True if the words name a time, or a span, after which it may be tried again."""
    return delay_of(text) is not None or moment_of(text) is not None or any(map(_names_a_time, _CLOCK.finditer(text)))


def from_epoch(value: object) -> datetime | None:
    """UTC of seconds, or milliseconds, since 1970; None for what is no such number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)  # noqa: PLR2004 - the year 5138
    except (OverflowError, ValueError, OSError):
        return None


def lifted_at(text: str, now: datetime) -> datetime | None:
    """Time (UTC) to try it again, if the words name a time of day, a day of the week or a date. `now` is aware: times
    without a zone are of its zone.
    """
    for found in _CLOCK.finditer(text):
        if _names_a_time(found) and (when := _resolved(found, now)):
            return when
    return None


def _names_a_time(found: re.Match[str]) -> bool:
    return any(found[name] for name in ("weekday", "month", "hour", "hour24"))


def _resolved(found: re.Match[str], now: datetime) -> datetime | None:
    from zoneinfo import ZoneInfo

    try:
        zone = ZoneInfo(found["zone"]) if found["zone"] else UTC if found["utc"] else None
        local = now.astimezone(zone) if zone else now
        hour = int(found["hour"] or found["hour24"] or 0)
        if found["half"]:
            if hour > 12:  # noqa: PLR2004 - of a clock with two halves
                return None
            hour = hour % 12 + (12 if found["half"].lower() == "p" else 0)
        at = local.replace(hour=hour, minute=int(found["minute"] or found["minute24"] or 0), second=0, microsecond=0)
        at = _of_its_day(found, local, at)
    except (ValueError, KeyError, OSError):  # the 31st of June, or a zone that this machine does not know
        return None
    return at.astimezone(UTC) if local - timedelta(days=1) <= at <= local + FURTHEST else None


def _of_its_day(found: re.Match[str], local: datetime, at: datetime) -> datetime:
    """`at`, a time of today, on the day that is named, else on the first one on which it lies ahead."""
    if found["month"]:
        year = int(found["year"] or at.year)
        at = at.replace(year=year, month=_MONTHS.index(found["month"].lower()) + 1, day=int(found["day"]))
        return at.replace(year=year + 1) if not found["year"] and at < local - timedelta(days=180) else at
    weekday = (found["weekday"] or "").lower()
    if weekday == "tomorrow":
        return at + timedelta(days=1)
    if weekday:
        at += timedelta(days=(_WEEKDAYS.index(weekday) - at.weekday()) % 7)
        return at + timedelta(days=7) if at < local - JUST_PASSED else at
    return at + timedelta(days=1) if at < local - JUST_PASSED else at
