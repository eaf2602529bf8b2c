"""Installed packages are those of the repository, and run beside a project that has packages of the same names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from eventually import WAIT_S

from lib.project.bootstrap import EXIT_REFUSED, NEEDED

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("lib", "orchestrator", "phases", "templates")


def run(command: list[str | Path], cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environ}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=WAIT_S)


def sources() -> list[str]:
    """Every file of the repository that git knows or would add, as paths from its root."""
    listed = run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], ROOT).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository as a clone would be, without what was built or cached in this one."""
    folder = tmp_path_factory.mktemp("check out")
    for name in sources():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def dist(checkout: Path) -> Path:
    """The folder of an sdist and of the wheel that was built from that sdist."""
    built = run([sys.executable, "-m", "build", "--no-isolation"], checkout)
    assert built.returncode == 0, built.stdout + built.stderr
    return checkout / "dist"


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel was installed to; its dependencies are those of this Python."""
    folder = tmp_path_factory.mktemp("installed")
    wheel = next(dist.glob("*.whl"))
    done = run([sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--target", folder, wheel], folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Someone's project, whose packages are named like ours."""
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('a package of the project was imported')\n")
    return tmp_path


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(dist: Path) -> None:
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert held == {name for name in sources() if name.split("/")[0] in PACKAGES}


def test_the_sdist_carries_the_license(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        assert {"LICENSE", "README.md"} <= {name.split("/", 1)[-1] for name in sdist.getnames()}


def test_the_wheel_says_what_pyproject_says(dist: Path) -> None:
    told = metadata(next(dist.glob("*.whl")))

    assert told["Version"] == project()["version"]
    assert told["Requires-Python"] == project()["requires-python"]
    assert told["License-Expression"] == "MIT"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("relay", "--version"), f"relay {project()['version']}"),
        (("start_workflow.py", "--help"), "--assistant"),
        (("status.py", "--help"), "--watch"),
    ],
)
def test_installed_commands_run_beside_packages_of_the_same_names(
    command: tuple[str, ...], told: str, installed: Path, foreign: Path
) -> None:
    # Our own commands can only be found where nothing else is called `orchestrator`.
    shutil.rmtree(foreign / "orchestrator")
    path = os.pathsep.join([str(foreign), str(installed)])

    done = run([installed / "bin" / command[0], *command[1:]], foreign, PYTHONPATH=path, COLUMNS="120")

    assert done.returncode == 0, done.stderr
    assert told in done.stdout


@pytest.mark.parametrize("command", [("relay", "status"), ("start_workflow.py", "a requirement"), ("status.py",)])
def test_installed_commands_give_their_own_exit_codes(command: tuple[str, ...], installed: Path, foreign: Path) -> None:
    done = run([installed / "bin" / command[0], *command[1:]], foreign, PYTHONPATH=str(installed))

    assert done.returncode == EXIT_REFUSED
    assert "is not inside a git repository" in " ".join(done.stderr.split())


@pytest.mark.parametrize("script", ["start_workflow.py", "status.py"])
def test_a_script_of_a_checkout_runs_by_a_link_beside_packages_of_the_same_names(
    script: str, checkout: Path, foreign: Path
) -> None:
    (foreign / script).symlink_to(checkout / script)

    done = run([sys.executable, "-P", script, "--help"], foreign, PYTHONPATH=str(foreign))

    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()


def test_a_python_without_the_dependencies_is_told_what_to_type(checkout: Path, foreign: Path) -> None:
    done = run([sys.executable, "-S", checkout / "start_workflow.py", "a requirement"], foreign)

    assert done.returncode == EXIT_REFUSED
    assert done.stderr == f"Relay is not set up in {checkout}; type: make -C '{checkout}' setup\n"
    assert not done.stdout


def test_a_python_without_the_dependencies_hands_over_to_the_checkouts_own(checkout: Path, foreign: Path) -> None:
    own = checkout / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    own.chmod(0o755)

    done = run([sys.executable, "-S", checkout / "start_workflow.py", "--help"], foreign)
    shutil.rmtree(checkout / ".venv")

    assert done.returncode == 0, done.stderr
    assert "--assistant" in done.stdout


def test_an_entry_script_looks_for_what_pyproject_requires() -> None:
    everywhere = {re.split(r"[^\w-]", need)[0].lower() for need in project()["dependencies"] if ";" not in need}
    distributions = packages_distributions()

    assert {distributions[name][0].lower() for name in NEEDED} == everywhere
