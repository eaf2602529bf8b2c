"""The git processes that a builder takes, from its worktree to the end of it, counted by git's own trace of each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from lib.git.clean import clean_run
from lib.git.inspect import not_in
from lib.git.look import look
from lib.git.merge import merge_builders
from lib.git.reading import reading
from lib.git.run import Repo
from lib.git.worktrees import prepare, snapshot
from lib.project.paths import find_project

Git = Callable[..., str]
FEW, MANY = 2, 5


def life(root: Path, run: str, count: int, git: Git) -> None:
    """Builders that have a setup and a verify command, and whose branches are merged, landed and cleaned."""
    project = find_project(root)
    repo, base = Repo.of(project), git(root, "rev-parse", "main")
    tips = []
    for name in (f"b{number}" for number in range(count)):
        path, branch = project.worktree(run, name), f"relay/{run}/{name}"
        prepare(repo, path, branch, base, include_from=root)
        look(repo, path)
        (path / f"{run}-{name}").write_text("work")
        taken = snapshot(repo, path, branch, base, author_name=name, message=name)
        look(repo, path)
        tips.append((name, taken.commit, name))
    merged = merge_builders(repo, f"refs/heads/relay/{run}/merged", base, tips)
    assert not not_in(repo, [tip for _, tip, _ in tips], merged.head)
    git(root, "merge", "-q", "--ff-only", merged.head)
    assert clean_run(repo, project, run, "main").kept == []


def test_a_builder_takes_twelve(repo: Path, git: Git, tmp_path: Path) -> None:
    (repo / ".git" / "info" / "exclude").write_text(".project/\n")
    counts = []
    for number in (FEW, MANY):
        folder = tmp_path / f"trace{number}"
        folder.mkdir()
        git(repo, "config", "--global", "trace2.eventTarget", str(folder))
        with reading():
            life(repo, f"run{number}", number, git)
        git(repo, "config", "--global", "--unset", "trace2.eventTarget")
        counts.append(Counter(_command(file) for file in folder.iterdir()))
    few, many = counts
    assert many - few == Counter({command: each * (MANY - FEW) for command, each in {
        "update-ref": 2, "read-tree": 1, "status": 4, "add": 1, "write-tree": 1, "commit-tree": 2, "merge-tree": 1,
    }.items()})  # fmt: skip


def _command(trace: Path) -> str:
    events = (json.loads(line) for line in trace.read_text().splitlines())
    return next(event["name"] for event in events if event["event"] == "cmd_name")
