"""A worktree of a run, made ready."""

from __future__ import annotations

from lib.git import worktrees
from lib.git.run import Repo
from orchestrator.work import Work


def prepared(work: Work, branch: str, start: str) -> worktrees.Prepared:
    """The job's worktree on `branch`, which begins at `start`, with the ignored files that the project lists."""
    return worktrees.prepare(Repo.of(work.project), work.worktree, branch, start, include_from=work.project.root)


def shown(work: Work, commit: str) -> None:
    """The job's worktree shows `commit`."""
    worktrees.show(Repo.of(work.project), work.worktree, commit, include_from=work.project.root)
