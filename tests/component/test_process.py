"""Identity of a process, the wait for its end, and the environment of a job."""

from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from eventually import WAIT_S, eventually
from spawning import Jobs, jobs_in

from lib.process import alive, boot_id, environment, identify, mono_s, now, ps, reap, running_s, table, watch_fd

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with jobs_in(tmp_path) as started:
        yield started


def is_readable(descriptor: int, timeout_s: float) -> bool:
    return bool(select.select([descriptor], [], [], timeout_s)[0])


# --- identity ----------------------------------------------------------------------------------------------------


def test_this_process_is_alive_and_known_again() -> None:
    identity = identify(os.getpid())
    assert identity is not None
    assert alive(identity)
    assert identify(os.getpid()) == identity
    assert identity.boot_id == boot_id() == now().boot_id


def test_another_start_or_another_boot_is_another_process() -> None:
    identity = identify(os.getpid())
    assert identity is not None
    assert not alive(identity.model_copy(update={"start_ticks": identity.start_ticks + 1}))
    assert not alive(identity.model_copy(update={"boot_id": "earlier"}))


def test_a_process_that_has_ended_is_not_alive_before_nor_after_it_is_reaped() -> None:
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 3"], {})
    identity = identify(pid)
    assert identity is not None
    eventually(lambda: not alive(identity))
    assert identify(pid) == identity
    assert reap(pid) == 3
    assert not alive(identity)
    assert identify(pid) is None


def test_what_is_not_our_child_is_not_reaped_and_no_error() -> None:
    assert reap(1) is None
    assert reap(2**22 + 1) is None


def test_a_killed_child_is_reaped_as_a_shell_would_count_it() -> None:
    pid = os.posix_spawn("/bin/sleep", ["sleep", "100"], {})
    assert reap(pid) is None
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: reap(pid)) == 128 + signal.SIGKILL


def test_how_long_it_runs_is_counted_from_its_start_in_time_since_boot(jobs: Jobs) -> None:
    before = mono_s()
    shim = jobs.sh("exec sleep 100").shim
    assert before - 1 / os.sysconf("SC_CLK_TCK") <= mono_s() - running_s(shim) <= mono_s()


@pytest.mark.parametrize("name", ["plain", "a b", ") Z 1 2", "((", "x\ny"])
def test_a_name_can_not_forge_the_line_that_it_stands_in(name: str) -> None:
    fields = "7 8 9 0 -1 4194560 1 1 0 0 0 0 0 0 20 0 1 0 4242 0 0 0 0 0 77 0 0"
    row = table.parse_stat(5, f"5 ({name}) S {fields}\n".encode())
    assert row == table.Row(5, 7, 8, 9, 4242, ended=False, program=77, name=name.encode())


@pytest.mark.parametrize(
    ("environ", "mark"),
    [
        (b"RELAY_JOB=a\0B=c", b"a"),
        (b"B=c\0RELAY_JOB=a/b", b"a/b"),
        (b"B=RELAY_JOB=a\0XRELAY_JOB=b\0", b""),
        (b"", b""),
    ],
)
def test_the_mark_is_a_whole_variable(environ: bytes, mark: bytes) -> None:
    assert table.mark_in(environ) == mark


def test_where_there_is_no_proc_ps_tells_the_same(jobs: Jobs) -> None:
    job = jobs.sh("echo ready; exec sleep 100").says("ready")
    ours = ps.row(os.getpid())
    assert ours is not None
    assert (ours.pid, ours.ppid, ours.group, ours.ended) == (os.getpid(), os.getppid(), os.getpgid(0), False)
    assert ps.row(2**22 + 1) is None
    marked = [row.pid for row in ps.rows() if row and table.mark_in(row.environ or b"") == os.fsencode(job.id)]
    assert job.shim.pid in marked


# --- awaiting an end -----------------------------------------------------------------------------------------------


