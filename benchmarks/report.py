"""The figures measured, those of their floors, and the table that shows them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Goal:
    """An upper bound for one figure of a row."""

    figure: Literal["median", "p99", "max", "ratio"]
    limit: float


@dataclass(frozen=True, slots=True)
class Row:
    """Figures of one thing, in `unit`, and those of its floor, which were taken in turns with them."""

    what: str
    unit: str
    measured: Sequence[float]
    goals: Sequence[Goal]
    floor: str = ""
    floors: Sequence[float] = ()

    def figure(self, name: str) -> float:
        match name:
            case "median":
                return statistics.median(self.measured)
            case "p99":
                return sorted(self.measured)[-(-len(self.measured) * 99 // 100) - 1]
            case "max":
                return max(self.measured)
            case _:
                return statistics.median(self.measured) / statistics.median(self.floors)

    @property
    def met(self) -> bool:
        return all(self.figure(goal.figure) <= goal.limit for goal in self.goals)

    def as_dict(self) -> dict[str, Any]:
        """For machines: all figures as they were taken."""
        return {
            "what": self.what,
            "unit": self.unit,
            "measured": list(self.measured),
            "floor": self.floor,
            "floors": list(self.floors),
            "ratio": self.figure("ratio") if self.floors else None,
            "goals": {goal.figure: {"limit": goal.limit, "is": self.figure(goal.figure)} for goal in self.goals},
            "met": self.met,
        }

    def cells(self) -> list[str]:
        ratio = f"{self.figure('ratio'):.2f}" if self.floors else ""
        goals = ", ".join(self._goal(goal) for goal in self.goals)
        floor = f"{self.floor}: {_spread(self.floors, self.unit)}" if self.floors else ""
        return [self.what, _spread(self.measured, self.unit), floor, ratio, goals, "yes" if self.met else "**no**"]

    def _goal(self, goal: Goal) -> str:
        if goal.figure == "ratio":
            return f"ratio ≤ {goal.limit:g}"
        reached = "" if goal.figure == "median" else f" (is {_short(self.figure(goal.figure))})"
        return f"{goal.figure} ≤ {goal.limit:g} {self.unit}".rstrip() + reached


HEAD = ["what", "median (min to max)", "floor", "ratio", "goal", "met"]


def table(rows: Sequence[Row]) -> str:
    """A Markdown table that is also readable as plain text."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    text = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def _spread(values: Sequence[float], unit: str) -> str:
    middle = f"{_short(statistics.median(values))} {unit}".rstrip()
    return middle if len(values) == 1 else f"{middle} ({_short(min(values))} to {_short(max(values))})"


def _short(value: float) -> str:
    """Three digits that count, and never an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits
