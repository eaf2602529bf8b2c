"""An installation of the user's by which Python imports a project from the user's checkout, wherever tests run.

With `pip install -e .` in an environment that jobs use as well, the tests in a builder's worktree import the code of
the checkout: they pass, and have looked at nothing that was built. Files are read; no Python is started.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from lib.files.safe_read import OWN_FOLDERS, NotPlainError, read_plain

_LIMIT_BYTES: Final = 1_000_000
_PROGRAMS: Final = ("python", "python3", "pytest")
_PACKAGES: Final = ("lib/python3*/site-packages", "lib/python3*/dist-packages", "lib64/python3*/site-packages")


class Editable(NamedTuple):
    """`record` is the file that says so, `folder` what is imported from, relative to the project's root."""

    record: Path
    folder: str

    @property
    def remedy(self) -> str:
        """A line of the configuration that makes each worktree's own code win."""
        return f"env: {{PYTHONPATH: {json.dumps(self.folder) if self.folder != '.' else '.'}}}"

    def sentence(self) -> str:
        """The effect of the record, and what to do about it, in words."""
        return (
            f"{self.record} makes Python import this project from your checkout ({self.folder}) in every worktree, so "
            f"tests there do not see what was built. Add to .project/config.yaml: {self.remedy}"
        )


def editable(root: Path, env: Mapping[str, str]) -> Editable | None:
    """The first installation that does so for jobs with the environment `env`; None if a PYTHONPATH of theirs wins."""
    real = root.resolve()
    entries = [entry for entry in env.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if any(not Path(entry).is_absolute() for entry in entries):
        return None
    inside = next((folder for entry in entries if (folder := _below(real, entry)) is not None), None)
    if inside is not None:
        return Editable(Path("PYTHONPATH"), inside)
    return next((found for folder in _site_packages(env) for found in _recorded(real, folder)), None)


def _site_packages(env: Mapping[str, str]) -> Iterator[Path]:
    prefixes = [Path(env["VIRTUAL_ENV"])] if env.get("VIRTUAL_ENV") else []
    for name in _PROGRAMS:
        folders = (Path(entry) for entry in env.get("PATH", "").split(os.pathsep) if entry.startswith("/"))
        if found := next((folder for folder in folders if os.access(folder / name, os.X_OK)), None):
            prefixes.append(found.parent)
    prefixes += [Path(env["HOME"]) / ".local"] if env.get("HOME") else []
    for prefix in dict.fromkeys(prefixes):
        for pattern in _PACKAGES:
            yield from sorted(prefix.glob(pattern))


def _recorded(root: Path, folder: Path) -> Iterator[Editable]:
    for file in sorted([*folder.glob("*.pth"), *folder.glob("*.egg-link")]):
        for line in _text(file).splitlines():
            if not line.startswith(("import ", "import\t", "#")) and (below := _below(root, line.strip())) is not None:
                yield Editable(file, below)
    for file in sorted(folder.glob("__editable__*_finder.py")):
        for path in re.findall(r"""['"](/[^'"\n]*)['"]""", _text(file)):
            if (below := _below(root, path)) is not None:
                yield Editable(file, str(Path(below).parent))
    for file in sorted(folder.glob("*.dist-info/direct_url.json")):
        if (below := _below(root, _direct(_text(file)))) is not None:
            yield Editable(file, below)


def _direct(text: str) -> str:
    """The folder of an editable installation by PEP 610; empty for any other."""
    try:
        found = json.loads(text)
        is_editable = bool(found["dir_info"]["editable"])
        return unquote(urlsplit(str(found["url"])).path) if is_editable else ""
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""


def _below(root: Path, path: str) -> str | None:
    """The path from `root`, None for one that is elsewhere or among what Relay keeps there."""
    if not path.startswith("/") or "\0" in path:
        return None
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(root) or not real.exists():
        return None
    parts = real.relative_to(root).parts
    return None if parts[:1] and parts[0] in OWN_FOLDERS else "/".join(parts) or "."


def _text(file: Path) -> str:
    try:
        return (read_plain(file, limit=_LIMIT_BYTES) or b"").decode("utf-8", errors="replace")
    except (OSError, NotPlainError):
        return ""
