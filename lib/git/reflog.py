"""Git's log of a ref, read from its file: git itself takes longer than all the rest for a builder that did no wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_ENTRIES: Final = 200
#: As git writes it (git's refs/files-backend.c): `OLD NEW NAME <MAIL> SECONDS ZONE`, a tab, the reason.
_ENTRY: Final = re.compile(rb"[0-9a-f]{40,64} ([0-9a-f]{40,64}) [^\t]*\t?(.*)")


def read_log(file: Path) -> list[tuple[str, str]]:
    """Where the ref was and why it was moved there, the newest first; nothing if git keeps no log of it.

    Lines that a power cut left empty or full of zeros are passed over.
    """
    try:
        lines = file.read_bytes().splitlines()[-_ENTRIES:]
    except FileNotFoundError:
        return []
    found = (entry for line in reversed(lines) if (entry := _ENTRY.fullmatch(line)))
    return [(entry[1].decode(), entry[2].decode(errors="replace")) for entry in found]
