"""A file of the reason why the run database can't be written. It needs no room: its blocks are allocated beforehand."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

from lib.errors import RelayError
from lib.files.safe_read import NotPlainError, open_plain, read_plain
from lib.project.paths import Project

if TYPE_CHECKING:
    from lib.model import Now  # status reads `standing`, and must not pay for pydantic

HOLD_FILE = "hold"
SIZE = 1024
RETRY_S = 1.0


class Outage:
    """Set while nothing can be committed; the loop then tries again every second."""

    def __init__(self, project: Project) -> None:
        self._file = project.instance_dir / HOLD_FILE
        self._set = False
        self.due_mono_s: float | None = None
        self._write(b"")

    def set(self, error: RelayError, instant: Now) -> None:
        self.due_mono_s = instant.mono_s + RETRY_S
        if not self._set:
            self._set = True
            told = {"code": error.code, "message": error.message[:300], "remedy": error.remedy[:300]}
            self._write(json.dumps(told).encode())

    def lift(self) -> None:
        self.due_mono_s = None
        if self._set:
            self._set = False
            self._write(b"")

    def _write(self, text: bytes) -> None:
        """In place; on a file system that can't even do this, standard error has it."""
        with contextlib.suppress(OSError, NotPlainError):
            descriptor = open_plain(self._file, os.O_WRONLY | os.O_CREAT)
            try:
                os.pwrite(descriptor, text.ljust(SIZE), 0)
            finally:
                os.close(descriptor)


def standing(project: Project) -> dict[str, str] | None:
    """The reason why the orchestrator of this instance can't commit just now, as `code`, `message` and `remedy`."""
    try:
        text = (read_plain(project.instance_dir / HOLD_FILE, limit=2 * SIZE) or b"").decode(errors="replace").strip()
        return json.loads(text) if text else None
    except (OSError, ValueError, NotPlainError):
        return None
