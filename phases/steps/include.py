"""`include`: the steps of another workflow; its output is that workflow's. Pure."""

from __future__ import annotations

from typing import Any

from lib.contracts import PhaseView
from lib.model import Step
from phases.steps._boxes import Box
from phases.steps._names import known_outputs, names_inside
from phases.steps._nodes import children, node_of


def _output(view: PhaseView, box: Step) -> dict[str, Any]:
    return known_outputs(node_of(view, box).outputs, names_inside(view, box))


mover = Box(children, _output)
