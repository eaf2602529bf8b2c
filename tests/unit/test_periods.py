"""Dates and spans as they are typed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lib.errors import UsageError
from lib.periods import instant

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ends", "found"),
    [
        ("7d", False, "2026-02-22T12:00:00+00:00"),
        ("12h", True, "2026-03-01T00:00:00+00:00"),
        ("30m", False, "2026-03-01T11:30:00+00:00"),
        ("2w", False, "2026-02-15T12:00:00+00:00"),
        ("2026-02-01", False, "2026-02-01T00:00:00+00:00"),
        ("2026-02-01", True, "2026-02-01T23:59:59.999999+00:00"),
        ("2026-02-01T18:30", True, "2026-02-01T18:30:00+00:00"),
        ("2026-02-01T18:30+02:00", False, "2026-02-01T16:30:00+00:00"),
    ],
)
def test_what_is_typed_is_an_instant(text: str, ends: bool, found: str) -> None:
    assert instant(text, NOW, "--since", ends=ends) == found


@pytest.mark.parametrize("text", ["", "yesterday", "7", "-7d", "2026-13-01", "999999w"])
def test_anything_else_is_refused_with_a_command(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        instant(text, NOW, "--until")
    assert (caught.value.code, caught.value.remedy) == ("not_a_date", "relay runs --until 7d")
