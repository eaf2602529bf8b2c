"""Steps that a rejection sends back: one runs again with the words of it, then all that depends on it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lib.contracts import Change, PhaseView
from lib.model import Step, StepChange
from lib.steps import AT_WORK, StepKind, StepStatus
from phases.steps import Moved
from phases.steps._nodes import around

_WAITS: Final = "rejected; waits for what is at work"


def found_near(view: PhaseView, step: Step, name: str) -> Step:
    """The step that a file calls `name`, as the steps around `step` see it."""
    for box in around(view.steps, step):
        if found := view.steps.get(f"{box.parent}.{name}" if box.parent else name):
            return found
    raise KeyError(name)


def sent_back(view: PhaseView, gate: Step, first: Step, words: str) -> Moved | None:
    """Waits until what is sent back is not at work any more, then sends it back, the gate with it."""
    wanted = {first.id, *_dependents(view, first.id)}
    found = [each for name in wanted for each in (view.steps[name], *inside(view, view.steps[name]))]
    if any(step.shown in AT_WORK and step.kind in {StepKind.PROMPT, StepKind.RUN} for step in found):
        return None if gate.note == _WAITS else Moved({"note": _WAITS})
    changes = []
    for step in found:
        if step.id == gate.id or step.status is StepStatus.PENDING:
            continue
        is_first = first.id in {box.id for box in around(view.steps, step)}
        changes.append(Change(step.id, reset(step, words if is_first else "", keeps=is_first)))
    return Moved(reset(gate, "", keeps=False) | {"round": gate.round + 1}, others=tuple(changes))


def _dependents(view: PhaseView, name: str) -> Iterator[str]:
    """All steps that need a step, directly or not."""
    seen, waiting = set[str](), [name]
    while waiting:
        for each in view.ledger.needing(waiting.pop()):
            if each not in seen:
                seen.add(each)
                waiting.append(each)
                yield each


def inside(view: PhaseView, box: Step) -> Iterator[Step]:
    """All steps that are in a box, or in one in it."""
    for name in box.members:
        yield view.steps[name]
        yield from inside(view, view.steps[name])


def reset(step: Step, words: str = "", *, keeps: bool = False) -> StepChange:
    """The changes that make a step as if it had not run, but for its count of attempts; it `keeps` its conversation.

    What it gives then is this run's own: no other one takes it.
    """
    return {
        "status": StepStatus.PENDING,
        "attempts": step.attempt + step.per_round,
        "session": step.session if keeps else None,
        "output": None,
        "content": "",
        "reused": "",
        "decision": "",
        "verified": False,
        "ruled_out": False,
        "tolerated": False,
        "feedback": words,
        "losses": 0,
        "retry_at_mono_s": None,
        "note": "",
        "error": None,
        "started_at": None,
        "ended_at": None,
    }
