"""A project with two worktrees, a home and a private folder, in which programs run contained or not."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import run_git
from eventually import WAIT_S

from lib.assistants import safety
from lib.process import environment
from lib.project.paths import Project, find_project
from lib.sandbox import Places, drop_scratch, make_scratch, policy_of, programs_on, wrap

RUN = "run"


@dataclass
class World:
    """`mine` is the worktree that a job runs in, `other` that of another builder."""

    folder: Path
    project: Project
    scratch: Path

    @classmethod
    def made_in(cls, folder: Path) -> World:
        root, home = folder / "project", Path.home()
        root.mkdir()
        run_git(root, "init", "-q", "-b", "main")
        (root / "README.md").write_text("# Project\n")
        run_git(root, "add", "-A")
        run_git(root, "commit", "-qm", "start")
        for name in ("mine", "other"):
            run_git(root, "worktree", "add", "-q", "-b", name, f".project/worktrees/{RUN}/{name}")
        project = find_project(root)
        records = project.record_dir(RUN, "job")
        records.mkdir(parents=True)
        for file in (project.state_file, records / "exit", project.database, home / ".bashrc", home / ".ssh" / "id"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{file.name} as it was\n")
        for owner in ("mine", "other"):
            project.keep_dir(RUN, owner).mkdir(parents=True)
        return cls(folder, project, make_scratch(records, f"{folder}/job"))

    @property
    def mine(self) -> Path:
        return self.project.worktree(RUN, "mine")

    @property
    def keep(self) -> Path:
        return self.project.keep_dir(RUN, "mine")

    def places(self, **changes: Any) -> Places:
        fields = {"project": self.project, "worktree": self.mine, "scratch": self.scratch, "keep": self.keep,
                  "home": Path.home(), "programs": programs_on(os.environ["PATH"]),
                  "guarded": safety().guarded, "starters": safety().starters}  # fmt: skip
        return Places(**{**fields, **changes})

    def variables(self) -> dict[str, str]:
        """Environment variables that name what an attack is after."""
        project = self.project
        return {
            "ROOT": str(project.root),
            "GIT": str(project.common_dir),
            "STATE": str(project.state_file),
            "DB": str(project.database),
            "RECORDS": str(project.record_dir(RUN, "job")),
            "RECORD": str(project.common_dir / "worktrees" / "mine"),
            "MINE": str(self.mine),
            "OTHER": str(project.worktree(RUN, "other")),
            "OTHER_KEEP": str(project.keep_dir(RUN, "other")),
            "OUTSIDE": str(self.folder),
            "PY": sys.executable,
        }

    def run(
        self, script: str, *, contained: bool = True, env: Mapping[str, str] | None = None, **changes: Any
    ) -> subprocess.CompletedProcess[str]:
        """A shell script in the worktree; `changes` are those of its `Places`."""
        argv = ("/bin/sh", "-c", script)
        command = wrap(argv, policy_of(self.places(**changes))) if contained else argv
        environ = environment(os.environ, {**self.variables(), "GIT_OPTIONAL_LOCKS": "0", **(env or {})})
        return subprocess.run(command, cwd=self.mine, env=environ, capture_output=True, text=True, check=False,
                              timeout=WAIT_S, stdin=subprocess.DEVNULL, start_new_session=True)  # fmt: skip

    def end(self) -> None:
        drop_scratch(self.project.record_dir(RUN, "job"))

    def evidence(self) -> dict[str, str]:
        """Kind, mode and content of all that is not the job's to write: its worktree counts only with its `.git`."""
        found = {}
        for top in (self.folder, Path.home()):
            for here, folders, files in os.walk(top):
                folder = Path(here)
                folders[:] = [name for name in folders if self._counts(folder, name)]
                for name in (*folders, *files):
                    if self._counts(folder, name):
                        found[f"{here}/{name}"] = _seen(folder / name)
        return found

    def _counts(self, folder: Path, name: str) -> bool:
        return folder / name != self.keep and (folder != self.mine or name == ".git")


def _seen(path: Path) -> str:
    mode = path.lstat().st_mode
    content = b""
    if stat.S_ISLNK(mode):
        content = os.fsencode(path.readlink())
    elif stat.S_ISREG(mode):
        content = path.read_bytes()
    return f"{mode:o} {hashlib.sha256(content).hexdigest()}"
