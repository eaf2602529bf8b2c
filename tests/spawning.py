"""Jobs under the real shim, and none of their processes left when the test is over."""

from __future__ import annotations

import os
import select
import shutil
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventually import WAIT_S, eventually

from lib.process import SpawnSpec, close_watch, environment, exit_status, reap, spawn, sweep, watch_fd
from lib.process.table import row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lib.jobs import ProcessIdentity


@dataclass(frozen=True)
class Started:
    """A job that was started: its mark, its folder, its shim."""

    id: str
    folder: Path
    shim: ProcessIdentity

    @property
    def output(self) -> str:
        return (self.folder / "output.log").read_text(errors="surrogateescape")

    @property
    def errors(self) -> str:
        return (self.folder / "stderr.log").read_text(errors="surrogateescape")

    def wait(self) -> int | None:
        """Awaits the end of the shim: what it recorded."""
        descriptor = watch_fd(self.shim)
        assert descriptor is not None
        ready, _, _ = select.select([descriptor], [], [], WAIT_S)
        close_watch(descriptor)
        assert ready, "the shim did not end"
        reap(self.shim.pid)
        return exit_status(self.folder)

    def says(self, text: str) -> Started:
        """Awaits that the job has printed `text`."""
        eventually(lambda: text in self.output)
        return self


@dataclass
class Jobs:
    root: Path
    shell: str = "/bin/sh"
    started: list[Started] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    def spec(self, *argv: str, **changes: Any) -> SpawnSpec:
        folder = self.root / f"job-{len(self.ids)}"
        mark = f"{self.root}/{folder.name}"
        self.ids.add(mark)
        environ = environment(os.environ, {})
        spec = SpawnSpec(mark, argv, self.root, environ, folder, folder, shell=self.shell)
        return replace(spec, **changes)

    def run(self, spec: SpawnSpec) -> Started:
        self.started.append(Started(spec.job_id, spec.folder, spawn(spec)))
        return self.started[-1]

    def start(self, *argv: str, **changes: Any) -> Started:
        return self.run(self.spec(*argv, **changes))

    def sh(self, script: str, **changes: Any) -> Started:
        return self.start("/bin/sh", "-c", script, **changes)

    def python(self, script: str, *args: str, **changes: Any) -> Started:
        return self.start(sys.executable, "-c", script, *args, **changes)


@contextmanager
def jobs_in(root: Path, shell: str = "/bin/sh") -> Iterator[Jobs]:
    jobs = Jobs(root, shell)
    yield jobs
    left = sweep(jobs.ids)
    for job in jobs.started:
        reap(job.shim.pid)
    assert not left


def shells() -> list[str]:
    """The shells of this machine that are /bin/sh somewhere."""
    return [path for name in ("dash", "bash", "busybox") if (path := shutil.which(name))]


def as_sh(shell: str, folder: Path) -> str:
    """A shell by the name of `sh`, which makes it keep to POSIX."""
    link = folder / "sh"
    link.symlink_to(shell)
    return str(link)


def runs(pid: int) -> bool:
    found = row(pid)
    return found is not None and not found.ended


def pid_in(file: Path) -> int:
    """The pid that a job writes into `file`, once it is there."""
    read: Callable[[], str] = lambda: file.read_text() if file.exists() else ""  # noqa: E731
    return int(eventually(lambda: text if (text := read()).endswith("\n") else ""))
