"""The orchestrator under attack: rivals, closed terminals, odd files for state.json, full disks, signals."""

from __future__ import annotations

import json
import os
import pty
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from apart import NAMESPACES, refused
from conftest import run_git
from driver import COMMAND, QUICK, Relay, environ, playbook, process_state, running
from eventually import WAIT_S, eventually
from small_disk import SmallDisk

from lib.errors import EXIT_FAILED, EXIT_REFUSED, RelayError
from lib.events import ProblemFound
from lib.process import now
from lib.project.lock import state_lock
from lib.project.paths import find_project
from lib.store.rundb import RunDB
from orchestrator.persistence.run_store import restore
from orchestrator.persistence.state_sync import Handover

ONE = {"one": [{"write": {"one.txt": "1\n"}}]}


@pytest.fixture
def book(tmp_path: Path) -> str:
    return playbook(tmp_path / "book", ONE)


@pytest.fixture
def gated(relay: Relay, book: str) -> Relay:
    relay.begin(book)
    relay.asked("approve_design")
    return relay


def delete(folder: Path) -> None:
    """Deletes a folder in one moment: its orchestrator may put a file into it while it is emptied."""
    shutil.rmtree(folder.rename(folder.with_name("deleted")))


# --- one at a time ---


RIVALS: dict[str, Callable[[Relay], object]] = {
    "all as it was": lambda _: None,
    "the pid file deleted": lambda relay: (relay.home / "orchestrator.pid").unlink(),
    "a lying pid file": lambda relay: (relay.home / "orchestrator.pid").write_text("1\n"),
    ".project deleted": lambda relay: shutil.rmtree(relay.root / ".project", ignore_errors=True),
    "the locks deleted": lambda relay: delete(relay.root / ".git" / "relay" / "instances"),
}


@pytest.mark.parametrize("meanwhile", RIVALS)
def test_a_second_orchestrator_is_refused(gated: Relay, book: str, meanwhile: str) -> None:
    pid = gated.pid()
    RIVALS[meanwhile](gated)
    for command in (["start", "--assistant", book, "more"], ["start", "--foreground", "--assistant", book, "more"]):
        assert "Traceback" not in gated(*command, code=EXIT_REFUSED)
    assert "running already" in gated("resume")
    assert pid
    assert running(pid)
    gated("approve")
    gated.over()
    assert len(gated.events("orchestrator_started")) == 1


def test_a_deleted_run_database_is_told(gated: Relay) -> None:
    delete(gated.root / ".git" / "relay")
    gated("approve")
    eventually(lambda: "was deleted" in gated("status"))
    assert gated.pid() is not None
    gated("stop")


@pytest.mark.parametrize("back", [True, False], ids=["put back", "given up"])
def test_what_is_told_of_a_deleted_run_database_can_be_done(gated: Relay, book: str, back: bool) -> None:
    database = gated.root / ".git" / "relay" / "relay.db"
    aside = [file.rename(file.with_suffix(f".aside{file.suffix}")) for file in database.parent.glob("relay.db*")]
    gated("approve")
    eventually(lambda: "relay stop && git branch" in " ".join(gated("status").split()))
    gated("stop")  # before it is put back: else the orchestrator may have landed the run by then
    if back:
        for file in aside:
            file.rename(database.parent / file.name.replace(".aside", ""))
        gated("resume")
    else:
        gated("start", "--assistant", book, "parts", "--yes")
    gated.over()


def test_a_deleted_pid_file_is_there_again(gated: Relay) -> None:
    pid = gated.pid()
    (gated.home / "orchestrator.pid").unlink()
    eventually(lambda: gated.pid() == pid)


def test_many_resumes_at_once_start_one_orchestrator(gated: Relay) -> None:
    gated("stop")
    rivals = [gated.popen("resume") for _ in range(6)]
    codes = sorted(rival.wait(WAIT_S) for rival in rivals)
    assert set(codes) <= {0, EXIT_REFUSED}
    gated("approve")
    gated.over()
    assert len(gated.events("orchestrator_started")) == 2


def test_of_many_starts_at_once_one_makes_a_run(relay: Relay, book: str) -> None:
    rivals = [relay.popen("start", "--assistant", book, "parts") for _ in range(5)]
    assert sorted(rival.wait(WAIT_S) for rival in rivals) == [0] + [EXIT_REFUSED] * 4
    relay.asked("approve_design")
    assert len(json.loads(relay("runs", "--format", "json"))) == 1


