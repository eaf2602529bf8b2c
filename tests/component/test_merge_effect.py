"""The effect `merge` is done again after a kill: what it had left by then is nobody's resolution."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from conftest import run_git

from lib.config.model import Config
from lib.effects import Merge, MergeResult, Tip
from lib.events import JobEnded
from lib.jobs import Job, effect
from lib.project.paths import MERGED_WORKTREE, find_project
from orchestrator.effects._registry import run_effect
from orchestrator.work import Work


def branch(repo: Path, name: str, text: str) -> str:
    run_git(repo, "checkout", "-q", "-b", f"relay/r1/{name}", "main")
    (repo / "README.md").write_text(text)
    run_git(repo, "commit", "-qam", name)
    return run_git(repo, "rev-parse", "HEAD")


def merged(repo: Path, job: str, tips: tuple[Tip, ...]) -> MergeResult:
    base = run_git(repo, "rev-parse", "main")
    args = Merge(branch="relay/r1/merged", base_branch="main", base=base, tips=tips)
    work = Job(id=job, spec=effect(args, worktree=MERGED_WORKTREE), attempt=1, dispatch=1,
               started_at=datetime(2026, 1, 1, tzinfo=UTC), started_mono_s=0.0)  # fmt: skip
    ended = run_effect(Work(find_project(repo), "r1", "parts", Config(), work, None))
    assert isinstance(ended, JobEnded)
    result = ended.result
    assert result.ok, result.message
    return MergeResult.of(result)


def test_a_conflict_that_the_same_job_left_before_a_kill_is_not_taken_for_a_persons_resolution(repo: Path) -> None:
    tips = tuple(Tip(id=name, tip=branch(repo, name, f"{name}\n"), title=name) for name in ("left", "right"))
    run_git(repo, "checkout", "-q", "main")
    for _ in range(2):  # as after a kill that came before the result was recorded
        found = merged(repo, "0001-run-merge", tips).conflict
        assert found is not None
        assert (found.builder, found.open) == ("right", ())
    handed_back = merged(repo, "0002-run-merge", tips).conflict
    assert handed_back is not None
    assert "conflict marker" in handed_back.open[0]
