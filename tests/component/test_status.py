"""`status.py` as a process: with and without a run, an orchestrator, a sound state.json, a database, a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from conftest import ROOT
from situations import RUN, SMALL, builder, job, state, store, waiting

from lib.model import Problem
from lib.process import identify
from lib.project.lock import InstanceLock, write_pid
from lib.project.paths import Project, find_project
from lib.steps import BuilderStatus
from orchestrator.persistence.project_folders import make_home
from orchestrator.status.last_output import last_line
from orchestrator.status.query import look

SCRIPT = ROOT / "status.py"
QUESTION = waiting("approve_design", "Read design.md", phase="design", next_action="design_build")
#: What status must never load: each of them costs more than all of it.
HEAVY = {
    "pydantic",
    "typer",
    "structlog",
    "rich",
    "subprocess",
    "git",
    "filelock",
    "yaml",
    "jinja2",
    "argparse",
    "asyncio",
}


@pytest.fixture
def project(repo: Path) -> Project:
    return find_project(repo)


@pytest.fixture
def orchestrator(project: Project) -> Iterator[int]:
    """This process holds the lock, as an orchestrator does; its pid."""
    make_home(project)
    lock = InstanceLock(project)
    lock.acquire()
    try:
        identity = identify(os.getpid())
        assert identity
        write_pid(project, identity)
        yield identity.pid
    finally:
        lock.release()


def status(folder: Path, *args: str, code: int = 0, env: dict[str, str] | None = None) -> str:
    """The output of status.py in `folder`; standard error, if it exits with another code than 0."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *args], cwd=folder, capture_output=True, check=False,
        env={**os.environ, **(env or {})},
    )  # fmt: skip
    assert done.returncode == code, done
    return (done.stderr if code else done.stdout).decode()


def test_without_a_run_it_says_how_to_start_one(repo: Path) -> None:
    assert 'relay start "what you want built"' in status(repo)
    assert json.loads(status(repo, "--json")) == {"run": None, "instances": []}
    assert not (repo / ".project").exists()
    assert not (repo / ".git" / "relay").exists()


def test_outside_a_repository_it_is_refused_with_a_remedy(tmp_path: Path) -> None:
    told = status(tmp_path, code=4)
    assert "is not inside a git repository" in " ".join(told.split())
    assert "try: git init" in told


def test_the_instances_are_listed_when_the_default_one_has_no_run(repo: Path) -> None:
    store(find_project(repo, "web"), state(instance="web"))
    told = status(repo)
    assert "relay status --instance web" in told
    assert "building" in told
    assert "instance web" in status(repo, "--instance", "web")


def test_it_shows_the_run_from_any_folder_of_the_project(project: Project, orchestrator: int) -> None:
    store(project, state(), [builder("a"), builder("b", BuilderStatus.BUILT)])
    told = status(project.root / "src")
    assert "Building: 1 of 2 built, 1 at work" in told
    assert f"orchestrator pid {orchestrator}" in told


def test_with_the_orchestrator_down_it_shows_the_run_and_how_to_go_on(project: Project) -> None:
    store(project, state(), [builder("a")])
    told = status(project.root)
    assert "Stopped: nothing is at work" in told
    assert "\n   relay resume " in told


def test_every_fact_is_in_the_json(project: Project) -> None:
    store(project, QUESTION, [builder("a")])
    data = json.loads(status(project.root, "--json"))
    assert (data["run"], data["mood"], data["orchestrator_pid"]) == (RUN, "ask", None)
    assert data["commands"][0]["text"] == "relay approve"


@pytest.mark.usefixtures("orchestrator")
def test_the_last_line_of_a_builder_is_shown_escaped_and_masked(project: Project) -> None:
    secret = "hush-hush-hush"  # noqa: S105 - that is the point
    prints = f"early\nred \x1b[31malert\x07 {secret}\n\n"
    store(project, state(), [builder("a")], [job("build", "a")], prints=prints)
    told = status(project.root, env={"API_TOKEN": secret})
    assert r"red \x1b[31malert\x07 [masked API_TOKEN]" in told
    assert secret not in status(project.root, "--json", env={"API_TOKEN": secret})


def test_a_broken_state_file_is_told_with_its_remedy_beside_the_last_good_state(project: Project) -> None:
    store(project, QUESTION)
    project.state_file.write_text('{"rev": 7,\n oops')
    told = status(project.root)
    assert "state.json, line 2" in told
    assert "\n   $EDITOR .project/state.json " in told
    assert "relay resume --discard-edit" in told
    assert "Approve ✗" in told


@pytest.mark.usefixtures("orchestrator")
def test_a_problem_that_the_orchestrator_found_is_told(project: Project) -> None:
    store(project, QUESTION, problem=Problem(code="stale_edit", message="an older rev", remedy="relay resume"))
    told = status(project.root)
    assert "an older rev" in told
    assert "\n   relay resume " in told


def test_an_answer_that_nobody_has_taken_up_yet_is_not_asked_for_again(project: Project) -> None:
    store(project, QUESTION)
    text = project.state_file.read_text()
    project.state_file.write_text(text.replace('"action_owner": "ci"', '"action_owner": "code"'))
    assert json.loads(status(project.root, "--json"))["mood"] == "down"