def test_two_instances_and_two_projects_leave_each_other_alone(relay: Relay, tmp_path: Path) -> None:
    other = Relay(tmp_path / "other")
    run_git(tmp_path, "clone", "-q", str(relay.root), str(other.root))
    second = Relay(relay.root, instance="second")
    for number, each in enumerate((relay, second, other)):
        each.begin(playbook(tmp_path / f"book{number}", {f"b{number}": [{"write": {f"{number}.txt": "x\n"}}]}))
    pids = {each.asked("approve_design")["run"]: each.pid() for each in (relay, second, other)}
    assert len(set(pids.values())) == 3
    second("approve")
    second.over()
    assert (relay.root / "1.txt").exists()
    assert not (relay.root / "0.txt").exists()
    relay("approve")
    other("approve")
    relay.over()
    other.over()
    assert sorted(path.name for path in relay.root.glob("?.txt")) == ["0.txt", "1.txt"]
    assert sorted(path.name for path in other.root.glob("?.txt")) == ["2.txt"]


# --- terminals and signals ---


@pytest.mark.parametrize("flags", [[], ["--wait"], ["--foreground"]], ids=" ".join)
def test_the_run_survives_its_terminal(relay: Relay, book: str, flags: list[str]) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(relay.root)
        os.execvpe(sys.executable, [*COMMAND, "start", *flags, "--assistant", book, "parts"],  # noqa: S606
                   environ(QUICK | {"TERM": "xterm"}))  # fmt: skip
    relay.asked("approve_design")
    os.close(terminal)  # the kernel sends SIGHUP to who had it
    relay("approve")
    relay.over()
    assert os.waitpid(pid, 0)[0] == pid
    assert len(relay.events("orchestrator_started")) == 1


@pytest.mark.parametrize("output", ["<&- >&- 2>&-", "| true", "--wait | true", "--foreground | true"])
def test_closed_and_broken_output_does_not_reach_the_run(relay: Relay, book: str, output: str) -> None:
    line = f"{shlex.join(COMMAND)} start --assistant {book} parts {output}"
    with subprocess.Popen(["/bin/sh", "-c", line], cwd=relay.root, env=environ(QUICK), stderr=subprocess.DEVNULL):
        relay.asked("approve_design")
        relay("approve")
        relay.over()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_term_and_int_stop_an_idle_orchestrator_which_leaves_nothing_of_its_own(
    gated: Relay, number: signal.Signals
) -> None:
    pid = gated.pid()
    assert pid is not None
    assert (gated.home / "orchestrator.pid").read_text().split()[0] == str(pid)
    os.kill(pid, number)
    eventually(lambda: gated.pid() is None)
    eventually(lambda: not (gated.home / "orchestrator.pid").exists())
    assert gated.events("orchestrator_stopped") == [{"kind": "orchestrator_stopped", "reason": number.name}]
    gated("approve")
    gated.over()


def test_quit_tells_what_it_is_at_and_it_goes_on(gated: Relay) -> None:
    pid = gated.pid()
    assert pid is not None
    os.kill(pid, signal.SIGQUIT)
    log = gated.home / "logs" / "orchestrator.log"
    eventually(lambda: "Current thread" in log.read_text() and "in serve" in log.read_text())
    gated("approve")
    gated.over()


def test_usr1_pauses_and_usr2_resumes(gated: Relay) -> None:
    pid = gated.pid()
    assert pid is not None
    os.kill(pid, signal.SIGUSR1)
    gated.wait(lambda s: s["paused"])
    gated("approve")
    gated.wait(lambda s: s["action_owner"] == "code")
    assert gated.state()["phase"] == "design"
    os.kill(pid, signal.SIGUSR2)
    gated.over()


def test_a_storm_of_signals_is_survived(gated: Relay) -> None:
    pid = gated.pid()
    assert pid is not None
    for _ in range(500):
        os.kill(pid, signal.SIGUSR1)
        os.kill(pid, signal.SIGUSR2)
        os.kill(pid, signal.SIGHUP)
    gated("resume")
    gated("approve")
    gated.over()


def test_stopped_and_continued_it_goes_on(gated: Relay) -> None:
    pid = gated.pid()
    assert pid is not None
    while True:
        os.kill(pid, signal.SIGSTOP)
        eventually(lambda: process_state(pid) == "T")
        with suppress(RelayError), state_lock(find_project(gated.root), timeout_s=0):
            break
        os.kill(pid, signal.SIGCONT)  # it was writing: once more
    gated("approve")
    os.kill(pid, signal.SIGCONT)
    gated.over()


