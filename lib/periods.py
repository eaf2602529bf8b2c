"""Dates and spans of time as they are typed: `2026-11-01`, `2026-11-01T18:30`, `7d`, `12h`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from lib.errors import UsageError

_SPAN: Final = re.compile(r"(\d{1,6})\s*(w|d|h|m)")
_UNITS: Final = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes"}
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def span(text: str) -> timedelta | None:
    """The span of time that a text is; None for any other text."""
    found = _SPAN.fullmatch(text.strip())
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


def instant(text: str, now: datetime, option: str, *, ends: bool = False) -> str:
    """The instant that a date or a span names, in ISO 8601 (UTC); of a span, so long before `now`.

    A day that `ends` a period is in it as a whole. Raises `UsageError` (`not_a_date`) that names the `option`.
    """
    try:
        if (age := span(text)) is not None:
            return (now - age).isoformat()
        found = datetime.fromisoformat(text.strip())
        if ends and _DAY.fullmatch(text.strip()):
            found += timedelta(days=1, microseconds=-1)
    except (ValueError, OverflowError):
        message = f"{option} {text!r} is no date (2026-11-01, 2026-11-01T18:30) and no span (7d, 12h, 30m, 2w)"
        raise UsageError(message, remedy=f"relay runs {option} 7d", code="not_a_date") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