def test_an_older_state_file_that_was_never_replaced_changes_nothing(project: Project) -> None:
    store(project, state(rev=6, paused=True))
    older = project.state_file.read_text()
    store(project, QUESTION)
    project.state_file.write_text(older)
    assert json.loads(status(project.root, "--json"))["mood"] == "ask"


def test_a_missing_state_file_leaves_the_run_as_it_is(project: Project) -> None:
    store(project, QUESTION)
    project.state_file.unlink()
    assert json.loads(status(project.root, "--json"))["mood"] == "ask"


def test_a_state_file_that_would_hang_is_only_told_of(project: Project) -> None:
    store(project, QUESTION)
    project.state_file.unlink()
    os.mkfifo(project.state_file)
    assert "is a FIFO" in " ".join(status(project.root).split())


def test_without_a_readable_database_state_json_is_shown_with_the_reason(project: Project) -> None:
    store(project, QUESTION, [builder("a")])
    project.database.write_bytes(b"no database at all, for sure" * 100)
    told = status(project.root)
    assert "not a database" in told
    assert "Approve ✗" in told
    project.state_file.write_text('{"run": 1}')
    assert "not a database" in status(project.root, code=1)


def test_nothing_heavy_is_loaded(project: Project) -> None:
    store(project, state(), [builder("a")], [job("build", "a")], prints="x\n")
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from orchestrator.commands.status import main; "
        "main([]); sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project.root, capture_output=True, text=True, check=True)
    assert RUN in done.stdout
    assert not HEAVY & set(done.stderr.split())


@pytest.mark.parametrize(("args", "shown"), [(["--bogus"], "unrecognized"), (["--watch", "x"], "invalid float")])
def test_what_it_does_not_know_is_a_usage_error(repo: Path, args: Sequence[str], shown: str) -> None:
    assert shown in status(repo, *args, code=2)


def test_a_reader_that_goes_away_is_no_error(project: Project) -> None:
    store(project, QUESTION)
    command = f"{sys.executable} {SCRIPT} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=project.root, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_stream_that_knows_ascii_only_gets_ascii(project: Project) -> None:
    store(project, waiting("approve_design", "lies das Geänderte", phase="design"))
    told = status(project.root, env={"PYTHONIOENCODING": "ascii"})
    assert told.isascii()
    assert "Approve ?" in told


def test_the_projects_own_lib_is_not_taken_for_relays(project: Project) -> None:
    (project.root / "lib").mkdir()
    (project.root / "lib" / "__init__.py").write_text("raise SystemExit('the wrong lib')")
    store(project, QUESTION)
    assert RUN in status(project.root, env={"PYTHONPATH": str(project.root)})


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("one\ntwo\n\n", "two"),
        ("working 10%\rworking 90%", "working 90%"),
        ('{"type":"assistant","message":{"content":[{"type":"text","text":"Wrote it.\\nDone."}]}}\n', "Done."),
        ('{"type":"assistant","message":{"content":[{"input":{"command":"ls"}}]}}\n{"type":"user"}\n', "ls"),
        ('{"type":"item.completed","item":{"type":"agent_message","text":"hi"}}\n{"type":"turn.completed"}\n', "hi"),
        ('{"type": "half', ""),
        ("[1]\n", "[1]"),
        ("x" * 5000 + "\nend\n", "end"),
        ("x" * 5000, "x" * 4096),
        ("", ""),
    ],
)  # fmt: skip
def test_the_last_line_is_what_a_person_would_read(tmp_path: Path, printed: str, shown: str) -> None:
    file = tmp_path / "output.log"
    file.write_text(printed)
    assert last_line(file) == shown


def test_the_last_line_of_what_is_no_file_is_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "secret").write_text("x")
    (tmp_path / "link").symlink_to("secret")
    assert [last_line(tmp_path / name) for name in ("fifo", "link", "missing")] == ["", "", ""]


@pytest.mark.parametrize("every", [False, True])
def test_the_steps_of_a_workflow_are_counted_and_listed_without_the_worktree_that_they_share(
    project: Project, *, every: bool
) -> None:
    store(project, state(workflow="small"), SMALL)
    view = look(project, every=every)
    assert view is not None
    assert [each.id for each in view.steps] == ["list", "look", "look:a", "look:b", "ok"]
    assert (view.builders, view.progress) == ((), {"done": 2, "running": 1, "pending": 1})
    assert (view.built, view.assistants, view.took_s) == (2, ("claude",), 120.0)
    assert [stop.name for stop in view.track] == ["execution", "merge_build", "landed"]


def test_without_a_database_the_steps_of_a_workflow_are_those_of_state_json(project: Project) -> None:
    store(project, state(workflow="small"), SMALL)
    project.database.write_bytes(b"no database at all" * 100)
    view = look(project)
    assert view is not None
    assert [each.id for each in view.steps] == ["list", "look", "ok", "look:a", "look:b"]
    assert view.progress == {"done": 2, "pending": 1, "running": 1}
