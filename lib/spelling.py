"""Commands as they can be typed where they are read: by the program, the instance and the editor that are there.

It must stay light: `status.py` shows commands too.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final

from lib.config.origins import editor
from lib.names import quote
from lib.project.paths import DEFAULT_INSTANCE

RELAY: Final = "relay"
EDITOR: Final = "$EDITOR"
#: Commands that are about one instance; the others know no `--instance`.
OF_INSTANCE: Final = frozenset(
    {
        "start", "status", "logs", "diff", "approve", "reject", "decide", "answer", "retry", "rerun", "skip",
        "checkpoints", "restore",
        "pause", "resume", "cancel", "stop", "doctor",
    }
)  # fmt: skip
#: Such a command where it begins, unless it names an instance.
_FOR_ONE: Final = re.compile(rf"(?<![\w./-])relay (?:{'|'.join(sorted(OF_INSTANCE))})(?![\w-])(?! --instance)")
_COMMAND: Final = re.compile(r"(?<![\w./-])relay (?=(-?-?)([a-z]+))")
_EDITOR: Final = re.compile(r"\$EDITOR\b")


def spelled(text: str, program: str, editing: str) -> str:
    """The text with `relay` as the program is called, and with the editor that is there."""
    if program != RELAY:
        text = _COMMAND.sub(lambda _: f"{program} ", text)
    return text if editing == EDITOR else _EDITOR.sub(lambda _: editing, text)


def editing() -> str:
    """`$EDITOR` where that is set; else an editor of this machine."""
    return EDITOR if os.environ.get("EDITOR") else editor()


def for_instance(text: str, instance: str) -> str:
    """The text with each command in it for that instance, if it is about one and names none."""
    if instance == DEFAULT_INSTANCE:
        return text
    return _FOR_ONE.sub(lambda command: f"{command[0]} --instance {instance}", text)


def called() -> str:
    """`relay` where that is on the path; else the program beside the one that runs, by its whole path."""
    if _found("relay"):
        return "relay"
    beside = Path(sys.argv[0]).parent / "relay", Path(sys.executable).parent / "relay"
    return next((quote(str(path.absolute())) for path in beside if os.access(path, os.X_OK)), "relay")


def _found(name: str) -> bool:
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return any(os.access(os.path.join(folder, name), os.X_OK) for folder in folders)  # noqa: PTH118 - each call counts