# --- what may stand in the place of state.json ---


def _fifo(file: Path) -> None:
    os.mkfifo(file)


def _folder(file: Path) -> None:
    file.mkdir()


def _socket(file: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(file))


def _link(file: Path) -> None:
    file.symlink_to(file.with_name("elsewhere.json"))


def _huge(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(50_000_000)


def _deep(file: Path) -> None:
    file.write_text("[" * 400_000)


def _utf16(file: Path) -> None:
    file.write_text('{"action_owner": "code"}', encoding="utf-16")


STANDING = {"a FIFO": _fifo, "a folder": _folder, "a socket": _socket, "a link": _link, "50 MB": _huge,
            "deep nesting": _deep, "UTF-16": _utf16}  # fmt: skip


def test_what_is_no_state_file_is_told_and_the_last_good_one_can_be_had_back(
    gated: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(gated.home)  # the path of a socket must be short
    run = gated.state()["run"]
    for number, (what, put) in enumerate(STANDING.items(), 1):
        gated.state_file.unlink()
        put(Path("state.json"))
        eventually(lambda count=number: len(gated.events("problem_found")) == count)
        shown = gated("status")
        assert "state.json" in shown, what
        assert "relay resume --discard-edit" in shown, what
        assert gated.pid() is not None, what
        gated("resume", "--discard-edit")
        gated.wait(lambda s: s["run"] == run)
        eventually(lambda count=number: len(gated.events("problem_mended")) == count)
    gated("approve")
    gated.over()


@pytest.mark.parametrize("name", [".project", ".project/logs", ".project/runs", ".project/worktrees", ".git/relay"])
def test_a_link_in_the_place_of_our_folders_is_refused_before_anything_is_written(
    relay: Relay, book: str, tmp_path: Path, name: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = relay.root / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside)
    said = relay("start", "--assistant", book, "parts", code=EXIT_REFUSED)
    assert "link" in said
    assert list(outside.iterdir()) == []


# --- between the record and the file ---


def test_killed_between_the_end_of_a_run_and_state_json_the_next_command_writes_it(gated: Relay, book: str) -> None:
    earlier = gated.state_file.read_bytes()
    gated("approve")
    gated.over()
    last = gated.state_file.read_bytes()
    gated.state_file.write_bytes(earlier)  # as it stood when the kill came
    assert "is over (landed); state.json says so now" in gated("resume")
    assert gated.state_file.read_bytes() == last
    gated.state_file.write_bytes(earlier)
    gated.begin(book)
    assert not list(gated.home.glob("state.json.rejected-*"))


def test_what_was_committed_is_done_though_state_json_cannot_be_written(gated: Relay) -> None:
    """A tick whose decision is in the run database, and whose file is no plain one when it comes to writing it."""
    gated.kill()
    project = find_project(gated.root)
    with RunDB.open(project) as db:
        run = restore(db, gated.state()["run"])
        handover = Handover(project, db, run)
        handover.observe(run, [], now())
        run = replace(run, state=run.state.model_copy(update={"message": "changed"}))
        with state_lock(project):
            draft = handover.draft(run, now())
            assert draft is not None
            gated.state_file.unlink()
            gated.state_file.mkdir()
            (told,) = handover.publish(draft)
    assert isinstance(told, ProblemFound)
    assert "is a folder" in told.problem.message
    assert "rm " in told.problem.remedy or "ls -ld" in told.problem.remedy


@pytest.mark.parametrize("lost", ["rm .project/state.json", "rm -r .project"])
def test_a_command_puts_back_the_state_json_of_a_run_that_is_under_way(gated: Relay, lost: str) -> None:
    gated.kill()
    subprocess.run(["/bin/sh", "-c", lost], cwd=gated.root, check=True)
    assert "Building starts" in gated("approve")
    gated.over()


def test_a_run_is_resumed_without_its_folder_which_is_made_again(gated: Relay) -> None:
    gated("stop")
    shutil.rmtree(gated.root / ".project")
    gated("resume")
    gated.asked("approve_design")


# --- machines that have not enough ---


@pytest.fixture
def disk(small_disk: SmallDisk) -> Path:
    return small_disk("size=24m")


def fill(folder: Path) -> Path:
    """A file that takes all the room that is left."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    stream.write(b"\0" * size)
            except OSError:
                continue
    return ballast


def test_a_full_disk_holds_the_run_with_the_reason_and_room_lets_it_go_on(
    disk: Path, repo: Path, tmp_path: Path
) -> None:
    relay = Relay(disk / "project")
    shutil.copytree(repo, relay.root)
    relay.begin(playbook(tmp_path / "book", ONE), "parts", "--poll", "0.5")
    relay.asked("approve_design")
    ballast = fill(disk)
    # in place and no longer than it was, as there is no room for more
    text = relay.state_file.read_text().replace('"action_owner": "ci"', '"action_owner":"code"')
    with relay.state_file.open("r+") as stream:
        stream.write(text)
    shown = eventually(lambda: (shown := relay("status")) and "space" in shown.lower() and shown)
    assert "Traceback" not in shown
    assert relay.pid() is not None
    assert json.loads(relay.state_file.read_text())["action_owner"] == "code"
    ballast.unlink()
    relay.over()
    assert (relay.root / "one.txt").exists()
    assert run_git(relay.root, "fsck", "--no-dangling") == ""
    assert not [path.name for path in relay.home.iterdir() if path.name.startswith(".state.json")]


def test_resuming_on_a_full_disk_names_the_cause_and_room_lets_it_go_on(disk: Path, repo: Path, tmp_path: Path) -> None:
    relay = Relay(disk / "project")
    shutil.copytree(repo, relay.root)
    relay.begin(playbook(tmp_path / "book", ONE))
    relay.asked("approve_design")
    relay.kill()
    ballast = fill(disk)
    said = relay.refused("resume", code=EXIT_FAILED)
    assert "space" in said.lower()
    assert "df -h" in said
    ballast.unlink()
    relay("resume")
    relay("approve")
    relay.over()


def test_without_inotify_the_poll_finds_edits(relay: Relay, book: str) -> None:
    none_left = 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"'
    inside = [*NAMESPACES, "sh", "-c", none_left, "sh"]
    start = [*inside, *COMMAND, "start", "--poll", "0.3", "--assistant", book, "parts"]
    done = subprocess.run(start, cwd=relay.root, env=environ(QUICK), check=False, timeout=WAIT_S, capture_output=True)
    assert done.returncode == 0, refused(done.stderr.decode()) or done
    relay.asked("approve_design")
    relay.edit(action_owner="code")
    relay.over()


def test_a_builder_that_has_used_up_its_descriptors_harms_no_other(relay: Relay, tmp_path: Path) -> None:
    starved = [{"run": "ulimit -n 3; cat README.md > copy"}]
    relay.begin(playbook(tmp_path / "book", {**ONE, "two": starved}), "parts", "--yes", env={"RELAY_ATTEMPTS": "1"})
    state = relay.asked("fix_failure")
    assert {line["id"]: line["status"] for line in state["builders"]} == {"one": "built", "two": "failed"}


# --- what a clone brings ---


EVIL = {
    "config.yaml": "verify: touch {mark}\nsetup: touch {mark}\n",
    "phases/design.py": "import pathlib; pathlib.Path('{mark}').touch()\n",
    "phases/design": "#!/bin/sh\ntouch {mark}\n",
    "prompts/builder.md.j2": "{{{{ cycler.__init__.__globals__.os.system('touch {mark}') }}}}",
}


@pytest.mark.parametrize("name", EVIL)
def test_what_a_cloned_repository_brings_runs_only_once_trusted(
    relay: Relay, book: str, tmp_path: Path, name: str
) -> None:
    mark = tmp_path / "mark"
    file = relay.root / ".project" / name
    file.parent.mkdir(parents=True)
    file.write_text(EVIL[name].format(mark=mark))
    file.chmod(0o755)
    run_git(relay.root, "add", "-f", ".project")
    run_git(relay.root, "commit", "-qm", "evil")
    clone = Relay(tmp_path / "clone")
    run_git(tmp_path, "clone", "-q", str(relay.root), str(clone.root))
    for command in (
        ["start", "--assistant", book, "--yes", "parts"],
        ["start", "--dry-run", "--assistant", book, "parts"],
    ):
        said = clone(*command, code=EXIT_REFUSED)
        assert name in said
        assert "relay trust" in said
    clone("status")
    clone("runs")
    clone.process("doctor")
    assert name in clone("trust", "--list")
    assert not mark.exists()
    assert not clone.state_file.exists()
