"""Reading logs as they grow; whatever a program printed is shown escaped."""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from lib.display import Masker, escaped
from lib.errors import RelayError
from lib.model import Job
from lib.names import from_json
from lib.paths import Project
from lib.plainfile import NotPlainError, open_plain
from lib.rundb import RunDB

FOLLOW_S = 0.3
#: No more than this of a file's end is looked through.
SHOWN_BYTES = 20_000_000


def builder_logs(project: Project, builder: str) -> tuple[list[Path], bool]:
    """The output files of a builder's newest turn or command, and whether more may be printed to them.

    Raises `RelayError` (`unknown_builder`, `no_output`).
    """
    db = RunDB.open_readonly(project.database)
    run = db.latest_run(project.instance_dir.name) if db else None
    if db is None or run is None:
        raise RelayError("there is no run here", remedy='relay start "what you want built"', code="no_run")
    stored = db.load(run)
    known = [row.id for row in stored.builders]
    if builder not in known:
        message = f"there is no builder {builder}; there are: {', '.join(known) or 'none yet'}"
        raise RelayError(message, remedy="relay status", code="unknown_builder")
    jobs = [from_json(Job, row.data) for row in stored.jobs]
    for job in reversed([job for job in jobs if job.spec.builder == builder]):
        folder = project.output_dir(run, builder, job.id)
        files = [file for name in ("output.log", "stderr.log") if (file := folder / name).exists()]
        if files:
            return files, job.result is None
    raise RelayError(f"{builder} has printed nothing yet", remedy="relay status", code="no_output")


def known_secrets(project: Project) -> Masker:
    """A masker of the secrets of this environment and of the newest run's configuration."""
    db = RunDB.open_readonly(project.database)
    run = db.latest_run(project.instance_dir.name) if db else None
    configured = db.load(run).options.get("env", {}) if db and run else {}
    return Masker.from_environ({**os.environ, **configured})


def show_logs(
    files: Sequence[Path], masker: Masker, *, lines: int, growing: bool, follow: bool, echo: Callable[[str], object]
) -> None:
    """Prints the last `lines` of each file, and with `follow` all that is added until interrupted.

    The end of a line that is still being written is held back while it may be half of a secret.
    """

    def show(line: bytes) -> None:
        text = line.decode("utf-8", errors="replace")
        if growing and not text.endswith("\n"):
            text = text[: masker.safe_end(text)]
        echo(escaped(masker.masked(text.rstrip("\n"))))

    at = {file: _show_end(file, lines, show, whole=follow and growing) for file in files}
    while follow:
        for file in files:
            at[file] = _show_more(file, at[file], show)
        select.select([], [], [], FOLLOW_S)


def _show_end(file: Path, lines: int, show: Callable[[bytes], None], *, whole: bool) -> int:
    """Where it ended; with `whole`, a last line that is not complete is left for later."""
    try:
        with os.fdopen(open_plain(file), "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - SHOWN_BYTES))
            if stream.tell():
                stream.readline()
            last = deque(stream, maxlen=lines)
            end = stream.tell()
        if whole and last and not last[-1].endswith(b"\n"):
            end -= len(last.pop())
        for line in last:
            show(line)
        return end
    except (FileNotFoundError, NotADirectoryError, NotPlainError):  # a builder may have put anything there
        return 0


def _show_more(file: Path, offset: int, show: Callable[[bytes], None]) -> int:
    """Prints the complete lines after `offset`; a file that shrank was begun anew."""
    try:
        with os.fdopen(open_plain(file), "rb") as stream:
            if file.stat().st_size < offset:
                offset = 0
            stream.seek(offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                show(line)
                offset += len(line)
    except (FileNotFoundError, NotADirectoryError, NotPlainError):
        return 0
    return offset
