"""`clean`: worktrees and branches whose work has landed are removed, and the starts of dependents; the rest is kept."""

from __future__ import annotations

import shutil

from lib.effects import Clean
from lib.errors import RelayError
from lib.files.rubbish import sweep_quietly
from lib.git import worktrees
from lib.git.clean import UNCLEAR, clean_run
from lib.git.objects import delete_refs, refs_below, value
from lib.git.run import Repo
from lib.jobs import JobResult
from orchestrator.effects._runner import RESOLVED, STARTS, Runner, done
from orchestrator.persistence.checkpoints import pin_waiting
from orchestrator.work import Work


def run(work: Work, args: Clean) -> JobResult:
    repo = Repo.of(work.project)
    warnings = [*pin_waiting(work.project, work.run), *_without_architect(work, repo)]
    cleaned = clean_run(repo, work.project, work.run, args.branch)
    ours = refs_below(repo, f"{STARTS}{work.run}/")
    if resolved := value(repo, f"{RESOLVED}{work.run}"):
        ours.append((f"{RESOLVED}{work.run}", resolved))
    delete_refs(repo, ours)
    indexes = work.project.store / "indexes" / work.run
    if indexes.is_dir() and not cleaned.kept:
        shutil.rmtree(indexes)
    sweep_quietly(work.project.worktrees, work.project.orchestrator_log)
    warnings += [f"{what} is kept: {why}" for what, why in cleaned.kept if why.startswith(UNCLEAR)]
    return done(warnings=[*warnings, *cleaned.told])


def _without_architect(work: Work, repo: Repo) -> list[str]:
    """Removes the worktree that the architect has in a run that version 0.1 began; a sentence if it can't be."""
    architect = work.project.worktree(work.run, "architect")
    try:
        if architect.exists():
            worktrees.remove(repo, architect, f"relay/{work.run}/architect")
    except (RelayError, OSError) as error:
        return [f"{architect} is kept: {error}"]
    return []


effect = Runner(Clean, run)
