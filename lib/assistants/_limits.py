"""What the words of an error mean: its kind, and when a limit is lifted. Pure.

Wordings as met in the wild (2025, 2026), one example each; the tests have more:

- claude: `Claude AI usage limit reached|1749924000` (anthropics/claude-code issue 2087), `You've hit your session limit
  · resets 11:50pm (Asia/Riyadh)` (issue 76709), `Your limit will reset at 1pm (Etc/GMT+5)`, `resets Oct 12, 4am`
- codex: `try again in 2 days 17 hours 14 minutes` (openai/codex issue 3124), `try again at 3:28 PM`, `try again at Aug
  8th, 2026 12:30 PM` in local time, `"resets_in_seconds":13872`, `"resets_at":1777936568`
- gemini: `Your quota will reset after 8h44m7s.` (google-gemini/gemini-cli issue 13004), `Suggested retry after 3s`,
  `"retryDelay":"34s"`
- opencode: `Failed query: CREATE TABLE ...`, `database is locked` when several begin at once in one home directory
- any service: the header `retry-after: 3` (RFC 9110, 10.2.3)
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

#: Further ahead than any limit is: then it was something else.
FURTHEST = timedelta(days=40)
#: A time of day that has just passed is not tomorrow's.
JUST_PASSED = timedelta(minutes=15)

_STATUS = re.compile(
    r"\b(?:status|error|code|http|rejected)\W{1,4}(?:code\W{0,4})?([45]\d\d)\b",
    re.IGNORECASE,
)
#: The first kind with words that are found is what an error is.
_WORDS = {
    "busy": (r"database is locked|sqlite_busy|failed query:\s+(?:create|alter|insert into .{0,3}__drizzle)",),
    "rate_limit": (
        r"(?:usage|session|weekly|rate|daily)[ _-]?limit|limit reached|hit your .{0,30}limit|too many requests",
        r"exhausted your|resource.{0,10}exhausted|quota",
    ),
    "auth": (
        r"unauthori[sz]ed|unauthenticated|not able to authenticate|authenticat\w+ (?:error|failed)|invalid.{0,20}key",
        r"api key (?:not|is missing)|not logged in|please log ?in|/login|auth method|permission_denied|forbidden",
    ),
    "budget": (r"billing|credit balance|insufficient.{0,10}(?:funds|credits)|payment required",),
    "server": (r"overloaded|internal server ?error|high demand|unavailable|bad gateway|server_error|temporary errors",),
    "network": (
        r"econn\w+|enotfound|eai_again|etimedout|fetch failed|connection|connect to|network|error sending request",
        r"stream disconnected|name resolution|timed? ?out",
    ),
}
_KINDS = {kind: re.compile("|".join(words), re.IGNORECASE) for kind, words in _WORDS.items()}
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN = r"\d+(?:\.\d+)?\s*(?:ms|milliseconds?|days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)"
_DELAY = re.compile(
    rf"(?:(?:again|retry|resets?|wait)\s+(?:in|after)\s+|retrydelay\W{{1,5}})((?:{_SPAN}[\s,]*(?:and\s+)?)+)",
    re.IGNORECASE,
)
_ONE_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milli|d|h|m|s)", re.IGNORECASE)
_SECONDS = re.compile(r"(?:retry[-_ ]after|resets_in_seconds)[\"'\s:=]+(\d+(?:\.\d+)?)\b(?!\s*[a-z])", re.IGNORECASE)
_EPOCH = re.compile(r"(?:limit reached[^|\n]{0,40}\||resets_?at[\"'\s:=]+)(\d{10}|\d{13})\b", re.IGNORECASE)
_CLOCK = re.compile(
    r"(?:resets?(?:\s+at)?|try again(?:\s+at)?)\s+"
    r"(?:(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?"
    r"(?:,?\s+(?P<year>20\d\d))?,?\s*(?:at\s+)?)?"
    r"(?:(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?\s*(?P<half>[ap])\.?m\b|(?P<hour24>\d{1,2}):(?P<minute24>\d\d))?"
    r"(?:\s*\((?P<zone>[\w/+-]+)\))?",
    re.IGNORECASE,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def kind_of_status(status: object) -> str:
    """The neutral kind of an HTTP status, empty for one that says nothing of the sort."""
    if not isinstance(status, int):
        return ""
    known = {401: "auth", 403: "auth", 402: "budget", 408: "network", 429: "rate_limit"}
    return known.get(status) or ("server" if 500 <= status <= 599 else "")  # noqa: PLR2004 - HTTP: server errors


def kind_of(text: str) -> str:
    """The neutral kind of an error by its words: by an HTTP status that they name, else by what they say."""
    if (named := _STATUS.search(text)) and (kind := kind_of_status(int(named[1]))):
        return kind
    return next((kind for kind, words in _KINDS.items() if words.search(text)), "")


def delay_of(text: str) -> float | None:
    """Seconds until it may be tried again, if the words name a span."""
    if found := _SECONDS.search(text):
        return float(found[1])
    if found := _DELAY.search(text):
        spans = _ONE_SPAN.findall(found[1])
        return sum(
            float(number) * (0.001 if unit.lower() == "milli" else _UNITS[unit.lower()]) for number, unit in spans
        )
    return None


def moment_of(text: str) -> datetime | None:
    """When (UTC) it may be tried again, if the words name seconds since 1970."""
    found = _EPOCH.search(text)
    return from_epoch(int(found[1])) if found else None


def from_epoch(value: object) -> datetime | None:
    """UTC of seconds, or milliseconds, since 1970; None for what is no such number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)  # noqa: PLR2004 - the year 5138
    except (OverflowError, ValueError, OSError):
        return None


def lifted_at(text: str, now: datetime) -> datetime | None:
    """When (UTC) it may be tried again, if the words name a time of day or a date. `now` is aware: times without a zone
    are of its zone.
    """
    for found in _CLOCK.finditer(text):
        if (found["month"] or found["hour"] or found["hour24"]) and (when := _resolved(found, now)):
            return when
    return None


def _resolved(found: re.Match[str], now: datetime) -> datetime | None:
    from zoneinfo import ZoneInfo

    try:
        local = now.astimezone(ZoneInfo(found["zone"])) if found["zone"] else now
        hour = int(found["hour"] or found["hour24"] or 0)
        if found["half"]:
            if hour > 12:  # noqa: PLR2004 - of a clock with two halves
                return None
            hour = hour % 12 + (12 if found["half"].lower() == "p" else 0)
        at = local.replace(hour=hour, minute=int(found["minute"] or found["minute24"] or 0), second=0, microsecond=0)
        if found["month"]:
            year = int(found["year"] or at.year)
            at = at.replace(year=year, month=_MONTHS.index(found["month"].lower()) + 1, day=int(found["day"]))
            if not found["year"] and at < local - timedelta(days=180):
                at = at.replace(year=year + 1)
        elif at < local - JUST_PASSED:
            at += timedelta(days=1)
    except (ValueError, KeyError, OSError):  # the 31st of June, or a zone that this machine does not know
        return None
    return at.astimezone(UTC) if local - timedelta(days=1) <= at <= local + FURTHEST else None
