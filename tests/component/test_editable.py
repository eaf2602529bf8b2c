"""Installations by which Python imports a project from the user's checkout, found by their files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.design.verification import runs_python
from lib.project.editable_installs import editable

PACKAGES = "lib/python3.11/site-packages"


def environment_of(venv: Path, **more: str) -> dict[str, str]:
    return {"PATH": f"{venv / 'bin'}:/nowhere", "HOME": str(venv.parent / "home"), **more}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project" / "src" / "pkg").mkdir(parents=True)
    return tmp_path / "project"


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """A virtual environment, with only the parts of it that are looked at."""
    folder = tmp_path / "venv"
    (folder / PACKAGES).mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").touch(0o755)
    return folder


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


RECORDS: dict[str, tuple[str, Callable[[Path], str], str]] = {
    "pth": ("__editable__.pkg-1.pth", lambda root: f"# a comment\n{root}/src\n", "src"),
    "flat": ("pkg.pth", lambda root: f"{root}\n", "."),
    "finder": ("__editable___pkg_finder.py", lambda root: f"MAPPING = {{'pkg': '{root}/src/pkg'}}\n", "src"),
    "egg": ("pkg.egg-link", lambda root: f"{root}/src\n../\n", "src"),
    "pep610": (
        "pkg-1.dist-info/direct_url.json",
        lambda root: json.dumps({"url": root.as_uri(), "dir_info": {"editable": True}}),
        ".",
    ),
}


@pytest.mark.parametrize("kind", RECORDS)
@pytest.mark.parametrize("known_by", ["path", "variable", "home"])
def test_each_kind_of_record_is_found_wherever_jobs_would_import_from(
    project: Path, venv: Path, kind: str, known_by: str
) -> None:
    name, text, folder = RECORDS[kind]
    place = venv if known_by != "home" else venv.parent / "home" / ".local"
    write(place / PACKAGES / name, text(project))
    env = environment_of(venv)
    if known_by == "variable":
        env = {"VIRTUAL_ENV": str(venv)}
    found = editable(project, env)
    assert found is not None
    assert (found.record.name, found.folder) == (Path(name).name, folder)
    assert str(found.record) in found.sentence()
    assert f"PYTHONPATH: {json.dumps(folder) if folder != '.' else '.'}" in found.remedy


@pytest.mark.parametrize(
    "text",
    ["/elsewhere/src\n", "import os; os.getcwd()\n", "\n", "src\n", "{root}-2/src\n", "{root}/gone\n",
     "{root}/.project\n", "{root}\0/src\n"],
)  # fmt: skip
def test_what_leads_elsewhere_is_not_told(project: Path, venv: Path, text: str) -> None:
    (project / ".project").mkdir()
    (project.parent / "project-2" / "src").mkdir(parents=True)
    write(venv / PACKAGES / "other.pth", text.format(root=project))
    assert editable(project, environment_of(venv)) is None


@pytest.mark.parametrize("text", ["[]", "{", '{"url": 3, "dir_info": {"editable": true}}', '{"url": "file:///x"}'])
def test_a_record_that_is_nonsense_is_passed_over(project: Path, venv: Path, text: str) -> None:
    write(venv / PACKAGES / "pkg-1.dist-info" / "direct_url.json", text)
    assert editable(project, environment_of(venv)) is None


def test_a_relative_pythonpath_wins_and_one_into_the_checkout_is_told(project: Path, venv: Path) -> None:
    write(venv / PACKAGES / "pkg.pth", f"{project}/src\n")
    assert editable(project, environment_of(venv, PYTHONPATH="src")) is None
    found = editable(project, environment_of(venv, PYTHONPATH=f"/x:{project}/src"))
    assert found is not None
    assert str(found.record) == "PYTHONPATH"


@pytest.mark.parametrize(
    "command", ["pytest -q", "python3 -m unittest", "cd x && python t.py", "make test", "/usr/bin/python3.11 t"]
)
def test_commands_that_run_the_users_python(command: str) -> None:
    assert runs_python([None, "npm test", command])


@pytest.mark.parametrize(
    "command",
    ["npm test", "cargo test", "tox", "uv run pytest", "poetry run pytest", ".venv/bin/pytest", "PYTHONPATH=src pytest",
     ". .venv/bin/activate && pytest", "nox -s tests", "./makefile-check"],
)  # fmt: skip
def test_commands_that_bring_their_own_or_run_none(command: str) -> None:
    assert not runs_python([command])
