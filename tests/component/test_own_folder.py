"""The folder that Relay keeps its files in: found by what is there, and the same from every folder of the project."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import run_git

from lib.project.paths import Project, find_project
from lib.project.trust import pending
from orchestrator.persistence.project_folders import make_home
from orchestrator.status.whereabouts import Place


def eclipse(root: Path) -> None:
    (root / ".project").write_text("<projectDescription/>\n")


def relays(root: Path) -> None:
    """Makes what Relay makes where `.project` is a file, and removes the file, as on another branch."""
    eclipse(root)
    make_home(find_project(root))
    (root / ".project").unlink()


def relays_beside_a_folder(root: Path) -> None:
    relays(root)
    (root / ".project").mkdir()


def foreign(root: Path) -> None:
    (root / ".relay" / "worktrees").mkdir(parents=True)
    (root / ".relay" / ".gitignore").write_text("*\n")


def linked(root: Path) -> None:
    relays(root)
    (root / ".relay").rename(root / "elsewhere")
    (root / ".relay").symlink_to("elsewhere")


FOUND: dict[Callable[[Path], object], str] = {
    lambda _: None: ".project",
    eclipse: ".relay",
    lambda root: (root / ".project").mkdir(): ".project",
    lambda root: (root / ".project").symlink_to("README.md"): ".project",
    lambda root: os.mkfifo(root / ".project"): ".project",
    relays: ".relay",
    relays_beside_a_folder: ".relay",
    foreign: ".project",
    linked: ".project",
}


@pytest.mark.parametrize(("made", "own"), FOUND.items())
def test_the_folder_is_relays_own_or_the_one_that_no_file_keeps_it_from(
    repo: Path, made: Callable[[Path], object], own: str
) -> None:
    made(repo)
    project = find_project(repo / "src")
    assert (project.own, project.dot) == (own, repo / own)


def test_the_project_is_found_from_its_worktrees_wherever_they_are(repo: Path) -> None:
    eclipse(repo)
    project = find_project(repo)
    make_home(project)
    run_git(repo, "worktree", "add", "-q", "-b", "part", str(project.worktree("run", "api")))
    assert find_project(project.worktree("run", "api") / "src") == project


def test_worktrees_of_another_program_with_that_name_are_projects_of_their_own(repo: Path) -> None:
    foreign(repo)
    other = repo / ".relay" / "worktrees" / "other"
    run_git(repo, "worktree", "add", "-q", "-b", "other", str(other))
    assert find_project(other).root == other


@pytest.fixture
def project(repo: Path) -> Project:
    eclipse(repo)
    return find_project(repo)


def test_texts_for_the_usual_folder_name_the_one_that_is_there(project: Project) -> None:
    text = "see .project/runs/x, a/.project/y, .project and .projects/z"
    assert Place(project, project.root).told(text) == "see .relay/runs/x, a/.project/y, .project and .projects/z"
    assert Place(project, project.root / "src").told("$EDITOR .project/config.yaml") == "$EDITOR ../.relay/config.yaml"
    inside = project.worktree("run", "api")
    assert Place(project, inside).told("git switch main") == f"git -C {project.root} switch main"


def test_what_such_a_folder_brings_waits_to_be_trusted(project: Project) -> None:
    (project.dot / "phases").mkdir(parents=True)
    (project.dot / "phases" / "mine.py").write_text("import os\n")
    project.config_file.write_text("verify: make test\n")
    assert [item.path for item in pending(project)] == [".relay/config.yaml", ".relay/phases/mine.py"]
