"""Git's own logs of where a ref or a work tree was, read without git: that takes longer than all the rest."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

from lib.git.run import FALLBACK_EMAIL, FALLBACK_NAME

_ENTRIES: Final = 200
#: As git writes it (git's refs/files-backend.c): `OLD NEW NAME <MAIL> SECONDS ZONE`, a tab, the reason.
_ENTRY: Final = re.compile(rb"[0-9a-f]{40,64} ([0-9a-f]{40,64}) [^\t]*\t?(.*)")


def checked_out(git_dir: Path) -> list[str]:
    """The commits that were checked out in a work tree, the newest last."""
    return [commit for commit, _ in reversed(read_log(git_dir / "logs" / "HEAD"))]


def begin_log(git_dir: Path, commit: str) -> None:
    """Begins the log of a new work tree at the commit that it has checked out."""
    file = git_dir / "logs" / "HEAD"
    file.parent.mkdir(exist_ok=True)
    who = f"{FALLBACK_NAME} <{FALLBACK_EMAIL}> {int(time.time())} +0000"
    file.write_text(f"{'0' * len(commit)} {commit} {who}\trelay: a new worktree\n")


def read_log(file: Path) -> list[tuple[str, str]]:
    """Commits that the ref was moved to, each with the reason, the newest first; nothing if git keeps no log of it.

    Lines that a power cut left empty or full of zeros are passed over.
    """
    try:
        lines = file.read_bytes().splitlines()[-_ENTRIES:]
    except FileNotFoundError:
        return []
    found = (entry for line in reversed(lines) if (entry := _ENTRY.fullmatch(line)))
    return [(entry[1].decode(), entry[2].decode(errors="replace")) for entry in found]
