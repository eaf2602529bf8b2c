"""The scripted assistant as a real process: each step does what it says, also the bad ones, and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from eventually import WAIT_S, eventually

from lib.assistants.scripted import assistant
from lib.contracts import Exit, Turn
from lib.jobs import JobResult


class Stage:
    """A worktree, and scripted turns in it. What a turn prints goes to files, as it does under Relay."""

    def __init__(self, folder: Path) -> None:
        self.worktree = folder / "worktree"
        self.worktree.mkdir()
        self.output = folder / "output.log"
        self.errors = folder / "stderr.log"
        self.book = folder / "book.yaml"
        self.mark = f"RELAY_JOB={folder}"

    def start(self, *steps: dict[str, Any], attempt: int = 1) -> subprocess.Popen[bytes]:
        book = {"name": "book", "architect": {"say": "x"}, "builders": {"b": list(steps)}}
        self.book.write_text(yaml.safe_dump(book))
        launch = assistant.launch(
            Turn(
                role="builder",
                prompt="Build it: é {{ x }} \x1d\x1e\x1f",
                worktree=str(self.worktree),
                scratch="/s",
                builder="b",
                attempt=attempt,
                variant=str(self.book),
            )
        )
        name, value = self.mark.split("=")
        prompt = self.book.with_name("prompt")
        prompt.write_text(launch.stdin)
        with prompt.open() as stdin, self.output.open("w") as out, self.errors.open("w") as err:
            return subprocess.Popen(
                launch.argv, cwd=self.worktree, env={**os.environ, **launch.env, name: value},
                stdin=stdin, stdout=out, stderr=err, start_new_session=True,
            )  # fmt: skip

    def play(self, *steps: dict[str, Any], attempt: int = 1) -> JobResult:
        with self.start(*steps, attempt=attempt) as process:
            status = process.wait(timeout=WAIT_S)
        events = [event for line in self.output.read_text().splitlines() for event in assistant.read(line)]
        return assistant.verdict(Exit(status), events, self.errors.read_text())

    def printed(self) -> str:
        return self.output.read_text()

    def living(self) -> list[int]:
        """Every process that bears this stage's mark in its environment."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ended meanwhile
                if self.mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    for pid in stage.living():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not stage.living())


class TestWork:
    def test_says_writes_appends_deletes_and_runs(self, stage: Stage) -> None:
        result = stage.play(
            {"say": "Beginning, naïvely"},
            {"write": {"src/deep/a.txt": "one\r\n", "gone.txt": "x"}},
            {"append": {"src/deep/a.txt": "two\n"}},
            {"delete": "gone.txt"},
            {"run": "wc -l < src/deep/a.txt > lines.txt; echo counted"},
            {"usage": {"input_tokens": 10, "output_tokens": 2, "cost_usd": 0.5}},
            {"say": "Done"},
        )
        assert result.ok
        assert result.text == "Beginning, naïvely\ncounted\nDone"
        assert (result.usage.input_tokens, result.usage.cost_usd) == (10, 0.5)
        assert (stage.worktree / "src/deep/a.txt").read_bytes() == b"one\r\ntwo\n"
        assert (stage.worktree / "lines.txt").read_text().strip() == "2"
        assert not (stage.worktree / "gone.txt").exists()

    def test_no_steps_write_nothing_and_succeed(self, stage: Stage) -> None:
        assert stage.play().ok
        assert list(stage.worktree.iterdir()) == []

    def test_commits_what_is_there(self, stage: Stage, git: Callable[..., str]) -> None:
        git(stage.worktree, "init", "-q")
        assert stage.play({"write": {"a": "1"}}, {"commit": "Add a"}).ok
        assert git(stage.worktree, "log", "--format=%s", "--", "a") == "Add a"
        assert git(stage.worktree, "status", "--porcelain") == ""

    def test_stops_at_a_command_that_fails(self, stage: Stage) -> None:
        result = stage.play({"run": "echo broken >&2; exit 7"}, {"write": {"never": ""}})
        assert (result.code, result.exit_status) == ("exit_nonzero", 7)
        assert "broken" in result.message
        assert not (stage.worktree / "never").exists()

    def test_modules_in_the_worktree_are_not_imported(self, stage: Stage) -> None:
        for name in ("json.py", "lib.py", "sitecustomize.py"):
            (stage.worktree / name).write_text("raise SystemExit('hijacked')")
        assert stage.play({"run": "true"}, {"say": "fine"}).text == "fine"


class TestMisbehaviour:
    def test_fails_so_often_and_then_works(self, stage: Stage) -> None:
        steps = ({"fail": {"status": 4, "times": 2, "say": "bad luck"}}, {"write": {"a": "1"}})
        assert [stage.play(*steps, attempt=attempt).exit_status for attempt in (1, 2, 3)] == [4, 4, 0]
        assert (stage.worktree / "a").exists()
        assert "bad luck" in stage.play(*steps, attempt=1).message

    def test_exits_in_the_middle(self, stage: Stage) -> None:
        result = stage.play({"say": "All done!"}, {"exit": 9}, {"write": {"never": ""}})
        assert (result.ok, result.exit_status) == (False, 9)

    def test_hangs_until_it_is_told_to_stop(self, stage: Stage) -> None:
        with stage.start({"say": "hanging"}, {"hang": True}) as process:
            eventually(lambda: "hanging" in stage.printed())
            assert process.poll() is None
            process.terminate()
            assert process.wait(timeout=WAIT_S) == -signal.SIGTERM

    def test_ignores_term_and_not_kill(self, stage: Stage) -> None:
        with stage.start(
            {"ignore_term": True}, {"say": "deaf"}, {"run": "sleep 0.1"}, {"say": "on"}, {"hang": True}
        ) as process:
            eventually(lambda: "deaf" in stage.printed())
            process.terminate()
            eventually(lambda: "on" in stage.printed().splitlines())
            assert process.poll() is None
            process.kill()
            assert process.wait(timeout=WAIT_S) == -signal.SIGKILL

    def test_leaves_a_process_in_a_session_of_its_own_behind(self, stage: Stage) -> None:
        with stage.start({"fork_away": 600}, {"say": "left"}) as process:
            assert process.wait(timeout=WAIT_S) == 0
        [orphan] = stage.living()
        assert os.getsid(orphan) != process.pid
        assert os.getpgid(orphan) != process.pid
        assert Path(f"/proc/{orphan}/fd/1").readlink() == stage.output

    def test_what_it_left_behind_ends_in_time(self, stage: Stage) -> None:
        stage.play({"fork_away": 0.05})
        eventually(lambda: not stage.living())

    def test_floods_its_output(self, stage: Stage) -> None:
        assert stage.play({"flood": 3}).ok
        assert stage.output.stat().st_size == 3 * 1024 * 1024

    def test_writes_outside_of_its_worktree(self, stage: Stage) -> None:
        stage.play({"edit_outside": "../state.json"})
        assert "outside" in (stage.worktree.parent / "state.json").read_text()
