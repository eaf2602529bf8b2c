"""Merges of clean branches in memory, against `git merge` in a worktree."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.report import Goal, Row
from benchmarks.scratch import Scratch, scratch
from lib.git.merge import merge_builders
from lib.git.reading import reading
from lib.git.run import Repo
from lib.project.paths import find_project

BRANCHES = 100
#: As many as a run has builders, merged by one call.
GROUP = 10
END = 3
FILES = 200
BY_HAND = ("git", "-C", ".trees/by-hand", "merge", "-q", "--no-ff")


def measure(folder: Path, _runs: int) -> list[Row]:
    """Milliseconds a branch: 200 files, and 100 branches that add one and change another, merged 10 by 10 both ways."""
    with scratch(folder / "merge", files=FILES) as project, reading():
        base = project.run("git", "rev-parse", "HEAD").strip()
        tips = _branches(project, base)
        project.run("git", "worktree", "add", "-q", "-b", "by-hand", ".trees/by-hand", base)
        repo = Repo.of(find_project(project.root))
        measured, floors = [], []
        for first in range(0, BRANCHES, GROUP):
            group = tips[first : first + GROUP]
            begun = time.perf_counter()
            done = merge_builders(repo, "refs/heads/relay/bench/merged", base, group)
            measured.append((time.perf_counter() - begun) * 1000 / GROUP)
            assert len(done.merged) == GROUP, done
            by_hand = [project.seconds(*BY_HAND, "-m", name, tip) for name, tip, _ in group]
            floors.append(sum(by_hand) * 1000 / GROUP)
        trees = {project.run("git", "rev-parse", f"{ref}^{{tree}}") for ref in ("relay/bench/merged", "by-hand")}
        assert len(trees) == 1, "the two ways of merging differ"
    what = f"merge of one clean branch in memory, {GROUP} a call"
    first_ones, last_ones = measured[:END], measured[-END:]
    return [
        Row(what, "ms", measured, [Goal("median", 15)], "git merge", floors),
        Row("the same, the last 30 of 100", "ms", last_ones, [Goal("ratio", 1.2)], "the first 30", first_ones),
    ]


def _branches(project: Scratch, base: str) -> list[tuple[str, str, str]]:
    """Name, tip and title of branches from `base`."""
    tips = []
    for number in range(BRANCHES):
        name = f"b{number:03d}"
        project.run("git", "checkout", "-q", "-b", name, base)
        (project.root / f"{name}.txt").write_text(f"{name}\n")
        (project.root / f"file{number:03d}.txt").write_text(f"changed by {name}\n")
        project.run("git", "add", "-A")
        project.run("git", "commit", "-qm", name)
        tips.append((name, project.run("git", "rev-parse", "HEAD").strip(), name))
    project.run("git", "checkout", "-q", "main")
    return tips
