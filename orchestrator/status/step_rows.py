"""Rows of a workflow's steps on the screen: the boxes, and what is in them behind them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from lib.display import clip, escaped
from lib.steps import BOXES, BuilderStatus, StepKind
from orchestrator.status.screen import Look, ago, columns, spent
from orchestrator.status.step_views import StepView

_INDENT: Final = "   "
_GAP: Final = "  "
_LEVEL: Final = "  "
#: The sign and the style of a gate that waits for an answer.
_ASKING: Final = ("◆", "bold yellow")
_ASKS: Final = "asks"


def step_rows(steps: Sequence[StepView], look: Look, signs: Mapping[str, tuple[str, str]], *, costs: bool) -> list[str]:
    """One row a step; a column that would say nothing, or the same for each, is left out."""
    various = len({step.assistant for step in steps} - {""}) > 1
    costs = costs and any(step.tokens or step.cost_usd for step in steps)
    depths = _depths(steps)
    cells = [
        [
            clip(_LEVEL * depths[step.id] + escaped(step.id), look.columns // 3),
            _status(step),
            "" if step.age_s is None else ago(step.age_s),
            *([step.assistant] if various else []),
            *([spent(step.tokens, step.cost_usd)] if costs else []),
            step.line,
        ]
        for step in steps
    ]
    rows = columns(cells, look.columns - len(_INDENT))
    return [_row(step, row, look, signs) for step, row in zip(steps, rows, strict=True)]


def is_asking(step: StepView) -> bool:
    return step.kind == StepKind.GATE and BuilderStatus(step.status).is_at_work


def _depths(steps: Sequence[StepView]) -> dict[str, int]:
    """The depth of each of the steps in boxes that are among them; those in a box come after it."""
    depths: dict[str, int] = {}
    for step in steps:
        depths[step.id] = depths[step.parent] + 1 if step.parent in depths else 0
    return depths


def _status(step: StepView) -> str:
    """The status in words; of a box with how far the steps in it are."""
    if is_asking(step):
        return _ASKS
    if step.kind in BOXES and step.members:
        of = str(step.members) if step.done is None else f"{step.done} of {step.members}"
        return f"{step.status}, {of}"
    return step.status + (f" {step.attempt}/{step.attempts}" if 1 < step.attempt <= step.attempts else "")


def _row(step: StepView, cells: list[str], look: Look, signs: Mapping[str, tuple[str, str]]) -> str:
    sign, style = _ASKING if is_asking(step) else signs[step.status]
    name, status, *middle, line = cells
    last = look.paint(line, "red" if step.status == "failed" else "dim")
    return " " + _GAP.join([f"{look.paint(sign, style)} {name}", look.paint(status, style), *middle, last])
