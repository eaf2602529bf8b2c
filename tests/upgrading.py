"""Runs in mid-flight as text: recorded where one version of Relay left them, laid out again for another to take up.

A recording holds the repository (git-fast-export(1)), the run database (SQL), the files of `.project/` and of Relay's
folder below `.git`, and what each worktree had checked out. `@ROOT@` means the folder of the project, `@ABOVE@`
for that which holds it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from conftest import run_git
from driver import Relay

from lib.process import SpawnSpec, environment, mono_s, spawn
from lib.project.paths import Project, find_project

RECORDINGS = Path(__file__).resolve().parent / "upgrades"
ROOT_MARK, ABOVE_MARK = "@ROOT@", "@ABOVE@"
#: Made again by whoever opens them, or of no use to another process.
LEFT_OUT = ("scratch", "relay.db", "relay.db-wal", "relay.db-shm", ".gitignore", "orchestrator.pid", "orchestrator.log")
LEFT_OUT_FOLDERS = ("worktrees", "indexes", "instances")


def record(root: Path) -> dict[str, Any]:
    """The run of the project at `root`, whose orchestrator must be dead."""
    project = find_project(root)
    with closing(sqlite3.connect(project.database)) as db:
        sql = list(db.iterdump())
    found = {
        "repository": run_git(root, "fast-export", "--all", "--reencode=no", "--signed-tags=verbatim").splitlines(),
        "refs": run_git(root, "for-each-ref", "--format=%(refname) %(objectname)").splitlines(),
        "sql": sql,
        "project": _texts(project.dot),
        "store": _texts(project.store),
        "worktrees": [_worktree(path) for path in sorted((project.dot / "worktrees").glob("*/*"))],
    }
    text = json.dumps(found).replace(str(root), ROOT_MARK).replace(str(root.parent), ABOVE_MARK)
    marked: dict[str, Any] = json.loads(text)
    return marked


def lay_out(name: str, root: Path) -> Relay:
    """The recorded run in a new project at `root`, with no process of it running."""
    text = (RECORDINGS / f"{name}.json").read_text()
    found = json.loads(text.replace(ROOT_MARK, str(root)).replace(ABOVE_MARK, str(root.parent)))
    run_git(root.parent, "init", "-q", "-b", "main", root.name)
    stream = ("\n".join(found["repository"]) + "\n").encode()
    subprocess.run(["git", "fast-import", "--quiet"], cwd=root, input=stream, check=True)
    assert run_git(root, "for-each-ref", "--format=%(refname) %(objectname)").splitlines() == found["refs"]
    run_git(root, "reset", "-q", "--hard")
    project = find_project(root)
    for folder, files in ((project.dot, found["project"]), (project.store, found["store"])):
        folder.mkdir(exist_ok=True)
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content)
    for worktree in found["worktrees"]:
        _check_out(project, worktree)
    with closing(sqlite3.connect(project.database)) as db:
        db.executescript("\n".join(found["sql"]) + f"\nPRAGMA user_version = {found['schema']};")
        values = os.fsencode(root), project.instance_dir.name
        db.execute("UPDATE runs SET root = ?, instance_key = ?", values)
        db.commit()
    return Relay(root)


def bring_to_life(relay: Relay, builder: str, script: str) -> None:
    """Starts a shell script as the turn that `builder` was at when the run was recorded."""
    project = find_project(relay.root)
    with closing(sqlite3.connect(project.database)) as db:
        rows = db.execute("SELECT id, run, data FROM jobs WHERE ended = 0").fetchall()
        job, run = next((job, run) for job, run, data in rows if json.loads(data)["spec"]["builder"] == builder)
        (project.record_dir(run, job) / "claim").unlink()  # that of the process which was recorded
        spec = SpawnSpec(
            job_id=f"{run}/{job}", argv=("/bin/sh", "-c", script), cwd=project.worktree(run, builder),
            env=environment(os.environ, {}), folder=project.record_dir(run, job),
            output=project.output_dir(run, builder, job),
        )  # fmt: skip
        process = spawn(spec).model_dump_json()
        db.execute(
            "UPDATE jobs SET data = json_set(data, '$.process', json(?), '$.started_mono_s', ?) WHERE id = ?",
            (process, mono_s(), job),
        )
        db.commit()


def _texts(folder: Path) -> dict[str, str]:
    files = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    wanted = (path for path in files if path.name not in LEFT_OUT and path.parts[0] not in LEFT_OUT_FOLDERS)
    return {str(path): (folder / path).read_text() for path in wanted}


def _worktree(path: Path) -> dict[str, Any]:
    head = run_git(path, "symbolic-ref", "--short", "-q", "HEAD", check=False)
    return {
        "path": f"{path.parent.name}/{path.name}",
        "head": head or run_git(path, "rev-parse", "HEAD"),
        "merging": run_git(path, "rev-parse", "-q", "--verify", "MERGE_HEAD", check=False),
    }


def _check_out(project: Project, worktree: dict[str, Any]) -> None:
    path = project.dot / "worktrees" / worktree["path"]
    run_git(project.root, "worktree", "add", "-q", str(path), worktree["head"])
    if worktree["merging"]:
        run_git(path, "merge", "-q", "--no-ff", "--no-commit", worktree["merging"], check=False)
    index = project.store / "indexes" / worktree["path"]
    index.parent.mkdir(parents=True, exist_ok=True)
    index.write_bytes(Path(run_git(path, "rev-parse", "--absolute-git-dir"), "index").read_bytes())
