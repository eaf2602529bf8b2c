"""The data of a job that is started: its record, its step as it was then, and the places that are its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib.config.model import Config
from lib.jobs import Command, Job
from lib.model import Component, Step
from lib.project.paths import Project
from lib.secrets.masking import Masker


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

    @property
    def mark(self) -> str:
        """The value of RELAY_JOB that every process of this job bears; unique on the machine."""
        return f"{self.run}/{self.job.id}"

    @property
    def worktree(self) -> Path:
        """The folder that the job runs in: the user's own if it names no worktree."""
        name = self.job.spec.worktree
        return self.project.worktree(self.run, name) if name else self.project.root

    @property
    def files(self) -> Path | None:
        """The folder that a handler's command may write to; None for any other job."""
        spec = self.job.spec
        is_handlers = isinstance(spec, Command) and spec.worktree is None
        return self.project.files_dir(self.run, spec.name) if is_handlers else None

    @property
    def records(self) -> Path:
        return self.project.record_dir(self.run, self.job.id)

    @property
    def output(self) -> Path:
        return self.project.output_dir(self.run, self.job.spec.step, self.job.id)


def masker_of(config: Config) -> Masker:
    """Knows the secrets that jobs may have: those of Relay's own environment, and of the configuration."""
    return Masker.from_environ(config.env)
