"""The output of a workflow's command: what it wrote into the file `$RELAY_OUTPUT`, else what it printed."""

from __future__ import annotations

import re
from typing import Any, Final

from lib.design.final_json import json_value
from lib.files.safe_read import NotPlainError, read_plain
from lib.jobs import JobResult
from lib.sandbox import scratch_of
from orchestrator.jobs.job_sandbox import GIVEN
from orchestrator.work import Work

#: An output is kept in the run database, and goes into prompts and environments.
MAX_BYTES: Final = 1_000_000
_PAIR: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)=(.*)")


def given(work: Work, result: JobResult) -> JobResult:
    """The result with the output of its command, if it gives one; a failure where that can't be taken."""
    if not work.is_own_work:
        return result
    try:
        written = _written(work)
        if written is not None:
            return result.model_copy(update={"output": value_in(written)})
        printed = read_plain(work.output / "output.log", limit=MAX_BYTES) or b""
    except NotPlainError as error:
        message = f"its output is {error.what}, or larger than {MAX_BYTES:,} bytes"
        return result.model_copy(update={"ok": False, "code": "output_refused", "message": message})
    text = printed.decode("utf-8", errors="replace").strip()
    return result.model_copy(update={"output": value_in(text) if text[:1] in {"{", "["} else text})


def _written(work: Work) -> str | None:
    scratch = scratch_of(work.records)
    data = read_plain(scratch / GIVEN, limit=MAX_BYTES) if scratch is not None else None
    return None if data is None else data.decode("utf-8", errors="replace").strip()


def value_in(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """The value that a text is: JSON, `name=value` lines, or the text itself."""
    try:
        return json_value(text)
    except (ValueError, RecursionError):
        pairs = [_PAIR.fullmatch(line) for line in text.splitlines() if line.strip()]
        return {pair[1]: pair[2] for pair in pairs if pair} if pairs and all(pairs) else text
