"""Names in any bytes, on their way through JSON, to people and to shells."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.display import escaped
from lib.events import JobEnded
from lib.jobs import JobResult, Progress
from lib.model import Base, Owner, State
from lib.names import from_json, quote, shown, shown_data, to_json
from lib.statefile.document import parse, render

LATIN = os.fsdecode(b"caf\xe9.txt")
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("café €", "café €"),
        (LATIN, r"caf\xe9.txt"),
        ("\udc80\udcff", r"\x80\xff"),
        ("\ud800", r"\ud800"),
    ],
)
def test_a_byte_that_is_no_utf8_is_shown_by_its_number(text: str, expected: str) -> None:
    assert shown(text) == expected
    assert escaped(text) == expected
    assert shown_data({text: [text, 1]}) == {expected: [expected, 1]}


@given(st.binary())
def test_whatever_is_shown_can_be_encoded(data: bytes) -> None:
    text = shown(os.fsdecode(data))
    assert text.encode().decode() == text


@given(st.lists(st.binary(min_size=1)), st.booleans())
def test_json_gives_back_every_byte(names: list[bytes], as_keys: bool) -> None:
    texts = [os.fsdecode(name) for name in names]
    data = {"paths": {text: {text: 1} for text in texts} if as_keys else texts}
    event = JobEnded(job="j", result=JobResult(ok=True, message="".join(texts), retry_at=AT, data=data))
    text = to_json(event)
    text.encode()
    assert from_json(JobEnded, text) == event


def test_json_keeps_what_is_not_text() -> None:
    progress = Progress.model_validate({"condition": "rate_limited", "until": AT, "reason": LATIN})
    assert from_json(Progress, to_json(progress)) == progress
    assert json.loads(to_json(progress))["reason"] == LATIN


def test_a_backslash_is_not_taken_for_an_escape() -> None:
    result = JobResult(ok=True, message=r"\udce9 and \xe9")
    assert from_json(JobResult, to_json(result)) == result


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name))
def test_a_quoted_name_is_one_word_for_a_shell_that_is_typed_into(name: bytes) -> None:
    command = f"printf %s {quote(os.fsdecode(name))}"
    assert command.isprintable()
    assert subprocess.run(["bash", "-c", command], capture_output=True, check=True).stdout == name


def test_state_json_shows_such_names_and_stays_as_it_is_when_others_write_it_again() -> None:
    state = State(rev=1, run="r", requirement=LATIN, phase="init", action_owner=Owner.CI, action_needed="design",
                  message=LATIN, base=Base(branch=LATIN, commit="c"), created_at=AT,
                  updated_at=AT)  # fmt: skip
    data = render(state)
    written = json.loads(data)
    assert {written["requirement"], written["message"], written["base"]["branch"]} == {r"caf\xe9.txt"}
    assert render(parse(data)) == data
