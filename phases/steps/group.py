"""`group`: steps that belong together; its output has theirs by their ids. Pure."""

from __future__ import annotations

from typing import Any

from lib.contracts import PhaseView
from lib.model import Step
from phases.steps._boxes import Box, members_of
from phases.steps._nodes import children


def _output(view: PhaseView, box: Step) -> dict[str, Any]:
    return {step.id.rpartition(".")[2]: step.output for step in members_of(view, box)}


mover = Box(children, _output)
