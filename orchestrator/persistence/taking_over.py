"""Branches and files of a run that goes on from another one: recorded with the run, and made before it does anything.

The record is the run itself and its first checkpoint. So a kill leaves no run, or one that makes them when it starts.
"""

from __future__ import annotations

from lib.design.document import as_markdown, parse_design
from lib.errors import RelayError
from lib.events import ForkMade
from lib.files.replace import replace_file
from lib.git.objects import make_refs
from lib.git.run import Repo
from lib.names import shown
from lib.project.paths import MERGED_WORKTREE, Project
from lib.store.rows import Cause
from lib.store.rundb import RunDB
from orchestrator.engine.run import Run
from phases.design import DESIGN_FILE, DESIGN_PAGE


def take_over(project: Project, db: RunDB, run: Run) -> ForkMade:
    """Makes what the run takes over, but for what is there already. Raises `RelayError`, `OSError`.

    It may be called again, also after a kill.
    """
    wanted = branches_of(run)
    make_refs(Repo.of(project), {f"refs/heads/{name}": commit for name, commit in wanted.items()}, "taken over")
    if text := _design_of(db, run.state.run):
        _write_design(project, run, text)
    return ForkMade(branches=tuple(wanted))


def branches_of(run: Run) -> dict[str, str]:
    """The branches of a run that goes on from another one, with the commit of each. Pure."""
    found = {step.branch: step.commit for step in run.steps.values() if step.branch and step.commit}
    if run.engine.origin and run.engine.origin.merged:
        found[f"relay/{run.state.run}/{MERGED_WORKTREE}"] = run.engine.origin.merged
    return found


def _design_of(db: RunDB, run: str) -> str | None:
    with db.look_at_checkpoints() as look:
        first = next((mark for mark in look.marks(run) if mark.cause == Cause.FORK), None)
        return look.one(first.id).design if first else None


def _write_design(project: Project, run: Run, text: str) -> None:
    folder = project.run_dir(run.state.run)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        page = as_markdown(parse_design(text), run.state.requirement)
    except RelayError:  # a person has to mend it first, as in the other run
        page = ""
    for name, content in ((DESIGN_FILE, text), (DESIGN_PAGE, page)):
        if content:
            replace_file(folder / name, shown(content).encode())
