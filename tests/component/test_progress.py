"""Progress of a running turn, read from its output as it grows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lib.assistants import resolve
from lib.jobs import Condition, Progress
from lib.model import Now
from orchestrator.jobs.output import BEHIND_BYTES, LOOK_LINES, READ_BYTES, TurnReader

INSTANT = Now(wall=datetime(2026, 1, 1, tzinfo=UTC), mono_s=100.0, boot_id="b")
LIMITED = {"type": "system", "subtype": "api_retry", "error_status": 429, "error": "rate_limit", "retry_delay_ms": 5000}
SAID = {"type": "assistant", "message": {"id": "m", "content": [{"type": "text", "text": "Writing it."}]}}
ENDED = {"type": "result", "subtype": "success", "is_error": False, "result": "Done.", "session_id": "s",
         "total_cost_usd": 0.25, "usage": {"input_tokens": 10, "output_tokens": 5}}  # fmt: skip


class Printing:
    """A turn of `assistant` that prints into a file."""

    def __init__(self, file: Path, assistant: str) -> None:
        self.file = file
        file.touch()
        self.reader = TurnReader(file, resolve(assistant, {}), INSTANT)

    def prints(self, *what: object, later_s: float = 0.0) -> Progress:
        with self.file.open("a") as stream:
            stream.write("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in what))
        self.reader.read(INSTANT.model_copy(update={"mono_s": INSTANT.mono_s + later_s}))
        return self.reader.progress


@pytest.fixture
def claude(tmp_path: Path) -> Printing:
    return Printing(tmp_path / "output.log", "claude")


@pytest.fixture
def plain(tmp_path: Path) -> Printing:
    return Printing(tmp_path / "output.log", "ci")


def test_a_turn_that_tries_again_tells_why_and_an_answer_ends_that(claude: Printing) -> None:
    waits = claude.prints(LIMITED)
    assert (waits.condition, waits.code, waits.answered) == (Condition.RATE_LIMITED, "rate_limit", False)
    works = claude.prints(SAID)
    assert (works.condition, works.code, works.reason, works.answered) == (Condition.WORKING, "", "", True)


def test_the_words_of_an_error_and_what_it_cost_are_no_answer(claude: Printing) -> None:
    said = {
        **SAID,
        "error": "rate_limit",
        "message": {"id": "m", "content": [{"type": "text", "text": "API Error: 429"}]},
    }
    progress = claude.prints(LIMITED, said, {**ENDED, "is_error": True, "api_error_status": 429})
    assert (progress.condition, progress.answered) == (Condition.RATE_LIMITED, False)
    assert progress.usage.cost_usd == 0.25


def test_half_a_line_is_read_when_it_is_whole(claude: Printing) -> None:
    line = json.dumps(ENDED)
    assert not claude.prints(line[:40]).ended
    progress = claude.prints(line[40:] + "\n")
    assert progress.ended
    assert progress.usage.input_tokens + progress.usage.output_tokens == 15


def test_a_question_that_stands_at_the_end_of_the_output_is_asked_until_something_follows(plain: Printing) -> None:
    asks = plain.prints("looking\nAllow writing x.py? [y/N] ")
    assert (asks.condition, asks.reason) == (Condition.ASKING, "Allow writing x.py? [y/N]")
    assert plain.prints("y\nwriting\n").condition is Condition.WORKING


def test_how_long_it_has_been_stuck_counts_from_the_change(plain: Printing) -> None:
    plain.prints("Proceed? ", later_s=7)
    assert plain.reader.stuck_since_mono_s == INSTANT.mono_s + 7
    plain.prints("(y/n) ", later_s=9)
    assert plain.reader.stuck_since_mono_s == INSTANT.mono_s + 7


def test_a_flood_is_read_piece_by_piece(plain: Printing) -> None:
    plain.file.write_bytes(b"x" * 999 + b"\n" + b"words\n" * (READ_BYTES // 4))
    looks = 0
    while plain.reader.read(INSTANT):
        looks += 1
    assert looks >= READ_BYTES // 4 // LOOK_LINES


def test_of_a_flood_that_is_too_fast_the_middle_is_left_out_and_the_end_is_read(plain: Printing) -> None:
    with plain.file.open("wb") as stream:
        stream.truncate(2 * BEHIND_BYTES)
        stream.seek(0, 2)
        stream.write(b"\n" + b"words\n" * 500 + b"Proceed? (y/n) ")
    looks = 1
    while plain.reader.read(INSTANT):
        looks += 1
    assert looks * READ_BYTES < BEHIND_BYTES
    assert plain.reader.progress.condition is Condition.ASKING


def test_a_turn_without_output_yet_simply_works(tmp_path: Path) -> None:
    reader = TurnReader(tmp_path / "none", resolve("ci", {}), INSTANT)
    assert not reader.read(INSTANT)
    assert reader.progress == Progress()


def test_a_delay_that_is_told_counts_from_now(claude: Printing) -> None:
    assert claude.prints(LIMITED).until == INSTANT.wall + timedelta(seconds=5)
