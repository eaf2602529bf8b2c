"""The environment of a job: the user's own, without what would lead its programs astray."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

#: Of git's variables those that say how to reach another repository; all others can choose the wrong one.
GIT_TRANSPORT: Final = frozenset(
    f"GIT_{name}"
    for name in (
        "ALLOW_PROTOCOL",
        "ASKPASS",
        "HTTP_PROXY_AUTHMETHOD",
        "SSH",
        "SSH_COMMAND",
        "SSL_CAINFO",
        "SSL_NO_VERIFY",
    )
)
#: What names folders in which programs or Python's modules are looked for.
_FOLDERS: Final = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def environment(base: Mapping[str, str], additions: Mapping[str, str], *, root: Path | None = None) -> dict[str, str]:
    """What a job's programs get: `base` without what is Relay's own, then `additions`.

    Left out are: `RELAY_*`; `GIT_*` but for the transport's; names that are no shell identifiers, which not every
    /bin/sh passes on; and, if Relay is a checkout (`root`) with a `.venv` of its own, both folders in PATH, PYTHONPATH,
    PYTHONHOME and VIRTUAL_ENV. Any other virtual environment is what the user works in, and is kept.
    """
    kept = {name: value for name, value in base.items() if _is_users(name)}
    checkout = root or Path(__file__).resolve().parents[2]
    venv = checkout / ".venv"
    if venv.is_dir():
        own = {_folder(path) for path in (checkout, venv, venv / "bin")} - {None}
        for name in kept.keys() & set(_FOLDERS):
            left = [entry for entry in kept[name].split(os.pathsep) if _folder(entry) not in own]
            kept[name] = os.pathsep.join(left)
            if not left:
                del kept[name]
    return {**kept, **additions}


def _is_users(name: str) -> bool:
    if name.startswith("GIT_"):
        return name in GIT_TRANSPORT
    return not name.startswith("RELAY_") and _NAME.fullmatch(name) is not None


def _folder(path: str | Path) -> tuple[int, int] | None:
    """The same for all names of a folder; None if there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - an empty entry is not the current folder
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
