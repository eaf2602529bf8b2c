"""What the architect is told of a repository."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lib.git.run import Repo
from lib.git.survey import survey
from lib.paths import find_project


def test_a_repository_is_told_in_a_page(repo: Path, git: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        (repo / "src" / f"module{number}.py").write_text("x")
    (repo / "ü\n").write_text("odd")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "many modules")
    (repo / "README.md").write_text("not committed")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_WORK_TREE", "/nowhere")
    found = survey(Repo.of(find_project(repo)), "HEAD", max_files=5)
    assert found.files_total == 33
    assert found.suffixes[".py"] == 31
    assert found.subjects == ["many modules", "start"]
    assert found.readme == "# Project"
    assert "src/ (31 files)" in found.tree
    assert "… and 28 more files" in found.tree
    assert "many modules" in str(found)
