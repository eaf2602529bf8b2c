"""Implementation of `init` and `clean`."""

from __future__ import annotations

from pathlib import Path

from lib.display import counted
from lib.errors import RelayError
from lib.files.replace import replace_file
from lib.files.rubbish import sweep, waiting
from lib.git.clean import clean_run
from lib.git.pins import drop_landed
from lib.git.run import Repo
from lib.project.paths import Project
from lib.project.trust import require, trust_file
from lib.store.rundb import RunDB
from orchestrator.jobs.job_sandbox import clear_kept, clear_left
from orchestrator.persistence.checkpoints import pin_waiting
from orchestrator.persistence.project_folders import make_home, sweep_home


def write_config(project: Project, text: str) -> Path:
    """Writes the configuration, which the user thereby trusts. Raises `RelayError` (`config_exists`)."""
    file = project.config_file
    if file.exists():
        message = f"{file} exists already"
        raise RelayError(message, remedy="relay init --print", code="config_exists")
    make_home(project)
    replace_file(file, text.encode())
    trust_file(project, file)
    return file


def clean_runs(project: Project, name: str) -> list[str]:
    """Removes what has landed of one run, or of all that are over; lines that say what was done and what was kept."""
    db = RunDB.open_readonly(project.database)
    rows = [row for row in (db.runs(limit=10_000) if db else []) if row.outcome and (not name or row.id == name)]
    if name and not rows:
        raise RelayError(f"there is no run {name} that is over", remedy="relay runs", code="unknown_run")
    lines, left = [], waiting(project.worktrees)
    for row in rows:
        base = db.load(row.id).header["base"]["branch"] if db else ""
        repo = Repo.of(project)
        lines += pin_waiting(project, row.id)
        done = clean_run(repo, project, row.id, base)
        clear_left(project, row.id)
        clear_kept(project, row.id)
        sweep_home(project, row.id)
        lines += [f"removed {what}" for what in done.removed]
        lines += [f"kept    {what}: {why}" for what, why in done.kept]
        lines += done.told
        dropped, pinned = drop_landed(repo, row.id, base)
        for what, numbers, why in (("removed", dropped, ""), ("kept   ", pinned, f": not in {base}")):
            lines += [f"{what} the refs of {counted(len(numbers), 'checkpoint')} of {row.id}{why}"] if numbers else []
    lines += sweep(project.worktrees) or (["removed what an earlier cleaning had left"] if left else [])
    lines += [] if name else _forgotten(project)
    return lines or ["Nothing to clean: no worktree or branch of a run that is over is left."]


def _forgotten(project: Project) -> list[str]:
    """Lines on the history that `keep_history_days` lets go. Raises `RelayError` (`untrusted`)."""
    from lib.config.model import load_config
    from orchestrator.commands.forget_runs import forget_old

    days = load_config(project.config_file, {}).keep_history_days
    if days is None:
        return []
    require(project)
    return forget_old(project, days)
