"""Kinds of steps, one a file, called as `lib.steps.StepKind` names it: each says what comes next for a step. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from typing import NamedTuple, Protocol, cast

from lib.contracts import Change, PhaseView, Proceed
from lib.jobs import JobSpec
from lib.model import Step, StepChange
from lib.steps import StepKind


class Moved(NamedTuple):
    """The next move of a step: changes of its record, a job of it, steps that it adds, changes of others."""

    fields: StepChange
    job: JobSpec | None = None
    added: tuple[Step, ...] = ()
    others: tuple[Change, ...] = ()


@dataclass(slots=True)
class Moves:
    """The moves of one look at a run, so far. `changed` are steps as they are after these."""

    view: PhaseView
    changes: list[Change] = field(default_factory=list)
    jobs: list[JobSpec] = field(default_factory=list)
    added: list[Step] = field(default_factory=list)
    changed: dict[str, Step] = field(default_factory=dict)

    def step(self, name: str) -> Step:
        return self.changed.get(name) or self.view.steps[name]

    def add(self, step: Step, moved: Moved) -> None:
        for change in (Change(step.id, moved.fields), *moved.others):
            self.changes.append(change)
            self.changed[change.step] = self.step(change.step).model_copy(update=dict(change.fields))
        self.added += moved.added
        if moved.job is not None:
            self.jobs.append(moved.job)

    def at_work(self, steps: Iterable[Step]) -> list[Step]:
        """Of these steps, and of those that these moves begin, the ones that are at work after them."""
        known = {step.id: step for step in steps} | self.changed
        return [step for step in map(self.step, known) if step.shown.is_at_work]

    def proceed(self) -> Proceed:
        return Proceed(changes=tuple(self.changes), jobs=tuple(self.jobs), added=tuple(self.added))


class Mover(Protocol):
    """A kind of step. One that `takes_slot` counts against the steps that may be at work at once."""

    takes_slot: bool

    def move(self, step: Step, moves: Moves) -> Moved | None:
        """The next move of a step of this kind; None while it has to wait. Pure."""
        ...


def mover_of(kind: StepKind) -> Mover:
    """The kind's object, of which only the kinds of a run are imported."""
    return cast("Mover", import_module(f"phases.steps.{kind.value}").mover)
