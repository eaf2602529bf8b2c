"""Skills: Markdown files by name that builders are given, a project's own before those that ship with Relay."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lib.errors import UsageError
from lib.files.safe_read import NotPlainError, read_own
from lib.names import quote
from lib.project.templates import shipped

SUFFIX: Final = ".md"
#: What a prompt can bear of one skill.
MAX_CHARS: Final = 40_000
MAX_BYTES: Final = 1_000_000


def read_skills(names: Sequence[str], own: Path) -> list[dict[str, str]]:
    """The `name` and `text` of each; `own` is the project's folder of them, which need not exist.

    Raises `UsageError` (`no_skill`, `skill_invalid`).
    """
    return [{"name": name, "text": _text(_file(name, own))} for name in names]


def _file(name: str, own: Path) -> Path:
    folders = (own, shipped("skills"))
    for folder in folders:
        if os.path.lexists(file := folder / f"{name}{SUFFIX}"):
            return file
    known = sorted({file.stem for folder in folders for file in folder.glob(f"*{SUFFIX}")})
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    message = f"there is no skill {name}; {hint}"
    raise UsageError(message, remedy=f"$EDITOR {quote(f'{own / name}{SUFFIX}')}", code="no_skill")


def _text(file: Path) -> str:
    try:
        text = (read_own(file, limit=MAX_BYTES) or b"").decode("utf-8").strip()
    except (OSError, UnicodeDecodeError, NotPlainError) as error:
        message = f"{file} can't be read: {error}"
        raise UsageError(message, remedy=f"ls -l {quote(file)}", code="skill_invalid") from error
    if not text or len(text) > MAX_CHARS:
        problem = f"has {len(text):,} characters; the limit is {MAX_CHARS:,}" if text else "is empty"
        raise UsageError(f"{file} {problem}", remedy=f"$EDITOR {quote(file)}", code="skill_invalid")
    return text
