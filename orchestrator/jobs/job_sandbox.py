"""Folders and sandbox of a job: settled when a run starts, made ready at each launch, cleared afterwards."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lib.assistants import safety
from lib.config.model import Config, Sandbox
from lib.contracts import Launch
from lib.errors import RelayError
from lib.files.remove import remove_whole
from lib.project.paths import Project
from lib.sandbox import (
    Places,
    drop_scratch,
    granted_paths,
    make_scratch,
    policy_of,
    probe,
    programs_on,
    wrap,
)
from lib.scheduling.step_limits import limited

if TYPE_CHECKING:
    from orchestrator.work import Work

#: Roles that only read: what they have to say is their answer.
READERS: Final = frozenset({"architect", "reviewer"})
#: A file in a job's scratch folder: what a command gives.
GIVEN: Final = "output"
#: Processes are limited by Relay's own clock; the kernel, which also counts threads, stops what is faster than that.
TASKS_EACH: Final = 16


def settled(project: Project, config: Config) -> tuple[Config, str]:
    """The configuration of a whole run: `auto` becomes `require` where containing works, so that nothing which a job
    does makes later ones go without. The text is a warning if it does not work, else empty.

    Raises `RelayError` (`sandbox_not_available`) if it is required and does not work.
    """
    granted_paths(project, config.sandbox_write, Path.home())
    if config.sandbox is Sandbox.OFF:
        return config, ""
    found = probe()
    if found.works:
        return config.model_copy(update={"sandbox": Sandbox.REQUIRE}), ""
    if config.sandbox is Sandbox.REQUIRE:
        raise _not_available()
    warning = f"assistants and commands are not contained: {found.reason}; to fix it: {found.remedy}"
    return config, warning


def _not_available() -> RelayError:
    found = probe()
    message = f"the configuration requires a sandbox: {found.reason}"
    return RelayError(message, remedy=found.remedy, code="sandbox_not_available")


@dataclass(frozen=True, slots=True)
class Site:
    """The place where one job works: its private folder, that of its builder, and whether it is contained."""

    work: Work
    scratch: Path
    keep: Path
    contained: bool

    @classmethod
    def of(cls, work: Work) -> Site:
        """Made ready. Raises `RelayError` (`sandbox_not_available`, `scratch_refused`)."""
        contained = work.config.sandbox is Sandbox.REQUIRE
        if contained and not probe().works:
            raise _not_available()
        keep = work.project.keep_dir(work.run, work.job.spec.step)
        for folder in (keep, work.files):
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        return cls(work, make_scratch(work.records, work.mark), keep, contained)

    @property
    def prompt(self) -> Path:
        """The file of what an assistant is asked."""
        return self.scratch / "prompt"

    @property
    def stdin(self) -> Path:
        return self.scratch / "stdin"

    def command(self, start: Launch) -> Sequence[str]:
        """The command that is started: the program itself, or what contains it. Raises what `safety` raises."""
        if not self.contained:
            return start.argv
        work, known = self.work, safety()
        config = limited(work.config, work.job.spec)
        places = Places(
            project=work.project,
            worktree=work.worktree,
            scratch=self.scratch,
            keep=self.keep,
            home=Path.home(),
            files=work.files,
            reviews=work.job.role in READERS or not work.may_write,
            hidden=() if work.job.turn is not None else known.logins,
            own=start.folders,
            guarded=known.guarded,
            starters=known.starters,
            granted=config.sandbox_write,
            programs=programs_on(os.environ.get("PATH", "")),
        )
        memory_max = int(config.memory_max_mb * 1e6) if config.memory_max_mb is not None else None
        tasks_max = config.processes_max * TASKS_EACH if config.processes_max is not None else None
        return wrap(start.argv, policy_of(places, memory_max=memory_max, tasks_max=tasks_max))

    def variables(self) -> dict[str, str]:
        """Variables that say where temporary files, and what a command gives, go. Git leaves alone what it may not
        write.
        """
        temporary = "/tmp" if self.contained else str(self.scratch)  # noqa: S108 - the private one
        given = {"RELAY_OUTPUT": f"{temporary}/{GIVEN}"} if self.work.is_own_work else {}
        return {**given, **dict.fromkeys(("TMPDIR", "TMP", "TEMP"), temporary), "GIT_OPTIONAL_LOCKS": "0"}

    def caches(self) -> dict[str, str]:
        """Caches of package managers: the builder's own, as it may not write those of the user."""
        if not self.contained:
            return {}
        cache = self.keep / "cache"
        folders = {"npm_config_cache": "npm", "CARGO_HOME": "cargo", "GOMODCACHE": "go", "GRADLE_USER_HOME": "gradle",
                   "NUGET_PACKAGES": "nuget"}  # fmt: skip
        return {"XDG_CACHE_HOME": str(cache), **{name: str(cache / folder) for name, folder in folders.items()}}


def clear(work: Work) -> None:
    """Removes the private folder of a job that has been judged."""
    with suppress(OSError):  # it is tried again by the next orchestrator and by `relay clean`
        drop_scratch(work.records)


def clear_left(project: Project, run: str, live: Collection[str] = ()) -> None:
    """Removes the private folders that jobs of a run left behind, but those of the jobs `live`."""
    folder = project.store / "jobs" / run
    for records in folder.iterdir() if folder.is_dir() else ():
        if records.name not in live:
            with suppress(OSError):  # as in `clear`
                drop_scratch(records)


def clear_kept(project: Project, run: str) -> None:
    """Removes what builders kept for their later turns (caches, sessions) of a run that is over."""
    for folder in _kept(project.run_dir(run)):
        with suppress(OSError):  # as in `clear`
            remove_whole(folder)


def _kept(folder: Path) -> Iterator[Path]:
    yield from folder.glob("builders/*/keep")
    yield from folder.glob("jobs/keep")
