"""Artifacts of a workflow's step: copies of the files that it names, as they were, and nothing from elsewhere."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from lib.config.model import Config
from lib.effects import KeepArtifacts, KeepArtifactsResult
from lib.events import JobEnded
from lib.jobs import Job, JobResult, effect
from lib.project.paths import SHARED_WORKTREE, Project, find_project
from orchestrator.effects._registry import run_effect
from orchestrator.work import Work


def kept(project: Project, *patterns: str) -> JobResult:
    spec = effect(KeepArtifacts(patterns=patterns), step="a", worktree=SHARED_WORKTREE)
    job = Job(id="0001-a-keep_artifacts", spec=spec, attempt=1, dispatch=1,
              started_at=datetime(2026, 1, 1, tzinfo=UTC), started_mono_s=0.0)  # fmt: skip
    ended = run_effect(Work(project, "r1", "parts", Config(), job, None))
    assert isinstance(ended, JobEnded)
    return ended.result


def made(repo: Path) -> tuple[Project, Path]:
    """A project, and a worktree of it with files."""
    project = find_project(repo)
    worktree = project.worktree("r1", SHARED_WORKTREE)
    (worktree / "docs").mkdir(parents=True)
    (worktree / "docs" / "a.md").write_bytes(b"# A\n\xff")
    (worktree / "docs" / "b.txt").write_text("b")
    (worktree / ".git").write_text("gitdir: elsewhere")
    (worktree / ".project").mkdir()
    (worktree / ".project" / "state.md").write_text("{}")
    return project, worktree


def test_what_the_patterns_name_is_copied_with_its_hash(repo: Path) -> None:
    project, _ = made(repo)
    found = KeepArtifactsResult.of(kept(project, "docs/*.md", "docs/b.txt"))
    assert found.folder == ".project/runs/r1/artifacts/a"
    assert [(file.path, file.size) for file in found.files] == [("docs/a.md", 5), ("docs/b.txt", 1)]
    assert found.files[0].sha256 == hashlib.sha256(b"# A\n\xff").hexdigest()
    assert (repo / found.folder / "docs" / "a.md").read_bytes() == b"# A\n\xff"
    assert sorted(path.name for path in (repo / found.folder / "docs").iterdir()) == ["a.md", "b.txt"]


def test_a_pattern_that_names_nothing_fails_the_step(repo: Path) -> None:
    project, _ = made(repo)
    result = kept(project, "docs/*.md", "report.pdf")
    assert (result.ok, result.code) == (False, "no_artifact")
    assert result.message.endswith("report.pdf")


def test_links_and_what_is_gits_or_relays_are_no_artifacts(repo: Path, tmp_path: Path) -> None:
    project, worktree = made(repo)
    secret = tmp_path / "secret.md"
    secret.write_text("key")
    (worktree / "docs" / "link.md").symlink_to(secret)
    (worktree / "linked").symlink_to(tmp_path)
    found = KeepArtifactsResult.of(kept(project, "**"))
    assert [file.path for file in found.files] == ["docs/a.md", "docs/b.txt"]
