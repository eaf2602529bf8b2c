"""Texts and commands of a project as they are right in the folder where they are read.

What Relay stores names paths from the project's root, below `.project/`, and commands as they are typed there for the
default instance.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from lib.files.safe_read import OWN_FOLDERS
from lib.names import quote
from lib.project.paths import Project, working_folder
from lib.spelling import for_instance

if TYPE_CHECKING:
    from orchestrator.status.view import View

_PATH: Final = {own: re.compile(rf"(?<![\w./-])\{own}(?:/[\w.@+-]*\w)*") for own in OWN_FOLDERS}
#: Commands of git that work on what is checked out, unless they say where.
_GIT: Final = re.compile(r"(?<![\w./-])git (?=(?:merge|switch) )")


class Place(NamedTuple):
    """The folder `here` in the project's work tree, in which people read of its instance."""

    project: Project
    here: Path

    @classmethod
    def of(cls, project: Project) -> Place:
        """The place that a command about `project` was typed in."""
        return cls(project, working_folder(project.root))

    def told(self, text: str) -> str:
        """The text with its paths as they are from here, and its commands as they are typed here."""
        project = self.project
        text = project.named(for_instance(text, project.instance))
        if self.here == project.root:
            return text
        if self.here.is_relative_to(project.worktrees):  # there git works on a builder's branch
            text = _GIT.sub(lambda _: f"git -C {quote(project.root)} ", text)
        up = os.path.relpath(project.root, self.here)
        return _PATH[project.own].sub(lambda path: f"{up}/{path[0]}", text)


def seen_from(view: View, place: Place) -> View:
    """The view as a person reads it in that place."""
    told = place.told
    return view._replace(
        headline=told(view.headline),
        message=told(view.message),
        commands=tuple(each._replace(text=told(each.text), what=told(each.what)) for each in view.commands),
        troubles=tuple(each._replace(message=told(each.message), remedy=told(each.remedy)) for each in view.troubles),
        builders=tuple(each._replace(line=told(each.line)) for each in view.builders),
        steps=tuple(each._replace(line=told(each.line)) for each in view.steps),
    )
