"""The guards of conftest.py: a test that leaves something behind fails, and says what."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
#: Tests run by an inner pytest under this repository's conftest, from an environment that is not fit for tests.
INNER = """
import os, subprocess, time
from pathlib import Path
import pytest

@pytest.fixture(scope="module")
def session_home(): return Path.home()

def test_variable(): os.environ["LEFT"] = "1"
def test_folder(): os.chdir("/")
def test_home(session_home): (session_home / ".config" / "relay").mkdir(parents=True)
def test_process(): subprocess.run("sleep 60 >/dev/null 2>&1 &", shell=True, start_new_session=True)
def test_fork():
    if os.fork() == 0:
        time.sleep(60)
def test_orchestrator(repo, tmp_path):
    from driver import Relay, playbook
    Relay(repo).begin(playbook(tmp_path / "book", {"one": []}))
def test_inherited(): assert not {"GIT_DIR", "GIT_INDEX_FILE", "RELAY_ASSISTANT"} & set(os.environ)
def test_home_in_use(): Path(os.environ["REAL_HOME"], ".config", "browser").mkdir()
def test_machine(): assert b"system" not in subprocess.check_output(["git", "config", "--list", "--show-scope"])
def test_monkeypatch(monkeypatch): monkeypatch.setenv("A_SETTING", "1")
"""
HOSTILE = {"GIT_DIR": "/nowhere", "GIT_INDEX_FILE": "/nowhere", "RELAY_ASSISTANT": "claude"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("inner")
    home = folder / "home"
    (home / ".config").mkdir(parents=True)
    (folder / "test_inner.py").write_text(INNER)
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-q", "-rA", "test_inner.py"]
    environ = {"PYTHONPATH": str(ROOT / "tests"), "HOME": str(home), "REAL_HOME": str(home), "COLUMNS": "300",
               "TEST_GRACE_S": "1"}  # fmt: skip
    env = {**os.environ, **HOSTILE, **environ}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(
    ("test", "told"),
    [
        ("variable", "the test changed the environment"),
        ("folder", "the test changed the working directory"),
        ("home", "the test changed the home of the session"),
        ("process", r"the test left processes behind: \['\d+: sleep 60'\]"),
        ("fork", r"the test left processes behind: \['\d+: .*pytest"),
        ("orchestrator", r"the test left processes behind: \['\d+: .*forking\.py"),
    ],
)
def test_a_test_that_leaves_something_behind_fails(test: str, told: str, report: str) -> None:
    assert re.search(rf"^ERROR test_inner.py::test_{test} - AssertionError: {told}", report, re.MULTILINE)


@pytest.mark.parametrize("test", ["inherited", "home_in_use", "machine", "monkeypatch"])
def test_a_test_that_keeps_to_itself_passes_whatever_the_developer_has_set(test: str, report: str) -> None:
    assert f"PASSED test_inner.py::test_{test}" in report
    assert f"ERROR test_inner.py::test_{test}" not in report