def test_the_watch_is_readable_when_the_process_ends_and_not_before(jobs: Jobs) -> None:
    job = jobs.sh("exec sleep 100")
    descriptor = watch_fd(job.shim)
    assert descriptor is not None
    assert not is_readable(descriptor, 0)
    os.killpg(job.shim.pid, signal.SIGKILL)
    assert is_readable(descriptor, WAIT_S)
    os.close(descriptor)


def test_the_watch_of_one_that_is_gone_is_readable_at_once() -> None:
    identity = identify(os.getpid())
    assert identity is not None
    for gone in ({"start_ticks": 1}, {"pid": 2**22 + 1}):
        descriptor = watch_fd(identity.model_copy(update=gone))
        assert descriptor is not None
        assert is_readable(descriptor, 0)
        os.close(descriptor)


# --- the environment of a job ----------------------------------------------------------------------------------------


def test_git_and_relay_variables_stay_behind_and_those_for_git_transport_go_along() -> None:
    base = {"GIT_DIR": "/x", "GIT_INDEX_FILE": "y", "GIT_SSH_COMMAND": "ssh -i k", "RELAY_POLL_S": "1", "HOME": "/h"}
    assert environment(base, {"RELAY_RUN": "r"}) == {"GIT_SSH_COMMAND": "ssh -i k", "HOME": "/h", "RELAY_RUN": "r"}


def test_what_a_shell_can_not_pass_on_is_left_out_everywhere() -> None:
    base = {"a-b": "1", "BASH_FUNC_x%%": "() { :; }", "_OK1": "2"}
    assert environment(base, {}, passed=["*"]) == {"_OK1": "2"}


def test_only_ordinary_variables_and_those_that_are_asked_for_reach_a_job() -> None:
    base = {"LC_TIME": "C", "https_proxy": "p", "NODE_ENV": "test", "DATABASE_PASSWORD": "s", "DATABASE_URL": "u",
            "ANTHROPIC_API_KEY": "k", "SSH_AUTH_SOCK": "/run/a", "XDG_RUNTIME_DIR": "/run/user/1"}  # fmt: skip
    ordinary = {"LC_TIME": "C", "https_proxy": "p", "NODE_ENV": "test"}
    assert environment(base, {}) == ordinary
    assert environment(base, {}, passed=["ANTHROPIC_*"]) == {**ordinary, "ANTHROPIC_API_KEY": "k"}


@pytest.mark.parametrize("name", ["NODE_AUTH_TOKEN", "MISE_GITHUB_TOKEN", "CONDA_KEY", "LC_PASSWORD"])
def test_an_ordinary_name_that_is_a_secrets_must_be_asked_for(name: str) -> None:
    assert environment({name: "s"}, {}) == {}
    assert environment({name: "s"}, {}, passed=[name]) == {name: "s"}


def test_nobody_can_ask_for_relays_own_variables_or_those_that_choose_a_repository() -> None:
    assert environment({"RELAY_POLL_S": "1", "GIT_DIR": "/x", "MAKEFLAGS": "-j"}, {}, passed=["*"]) == {}


def test_additions_win() -> None:
    assert environment({"A": "1"}, {"A": "2", "GIT_DIR": "z"}, passed=["A"]) == {"A": "2", "GIT_DIR": "z"}


def test_our_checkouts_own_environment_is_taken_out(tmp_path: Path) -> None:
    checkout, theirs = tmp_path / "relay", tmp_path / "theirs"
    for folder in (checkout / ".venv" / "bin", theirs / "bin"):
        folder.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(checkout)
    base = {
        "PATH": f"{link}/.venv/bin:{theirs}/bin::/usr/bin",
        "PYTHONPATH": str(checkout),
        "VIRTUAL_ENV": f"{checkout}/.venv",
    }
    assert environment(base, {}, root=checkout) == {"PATH": f"{theirs}/bin::/usr/bin"}


def test_an_environment_that_the_user_activated_is_kept(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    base = {"PATH": f"{sys.prefix}/bin:/usr/bin", "VIRTUAL_ENV": sys.prefix, "PYTHONPATH": "src:"}
    assert environment(base, {}, root=tmp_path) == base
