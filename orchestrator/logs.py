"""Reading logs as they grow; whatever a program printed is shown escaped."""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from lib.display import Masker, escaped
from lib.errors import RelayError
from lib.model import Job
from lib.paths import Project
from lib.rundb import RunDB

FOLLOW_S = 0.3


def builder_logs(project: Project, builder: str) -> list[Path]:
    """The output files of a builder's newest turn or command. Raises `RelayError` (`unknown_builder`, `no_output`)."""
    db = RunDB.open_readonly(project.database)
    run = db.latest_run(project.instance_dir.name) if db else None
    if db is None or run is None:
        raise RelayError("there is no run here", remedy='relay start "what you want built"', code="no_run")
    stored = db.load(run)
    known = [row.id for row in stored.builders]
    if builder not in known:
        message = f"there is no builder {builder}; there are: {', '.join(known) or 'none yet'}"
        raise RelayError(message, remedy="relay status", code="unknown_builder")
    jobs = [Job.model_validate_json(row.data) for row in stored.jobs]
    folders = [project.output_dir(run, builder, job.id) for job in jobs if job.spec.builder == builder]
    for folder in reversed(folders):
        files = [file for name in ("output.log", "stderr.log") if (file := folder / name).exists()]
        if files:
            return files
    raise RelayError(f"{builder} has printed nothing yet", remedy="relay status", code="no_output")


def show_logs(files: Sequence[Path], *, lines: int, follow: bool, echo: Callable[[str], object]) -> None:
    """Prints the last `lines` of each file, and with `follow` all that is added until interrupted."""
    at = {file: _show_end(file, lines, echo) for file in files}
    while follow:
        for file in files:
            at[file] = _show_more(file, at[file], echo)
        select.select([], [], [], FOLLOW_S)


def _show_end(file: Path, lines: int, echo: Callable[[str], object]) -> int:
    try:
        with file.open("rb") as stream:
            for line in deque(stream, maxlen=lines):
                echo(_shown(line))
            return stream.tell()
    except FileNotFoundError:
        return 0


def _show_more(file: Path, offset: int, echo: Callable[[str], object]) -> int:
    """Prints the complete lines after `offset`; a file that shrank was begun anew."""
    try:
        with file.open("rb") as stream:
            if file.stat().st_size < offset:
                offset = 0
            stream.seek(offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                echo(_shown(line))
                offset += len(line)
    except FileNotFoundError:
        return 0
    return offset


def _shown(line: bytes) -> str:
    return escaped(_masker().masked(line.decode("utf-8", errors="replace").rstrip("\n")))


@cache
def _masker() -> Masker:
    return Masker.from_environ(os.environ)
