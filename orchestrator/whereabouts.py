"""Paths of the project as they are from the folder that a command was typed in.

What Relay stores names them from the project's root; shown elsewhere, such a path would lead nowhere.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from orchestrator.view import View

_PATH: Final = re.compile(r"(?<![\w./-])\.project(?:/[\w.@+-]*\w)*")


def prose(text: str, root: Path, here: Path) -> str:
    """A sentence, with each file by its name and its folder as it is from `here`."""
    return text if here == root else _PATH.sub(lambda path: _told(path[0], os.path.relpath(root, here)), text)


def typed(command: str, root: Path, here: Path) -> str:
    """A command, with each path as it is from `here`."""
    return command if here == root else _PATH.sub(lambda path: f"{os.path.relpath(root, here)}/{path[0]}", command)


def seen_from(view: View, root: Path, here: Path) -> View:
    """The view as a person in the folder `here` reads it."""
    if here == root:
        return view
    return view._replace(
        headline=prose(view.headline, root, here),
        message=prose(view.message, root, here),
        commands=tuple(
            each._replace(text=typed(each.text, root, here), what=prose(each.what, root, here))
            for each in view.commands
        ),
        troubles=tuple(
            each._replace(message=prose(each.message, root, here), remedy=typed(each.remedy, root, here))
            for each in view.troubles
        ),
        builders=tuple(each._replace(line=prose(each.line, root, here)) for each in view.builders),
    )


def _told(path: str, up: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{name} (in {up}/{folder})" if "." in name[1:] and folder else f"{up}/{path}"
