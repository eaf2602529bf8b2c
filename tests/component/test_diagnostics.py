"""Lines that the orchestrator writes about itself to orchestrator.log."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from driver import Relay

from lib.config.model import LogLevel
from orchestrator.diagnostics import Diagnostics


def test_a_line_has_the_run_and_the_job_and_no_secret(capfd: pytest.CaptureFixture[str]) -> None:
    log = Diagnostics("run-1", LogLevel.DEBUG, lambda text: text.replace("hunter2", "[masked]"))
    with log.about("0001-a-build"):
        log.debug("launch", command="x --key hunter2")
        thread = threading.Thread(target=log.info, args=("another thread",))
        thread.start()
        thread.join()
    log.info("a\x1b[2Jb\nc")
    launch, other, rest = capfd.readouterr().err.splitlines()[:3]
    assert launch.split(None, 2)[1:] == ["debug", "launch  run=run-1 command='x --key [masked]' job=0001-a-build"]
    assert other.endswith("info     another thread  run=run-1")
    assert "a\\x1b[2Jb\\nc" in rest


def test_only_lines_of_its_level_are_written(capfd: pytest.CaptureFixture[str]) -> None:
    log = Diagnostics("run-1", LogLevel.WARNING, str)
    log.info("begins")
    log.standing("a log is not written", "No space left on device")
    assert [line.split()[1] for line in capfd.readouterr().err.splitlines()] == ["warning"]


def test_what_goes_on_being_wrong_is_written_once(capfd: pytest.CaptureFixture[str]) -> None:
    log = Diagnostics("run-1", LogLevel.INFO, str)
    for reason in (None, "full", "full", "read-only", "", ""):
        log.standing("a log is not written", reason)
    lines = capfd.readouterr().err.splitlines()
    assert [line.rsplit("reason=")[-1] for line in lines[:2]] == ["full", "read-only"]
    assert len(lines) == 3
    assert "a log is not written: over" in lines[2]


def test_a_bug_is_written_with_its_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise LookupError("nobody foresaw this")

    try:
        broken()
    except LookupError as error:
        Diagnostics("run-1", LogLevel.ERROR, str).bug("a bug in Relay", error)
    said = capfd.readouterr().err
    assert "in broken" in said
    assert "LookupError: nobody foresaw this" in said


def test_a_run_that_can_not_be_listed_says_so_and_goes_on(relay: Relay, tmp_path: Path) -> None:
    blocked = tmp_path / "state-of-user"
    blocked.write_text("a file where a folder is wanted")
    relay.begin("scripted", "calculator", "--yes", env={"XDG_STATE_HOME": str(blocked), "RELAY_LOG_LEVEL": "debug"})
    relay.over()
    lines = (relay.home / "logs" / "orchestrator.log").read_text().splitlines()
    run = relay.state()["run"]
    assert all(f"run={run}" in line for line in lines)
    assert sum("the run is not listed" in line and "Not a directory" in line for line in lines) == 1
    assert any(" launch " in line and "job=0" in line for line in lines)
    assert "begins" in lines[0]
    assert "  ends  " in lines[-1]


def test_a_log_that_can_not_be_written_is_told_and_ends_no_tick(relay: Relay) -> None:
    logs = relay.home / "logs"
    relay.begin("scripted", "calculator")
    relay.asked("approve_design")
    (logs / "workflow.log").unlink()
    (logs / "workflow.log").mkdir()
    relay("approve")
    relay.over()
    assert "a log is not written" in (logs / "orchestrator.log").read_text()
