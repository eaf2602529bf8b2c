"""The folders in Relay's own one, `.project/`, made and remade whenever they are missing."""

from __future__ import annotations

from lib.errors import RelayError
from lib.files.replace import replace_file, sweep_temporaries
from lib.project.paths import MARK, Project

REPOSITORY_GONE = "repository_gone"
#: Run-time files stay out of git; configuration, workflows, prompts and handlers may be committed.
GITIGNORE = f"""\
{MARK.decode()} What is not named here (config.yaml, phases/, prompts/) can be committed.
/.gitignore
/state.json
/state.json.*
/.*.tmp
/.state.json.*
/state.schema.json
/orchestrator.pid
/instances/
/logs/
/runs/
/worktrees/
"""


def sweep_home(project: Project, run: str) -> None:
    """Removes what writers that were killed left wherever Relay replaces files for a run. Raises `OSError`."""
    for folder in (project.dot, project.home, project.instance_dir, project.run_dir(run)):
        sweep_temporaries(folder)
    records = project.record_dir(run, "any").parent
    for folder in records.iterdir() if records.is_dir() else ():
        sweep_temporaries(folder)
    worktrees = project.worktree(run, "any").parent
    for folder in worktrees.iterdir() if worktrees.is_dir() else ():
        sweep_temporaries(folder, of=".git.")


def make_home(project: Project) -> None:
    """Makes what is missing of `.project/`; what is there is left alone.

    Raises `RelayError` (`repository_gone`, `state_path_refused`), `OSError`.
    """
    from lib.project.lock import refuse_links
    from lib.project.templates import shipped

    if not project.common_dir.is_dir():
        message = f"{project.common_dir} is gone: there is no repository to work for"
        raise RelayError(message, remedy="relay doctor", code=REPOSITORY_GONE)
    refuse_links(project)
    for folder in (project.home, project.logs, project.dot / "runs", project.worktrees):
        folder.mkdir(parents=True, exist_ok=True)
    ignore = project.dot / ".gitignore"
    if not ignore.exists():
        replace_file(ignore, GITIGNORE.encode())
    schema = project.home / "state.schema.json"
    if not schema.exists():
        replace_file(schema, shipped(schema.name).read_bytes())
