"""The folders of `.project/`, made and remade whenever they are missing."""

from __future__ import annotations

from lib.atomic import replace_file
from lib.paths import Project

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
    """Makes what is missing of `.project/`; what is there is left alone. Raises `RelayError`, `OSError`."""
    from lib.lock import refuse_links
    from lib.templates import shipped

    refuse_links(project)
    for folder in (project.home, project.logs, project.dot / "runs", project.dot / "worktrees"):
        folder.mkdir(parents=True, exist_ok=True)
    ignore = project.dot / ".gitignore"
    if not ignore.exists():
        replace_file(ignore, GITIGNORE.encode())
    schema = project.home / "state.schema.json"
    if not schema.exists():
        replace_file(schema, shipped(schema.name).read_bytes())
