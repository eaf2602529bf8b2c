"""Files that setup and verify write into worktrees never land, and keep no worktree from being cleaned."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import run_git
from driver import Relay, playbook

ONE, TWO = [{"write": {"one.txt": "1\n"}}], [{"write": {"two.txt": "2\n"}}]
SETUP = "ln -sfn /usr/share deps; echo generated > lock.json"
REPORTS = "mkdir -p reports; date +%s%N > reports/result.xml; date +%s%N > report.txt"


@pytest.fixture
def project(relay: Relay) -> Relay:
    """With a tracked report, a tracked lock file, and an ignored folder in which setup makes a link."""
    (relay.root / ".gitignore").write_text("deps/\n")
    for name in ("report.txt", "lock.json"):
        (relay.root / name).write_text("committed\n")
    run_git(relay.root, "add", "-A")
    run_git(relay.root, "commit", "-qm", "reports")
    (relay.root / "deps").mkdir()
    (relay.root / "deps" / "mine.js").write_text("the user's\n")
    return relay


def assert_only_the_work_landed(relay: Relay, *more: str) -> None:
    assert {path.name for path in relay.root.glob("*.txt")} == {"one.txt", "two.txt", "report.txt", *more}
    for name in ("report.txt", "lock.json"):
        assert (relay.root / name).read_text() == "committed\n"
    assert (relay.root / "deps" / "mine.js").exists()
    assert not (relay.root / "reports").exists()
    assert run_git(relay.root, "status", "--porcelain") == ""
    assert "Mend" not in run_git(relay.root, "log", "--format=%s")
    assert run_git(relay.root, "worktree", "list").count("\n") == 0
    assert run_git(relay.root, "branch", "--list", "relay/*") == ""
    assert run_git(relay.root, "for-each-ref", "refs/relay/rescue") == ""


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_setup_and_verify_leave_nothing_on_the_users_branch(project: Relay, tmp_path: Path, sandbox: str) -> None:
    verify = f"{REPORTS}; test -e {tmp_path}/twice || {{ touch {tmp_path}/twice; exit 1; }}; test -L deps"
    book = playbook(tmp_path / "book", {"one": ONE, "two": TWO}, verify=verify)
    project.begin(book, "parts", "--yes", env={"RELAY_SETUP": SETUP, "RELAY_SANDBOX": sandbox})
    project.over()
    assert_only_the_work_landed(project)


def test_what_a_red_merged_tree_is_left_with_is_no_mend(project: Relay, tmp_path: Path) -> None:
    verify = f"{REPORTS}; test -e {tmp_path}/mended || ! test -e one.txt || ! test -e two.txt"
    book = playbook(tmp_path / "book", {"one": ONE, "two": TWO}, verify=verify)
    project.begin(book, "parts", "--yes", env={"RELAY_SETUP": SETUP})
    project.asked("fix_failure")
    run_git(project.root, "commit", "--allow-empty", "-qm", "meanwhile")
    (tmp_path / "mended").touch()
    project("retry")
    project.over()
    assert_only_the_work_landed(project)


def test_a_mend_lands_without_the_reports_beside_it(project: Relay, tmp_path: Path) -> None:
    verify = f"{REPORTS}; test -e mended.txt || ! test -e one.txt || ! test -e two.txt"
    book = playbook(tmp_path / "book", {"one": ONE, "two": TWO}, verify=verify)
    project.begin(book, "parts", "--yes", env={"RELAY_SETUP": SETUP})
    state = project.asked("fix_failure")
    (project.root / ".project" / "worktrees" / state["run"] / "merged" / "mended.txt").write_text("by hand\n")
    project("retry")
    project.over()
    assert (project.root / "mended.txt").read_text() == "by hand\n"
    assert (project.root / "report.txt").read_text() == "committed\n"
    assert not (project.root / "reports").exists()


@pytest.mark.parametrize("command", ["setup", "verify"])
def test_a_command_that_ends_while_nobody_drives_leaves_nothing_either(
    project: Relay, tmp_path: Path, command: str
) -> None:
    once, pid = tmp_path / "killed", project.root / ".project" / "orchestrator.pid"
    kill = f"test -e {once} || {{ touch {once}; kill -9 $(cat {pid}); }}"
    setup, verify = (f"{SETUP}; {kill}", REPORTS) if command == "setup" else (SETUP, f"{REPORTS}; {kill}")
    book = playbook(tmp_path / "book", {"one": ONE, "two": TWO}, verify=verify)
    project.begin(book, "parts", "--yes", env={"RELAY_SETUP": setup, "RELAY_SANDBOX": "off"})
    project.wait(lambda _: once.exists() and project.pid() is None)
    project("resume")
    project.over()
    assert_only_the_work_landed(project)


def test_ignored_files_of_builders_are_told_and_kept(relay: Relay, tmp_path: Path) -> None:
    (relay.root / ".gitignore").write_text(".env\nbuild/\n")
    run_git(relay.root, "add", "-A")
    run_git(relay.root, "commit", "-qm", "ignore")
    only = [{"write": {".env": "KEY=1\n", "build/out.js": "built\n"}}]
    book = playbook(tmp_path / "book", {"one": [*ONE, *only], "two": only})
    run = relay.begin(book, "parts", "--yes", env={"RELAY_ATTEMPTS": "1"})
    state = relay.asked("fix_failure")
    assert "some that git ignores: .env, build/ (1 file)" in state["message"]
    relay("skip", "two")
    relay.over()
    told = " ".join(event["message"] for event in relay.events("noted"))
    assert "one wrote files that git ignores, which don't land: .env, build/ (1 file)" in told
    assert "ignored files of one are kept in" in told
    assert (relay.root / ".project" / "runs" / run / "ignored" / "one" / ".env").read_text() == "KEY=1\n"


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_submodules_are_there_for_setup_and_verify(relay: Relay, tmp_path: Path, sandbox: str) -> None:
    library = tmp_path / "library"
    library.mkdir()
    run_git(library, "init", "-q")
    run_git(library, "commit", "-q", "--allow-empty", "-m", "empty")
    (library / "lib.c").write_text("1\n")
    run_git(library, "add", "-A")
    run_git(library, "commit", "-qm", "lib")
    run_git(relay.root, "config", "--global", "protocol.file.allow", "always")
    run_git(relay.root, "submodule", "--quiet", "add", str(library), "lib")
    run_git(relay.root, "commit", "-qm", "submodule")
    before = run_git(relay.root, "submodule", "status")
    build = [{"run": "test -f lib/lib.c; echo built > lib/lib.c"}, *ONE]
    book = playbook(tmp_path / "book", {"one": build, "two": TWO}, verify="test -f lib/lib.c")
    setup = {"RELAY_SETUP": "git submodule update --init --recursive", "RELAY_SANDBOX": sandbox}
    relay.begin(book, "parts", "--yes", env=setup)
    relay.over()
    assert run_git(relay.root, "submodule", "status") == before
    assert run_git(relay.root, "worktree", "list").count("\n") == 0
    told = " ".join(event["message"] for event in relay.events("noted"))
    assert "one changed files in submodules, which can't land; they are kept: lib (relay recover)" in told
    assert run_git(relay.root, "show", f"refs/relay/rescue/{relay.state()['run']}/one/1:lib/lib.c") == "built"


def test_one_worktree_that_cannot_be_read_does_not_keep_the_others(relay: Relay, tmp_path: Path) -> None:
    book = playbook(tmp_path / "book", {"one": ONE, "two": TWO})
    run = relay.begin(book, "parts", "--yes", env={"RELAY_LAND": "ask"})
    relay.asked("approve_landing")
    worktree = relay.root / ".project" / "worktrees" / run / "one"
    for key, setting in (("clean", "no-such-program"), ("required", "true")):
        run_git(relay.root, "config", f"filter.gone.{key}", setting)
    (worktree / ".gitattributes").write_text("*.bin filter=gone\n")
    (worktree / "some.bin").write_text("some")
    relay("approve")
    relay.over()
    assert [path.name for path in worktree.parent.iterdir()] == ["one"]
    assert run_git(relay.root, "branch", "--list", "relay/*").split()[-1] == f"relay/{run}/one"
    told = " ".join(event["message"] for event in relay.events("noted"))
    assert f"{worktree} is kept: it can't be cleaned" in told
    assert "no-such-program" in told


def test_the_worktree_of_the_architect_becomes_the_merged_one(project: Relay, tmp_path: Path) -> None:
    book = playbook(tmp_path / "book", {"one": ONE, "two": TWO}, verify="test -e lock.json")
    run = project.begin(book, "parts", env={"RELAY_LAND": "ask"})
    project.asked("approve_design")
    folder = project.root / ".project" / "worktrees" / run
    assert [path.name for path in folder.iterdir()] == ["merged"]
    before = (folder / "merged" / "lock.json").stat().st_ino
    project("approve")
    project.asked("approve_landing", times=2)
    assert (folder / "merged" / "lock.json").stat().st_ino == before
    assert (folder / "merged" / "two.txt").exists()
    assert {path.name for path in folder.iterdir()} == {"merged", "one", "two"}
    project("approve")
    project.over()
    assert_only_the_work_landed(project)


def test_what_an_architect_leaves_does_not_land_and_is_told(project: Relay, tmp_path: Path) -> None:
    design = {"summary": "parts", "components": [{"id": "one"}, {"id": "two"}]}
    architect = {"say": "Parts.", "design": design, "steps": [{"write": {"plan.md": "a plan\n", "report.txt": "x\n"}}]}
    book = playbook(tmp_path / "book", {"one": ONE, "two": TWO}, architect=architect)
    project.begin(book, "parts", "--yes", env={"RELAY_SANDBOX": "off"})
    project.over()
    assert {path.name for path in project.root.glob("*.txt")} == {"one.txt", "two.txt", "report.txt"}
    assert (project.root / "report.txt").read_text() == "committed\n"
    assert not (project.root / "plan.md").exists()
    assert "the architect left work in its worktree" in (project.home / "logs" / "workflow.log").read_text()
    assert run_git(project.root, "show", run_git(project.root, "for-each-ref", "--format=%(refname)",
                                                 "refs/relay/rescue") + ":plan.md") == "a plan"  # fmt: skip
