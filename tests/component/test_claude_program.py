"""The claude adapter drives a program of that name: a small one here, which plays what the real one printed."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from lib.assistants.claude import assistant
from lib.contracts import Exit, Turn
from lib.jobs import JobResult

CAPTURES = Path(__file__).parent.parent / "captures"
PROGRAM = """\
#!/bin/sh
printf '%s\\n' "$@" > "$SEEN/argv"
env > "$SEEN/env"
cat > "$SEEN/stdin"
cat {capture}
exit {status}
"""


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    folder = tmp_path / "seen"
    folder.mkdir()
    return folder


def play(seen: Path, case: str, status: int, prompt: str = "p", session: str | None = None) -> JobResult:
    """One turn with a `claude` that prints the capture and exits so."""
    folder = seen.parent / "bin"
    folder.mkdir(exist_ok=True)
    capture = shlex.quote(str(CAPTURES / f"claude-{case}.jsonl"))
    (folder / "claude").write_text(PROGRAM.format(capture=capture, status=status))
    (folder / "claude").chmod(0o755)
    turn = Turn(role="builder", prompt=prompt, worktree="/w", scratch="/s", session=session)
    launch = assistant.launch(turn)
    env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "SEEN": str(seen), "CLAUDECODE": "1", **launch.env}
    done = subprocess.run(launch.argv, env=env, input=launch.stdin, capture_output=True, text=True, check=False)
    events = [event for line in done.stdout.splitlines() for event in assistant.read(line)]
    return assistant.verdict(Exit(done.returncode), events, done.stderr)


def test_a_large_prompt_that_looks_like_an_option_arrives_whole(seen: Path) -> None:
    prompt = "--help $(touch x) {{ y }} é\n" + "x" * 300_000
    assert play(seen, "ok", 0, prompt).ok
    assert (seen / "stdin").read_text() == prompt


def test_it_runs_quietly_with_few_retries_and_as_root_contained(seen: Path) -> None:
    play(seen, "ok", 0)
    env = dict(line.split("=", 1) for line in (seen / "env").read_text().splitlines() if "=" in line)
    assert env["CLAUDE_CODE_MAX_RETRIES"] == "2"
    assert env["DISABLE_AUTOUPDATER"] == env["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] == "1"
    assert env["CLAUDECODE"] == ""
    assert env.get("IS_SANDBOX") == ("1" if os.geteuid() == 0 else None)


def test_a_session_goes_on_where_it_ended(seen: Path) -> None:
    first = play(seen, "resume1", 0)
    play(seen, "resume2", 0, session=first.session)
    assert (seen / "argv").read_text().splitlines()[-2:] == ["--resume", first.session]


def test_its_success_with_an_error_flag_is_a_failure(seen: Path) -> None:
    result = play(seen, "api401", 1)
    assert (result.ok, result.code, result.remedy) == (False, "auth", "claude /login")
