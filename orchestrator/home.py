"""The folders of `.project/`, made and remade whenever they are missing."""

from __future__ import annotations

from lib.atomic import replace_file
from lib.errors import RelayError
from lib.paths import Project

REPOSITORY_GONE = "repository_gone"
#: Run-time files stay out of git; configuration, workflows, prompts and handlers may be committed.
GITIGNORE = """\
# Written by Relay. What is not named here (config.yaml, phases/, prompts/) can be committed.
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


def make_home(project: Project) -> None:
    """Makes what is missing of `.project/`; what is there is left alone.

    Raises `RelayError` (`repository_gone`, `state_path_refused`), `OSError`.
    """
    from lib.lock import refuse_links
    from lib.templates import shipped

    if not project.common_dir.is_dir():
        message = f"{project.common_dir} is gone: there is no repository to work for"
        raise RelayError(message, remedy="relay doctor", code=REPOSITORY_GONE)
    refuse_links(project)
    for folder in (project.home, project.logs, project.dot / "runs", project.dot / "worktrees"):
        folder.mkdir(parents=True, exist_ok=True)
    ignore = project.dot / ".gitignore"
    if not ignore.exists():
        replace_file(ignore, GITIGNORE.encode())
    schema = project.home / "state.schema.json"
    if not schema.exists():
        replace_file(schema, shipped(schema.name).read_bytes())
