"""A job under its shim: what reaches the program, what is recorded of it, and that it runs at most once."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from spawning import Jobs, as_sh, jobs_in, shells

from lib.process import SpawnFailed, claimed, exit_status, output_size, revoke, survivors

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Prints the arguments, NUL between them.
ECHO = "import os, sys; sys.stdout.buffer.write(b'\\0'.join(os.fsencode(a) for a in sys.argv[1:]))"


@pytest.fixture(params=shells())
def jobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Jobs]:
    with jobs_in(tmp_path, as_sh(request.param, tmp_path)) as started:
        yield started


def test_output_errors_and_exit_are_recorded(jobs: Jobs) -> None:
    job = jobs.sh("echo out; echo err >&2; exit 7")
    assert (job.wait(), job.output, job.errors) == (7, "out\n", "err\n")
    assert output_size(job.folder) == len("out\nerr\n")


def test_a_program_killed_by_a_signal_counts_as_128_and_its_number(jobs: Jobs) -> None:
    job = jobs.sh("kill -KILL $$")
    assert (job.wait(), job.errors) == (128 + signal.SIGKILL, "")


def test_a_missing_program_is_status_127(jobs: Jobs) -> None:
    job = jobs.start("no-such-program")
    assert job.wait() == 127
    assert "no-such-program" in job.errors


def test_a_file_that_is_no_program_is_status_126(jobs: Jobs) -> None:
    job = jobs.start("/etc/passwd")
    assert job.wait() == 126
    assert "/etc/passwd" in job.errors


def test_a_working_directory_that_is_gone_is_status_126(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.start("true", cwd=tmp_path / "gone")
    assert job.wait() == 126
    assert "gone" in job.errors


@pytest.mark.parametrize("builtin", ["exit", "exec", "trap", "return", "set"])
def test_a_builtin_of_the_shell_is_not_taken_for_a_program(jobs: Jobs, builtin: str) -> None:
    assert jobs.start(builtin, "0").wait() == 127


@pytest.mark.parametrize(
    "arguments",
    [
        ["", " ", "a b", "*", "~", "$HOME", "$(touch pwned)", "`touch pwned`", ";", "&", "|", "'", '"', "\\", "\\n"],
        ["-n", "-e", "--", "-", "--output=F", "-c"],
        ["line\nline\n", "tab\t", "\r", "\x1b[31m", "é", "漢", "x" * 100_000],
        [os.fsdecode(bytes(range(1, 256)))],
    ],
)
def test_arguments_reach_the_program_unchanged(jobs: Jobs, arguments: list[str]) -> None:
    job = jobs.python(ECHO, *arguments)
    assert job.wait() == 0
    assert (job.folder / "output.log").read_bytes() == b"\0".join(map(os.fsencode, arguments))
    assert not (jobs.root / "pwned").exists()


def test_the_environment_is_the_given_one_and_the_mark(jobs: Jobs) -> None:
    given = {"PATH": os.environ["PATH"], "A": "1\n2", "ODD": os.fsdecode(b"\xff=\x01"), "ENV": "/"}
    job = jobs.start("env", "-0", env=given | {"OLDPWD": "/"})
    assert job.wait() == 0
    raw = (job.folder / "output.log").read_bytes().rstrip(b"\0").split(b"\0")
    got = dict(os.fsdecode(entry).split("=", 1) for entry in raw)
    for added_by_bash in ("_", "SHLVL"):
        got.pop(added_by_bash, None)
    assert got == given | {"RELAY_JOB": job.id, "PWD": str(jobs.root)}


def test_standard_input_is_the_given_file(jobs: Jobs, tmp_path: Path) -> None:
    prompt = tmp_path / "prompt"
    prompt.write_text("build it\nnow")
    job = jobs.start("cat", stdin_file=prompt)
    assert (job.wait(), job.output) == (0, "build it\nnow")


def test_without_a_file_standard_input_is_at_its_end(jobs: Jobs) -> None:
    job = jobs.start("cat")
    assert (job.wait(), job.output) == (0, "")


def test_output_is_added_to_what_is_there(jobs: Jobs) -> None:
    spec = jobs.spec("echo", "second")
    spec.folder.mkdir()
    (spec.folder / "output.log").write_text("first\n")
    job = jobs.run(spec)
    job.wait()
    assert job.output == "first\nsecond\n"


def test_no_descriptor_of_ours_reaches_the_program(jobs: Jobs, tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.set_inheritable(lock.fileno(), True)
        job = jobs.python("import os; fd = os.open('.', 0); print([int(n) for n in os.listdir('/proc/self/fd')], fd)")
        job.wait()
    assert job.output == "[0, 1, 2, 3, 4] 3\n"


def test_signals_are_as_at_the_start_of_the_world(jobs: Jobs) -> None:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        job = jobs.start("grep", "-E", "SigBlk|SigIgn", "/proc/self/status")
    finally:
        signal.signal(signal.SIGINT, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    assert job.wait() == 0
    standard = (1 << 31) - 1
    assert [int(line.split()[1], 16) & standard for line in job.output.splitlines()] == [0, 0]


def test_it_runs_in_a_session_of_its_own(jobs: Jobs) -> None:
    job = jobs.python("import os; print(os.getsid(0), os.getpgid(0))")
    job.wait()
    assert job.output == f"{job.shim.pid} {job.shim.pid}\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_to_the_group_ends_the_program_and_not_its_record(jobs: Jobs, number: signal.Signals) -> None:
    job = jobs.sh("echo ready; exec sleep 100").says("ready")
    os.killpg(job.shim.pid, number)
    assert job.wait() == 128 + number


def test_the_claim_names_the_shim(jobs: Jobs) -> None:
    job = jobs.start("true")
    assert job.wait() == 0
    assert claimed(job.folder) == job.shim


def test_a_second_shim_of_the_same_job_does_not_run_it(jobs: Jobs) -> None:
    spec = jobs.spec("echo", "once")
    first, second = jobs.run(spec), jobs.run(spec)
    first.wait()
    second.wait()
    assert (first.output, exit_status(spec.folder)) == ("once\n", 0)
    assert claimed(spec.folder) in {first.shim, second.shim}


def test_a_revoked_job_never_runs(jobs: Jobs) -> None:
    spec = jobs.spec("echo", "never")
    assert revoke(spec.folder)
    job = jobs.run(spec)
    assert (job.wait(), job.output, claimed(spec.folder)) == (None, "", None)


def test_a_claimed_job_can_not_be_revoked(jobs: Jobs) -> None:
    job = jobs.start("true")
    job.wait()
    assert not revoke(job.folder)


@pytest.mark.parametrize("recorded", [b"", b"0", b"12", b"0\n1\n", b"-1\n", b"x\n"])
def test_an_exit_counts_only_when_it_is_whole(tmp_path: Path, recorded: bytes) -> None:
    (tmp_path / "exit").write_bytes(recorded)
    assert exit_status(tmp_path) is None


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["echo", "nul\0"], "null byte"),
        (["echo", "x" * 5_000_000], os.strerror(errno.E2BIG)),
        (["-c", "id"], "dash"),
    ],
)
def test_what_can_not_be_started_is_told_and_leaves_no_process(jobs: Jobs, argv: list[str], reason: str) -> None:
    spec = jobs.spec(*argv)
    with pytest.raises(SpawnFailed, match=reason) as failure:
        jobs.run(spec)
    assert (failure.value.code, claimed(spec.folder), survivors([spec.job_id])) == ("spawn_failed", None, {})


def test_output_is_not_written_through_a_link(jobs: Jobs, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("kept")
    spec = jobs.spec("echo", "x")
    spec.folder.mkdir()
    (spec.folder / "output.log").symlink_to(target)
    with pytest.raises(SpawnFailed):
        jobs.run(spec)
    assert target.read_text() == "kept"


def test_a_program_is_looked_for_in_the_jobs_own_path_and_folder(jobs: Jobs, tmp_path: Path) -> None:
    tool = tmp_path / "bin" / "tool"
    tool.parent.mkdir()
    tool.write_text(f"#!{sys.executable}\nprint('tool')\n")
    tool.chmod(0o755)
    by_path = jobs.start("tool", env={"PATH": str(tool.parent)})
    by_folder = jobs.start("./tool", cwd=tool.parent)
    assert (by_path.wait(), by_folder.wait()) == (0, 0)
    assert by_path.output == by_folder.output == "tool\n"
