"""Output of a job, in words a person can read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lib.jobs import AssistantTurn, Command, Job, JobKind, JobResult
from lib.secrets.masking import Masker
from orchestrator.commands.logs import Choice
from orchestrator.status.transcript import Transcript

MASKER = Masker({"KEY": "hunter2-hunter2"})
CLAUDE = [
    {"type": "system", "subtype": "init", "session_id": "s"},
    {"type": "assistant", "message": {"content": [{"type": "text", "text": "First.\nThen \x1b[2J hunter2-hunter2."}]}},
    {"type": "assistant", "message": {"content": [{"type": "tool_use", "name": "Bash", "input": {"command": "ls"}}]}},
    {"type": "user", "message": {"content": [{"type": "tool_result", "content": "no", "is_error": True}]}},
    {"type": "user", "message": {"content": [{"type": "tool_result", "content": "ok"}]},
     "tool_use_result": {"filePath": "a.py", "structuredPatch": []}},
]  # fmt: skip


def job(kind: JobKind = JobKind.ASSISTANT, result: JobResult | None = None, **spec: Any) -> Job:
    usual = {"name": "build", "step": "a"}
    told = (
        AssistantTurn(**{**usual, "assistant": "claude", "role": "builder", **spec})
        if kind is JobKind.ASSISTANT
        else Command(**{**usual, "command": "true", **spec})
    )
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return Job(id="0001", attempt=2, dispatch=1, started_at=start, started_mono_s=0.0, result=result, spec=told)


def read(folder: Path, of: Job, *, raw: bool = False) -> Transcript:
    return Transcript(of, folder, MASKER, {}, raw=raw)


def test_an_event_stream_is_shown_as_words_tools_and_files(tmp_path: Path) -> None:
    (tmp_path / "output.log").write_text("".join(f"{json.dumps(event)}\n" for event in CLAUDE) + "a warning\n{torn")
    transcript = read(tmp_path, job())
    assert list(transcript.more()) == [
        "First.", r"Then \x1b[2J [masked KEY].", "→ Bash: ls", "✗ no", "± a.py", "a warning",
    ]  # fmt: skip
    assert transcript.partial() == []
    assert next(iter(read(tmp_path, job(), raw=True).more())) == json.dumps(CLAUDE[0])


def test_a_command_is_shown_with_its_line_and_why_it_failed(tmp_path: Path) -> None:
    (tmp_path / "output.log").write_text("one\ntwo")
    (tmp_path / "stderr.log").write_text("bad\n")
    failed = JobResult(ok=False, code="exit_nonzero", message="pytest -q ended with 1")
    transcript = read(tmp_path, job(JobKind.COMMAND, failed, name="verify", command="pytest -q"))
    assert transcript.head() == ["── a · verify · attempt 2 ──", "$ pytest -q"]
    assert list(transcript.more()) == ["one", "two", "bad"]
    assert transcript.foot() == ["── failed: exit nonzero: pytest -q ended with 1 ──"]


def test_output_is_read_on_as_it_grows(tmp_path: Path) -> None:
    file = tmp_path / "output.log"
    file.write_text("one\ntw")
    transcript = read(tmp_path, job(assistant="ci"))
    assert list(transcript.more()) == ["one"]
    with file.open("a") as stream:
        stream.write("o\nsay y")
    assert list(transcript.more()) == ["two"]
    assert transcript.partial() == ["say y"]
    transcript.job = job(assistant="ci", result=JobResult(ok=True))
    assert list(transcript.more()) == ["say y"]
    assert transcript.ended


@pytest.mark.parametrize(
    ("choice", "taken"),
    [
        (Choice.of("a"), "build verify old"),
        (Choice.of("a/2"), "build verify"),
        (Choice.of("a/1"), "old"),
        (Choice.of("a", verify=True), "verify"),
        (Choice.of("a", failed=True), "verify"),
        (Choice.of("design"), "design"),
        (Choice.of("merged"), "merged"),
        (Choice.of("resolver"), "resolver"),
        (Choice.of("reviewer"), "reviewer"),
    ],
)
def test_names_and_flags_choose_jobs(choice: Choice, taken: str) -> None:
    bad = JobResult(ok=False)
    jobs = {
        "build": job(),
        "verify": job(JobKind.COMMAND, bad, name="verify"),
        "old": job().model_copy(update={"attempt": 1}),
        "design": job(step=None, name="design", role="architect"),
        "merged": job(JobKind.COMMAND, step=None, name="verify", worktree="merged"),
        "resolver": job(step=None, name="resolve", role="resolver"),
        "reviewer": job(step="b", name="review", role="reviewer"),
    }
    assert " ".join(name for name, one in jobs.items() if choice.takes(one)) == taken
