"""The data of a job that is started: its record, its step as it was then, and the places that are its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lib.config.model import Config
from lib.jobs import AssistantTurn, Command, Job
from lib.model import Component, Step
from lib.project.paths import Project
from lib.secrets.masking import Masker

if TYPE_CHECKING:
    from orchestrator.secret_values import SecretValues


@dataclass(frozen=True, slots=True)
class Work:
    """Data of a job beside its own record: where it runs, a copy of its step as it was when it started, the components
    of the other steps, and the ids of those that it depends on.
    """

    project: Project
    run: str
    requirement: str
    config: Config
    job: Job
    step: Step | None
    siblings: tuple[Component, ...] = ()
    before: tuple[str, ...] = ()
    secrets: SecretValues | None = None

    @property
    def masker(self) -> Masker:
        """Knows the secrets that the job may have: those of Relay's own environment, of the configuration, and of the
        workflow. Raises `RelayError` (`secret_missing`).
        """
        return Masker.from_environ(self.config.env, self.secrets.known() if self.secrets else {})

    @property
    def mark(self) -> str:
        """The value of RELAY_JOB that every process of this job bears; unique on the machine."""
        return f"{self.run}/{self.job.id}"

    @property
    def worktree(self) -> Path:
        """The folder that the job runs in. Without a worktree it is the user's own, of a workflow's step one for its
        files.
        """
        name = self.job.spec.worktree
        if name:
            return self.project.worktree(self.run, name)
        return self.files if self.job.spec.step and self.files else self.project.root

    @property
    def may_write(self) -> bool:
        """True if a process of the job may write the folder that it runs in, if a sandbox keeps others from that."""
        spec = self.job.spec
        return self.worktree != self.project.root and not (isinstance(spec, AssistantTurn | Command) and spec.read_only)

    @property
    def is_own_work(self) -> bool:
        """True of a step's own command: what it leaves in the worktree is work, and not what verifying made."""
        return isinstance(self.job.spec, Command) and self.job.spec.gives

    @property
    def env(self) -> Mapping[str, str]:
        """The environment that the job's task adds to its process."""
        spec = self.job.spec
        return spec.env if isinstance(spec, AssistantTurn | Command) else {}

    @property
    def files(self) -> Path | None:
        """The folder that a process without a worktree may write to; None for any other job."""
        spec = self.job.spec
        has_none = self.job.is_process and spec.worktree is None
        return self.project.files_dir(self.run, spec.step or spec.name) if has_none else None

    @property
    def records(self) -> Path:
        return self.project.record_dir(self.run, self.job.id)

    @property
    def output(self) -> Path:
        return self.project.output_dir(self.run, self.job.spec.step, self.job.id)
