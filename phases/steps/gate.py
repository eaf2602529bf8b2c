"""`gate`: a question to a person, whose answer is its output; a rejection may send steps back. Pure."""

from __future__ import annotations

import shlex
from typing import Any, Final

from lib.config.model import Gate as ConfigGate
from lib.contracts import AskCi, PhaseView
from lib.design.final_json import json_value
from lib.errors import UsageError
from lib.model import Step, StepChange
from lib.question import GATE, NO, YES, Answer
from lib.steps import StepStatus
from lib.workflow.evaluating import EvaluationError
from lib.workflow.options import Gate
from lib.workflow.schemas import misfits
from phases.steps import Moved, Moves
from phases.steps._failing import fails, handed_back
from phases.steps._leaving_out import is_cut_off, left_out
from phases.steps._names import names_for
from phases.steps._nodes import node_of
from phases.steps._sending_back import found_near, sent_back

#: Characters of the question that its record's note has.
NOTE: Final = 200


class Gates:
    """At work from the question to the answer."""

    takes_slot = False

    def move(self, step: Step, moves: Moves) -> Moved | None:
        view = moves.view
        if step.status in {StepStatus.PENDING, StepStatus.RETRYING}:
            return _open(view, step)
        if step.status is StepStatus.FAILED and (again := handed_back(view, step)):
            return Moved(again)
        return _waited(step, moves) if step.status is StepStatus.RUNNING else None


def _waited(step: Step, moves: Moves) -> Moved | None:
    """The move of an open gate: once it is answered, its time is over, or the run ends before it."""
    if step.decision:
        return _answered(step, moves, "person")
    if is_cut_off(step, moves):
        return left_out(moves.view, step, "the run ends")
    left_s = left_for(moves.view, step)
    return _timed_out(step, moves) if left_s is not None and left_s <= 0 else None


def left_for(view: PhaseView, step: Step) -> float | None:
    """Seconds that are left to answer an open gate; None where there is no end of them."""
    timeout_s = _gate(view, step).timeout_s
    if timeout_s is None or step.started_at is None:
        return None
    return timeout_s - (view.now.wall - step.started_at).total_seconds()


def question(view: PhaseView, step: Step) -> AskCi:
    """The question of an open gate."""
    gate = _gate(view, step)
    again = f"{step.note[:1].upper()}{step.note[1:]}. " if step.note != step.words[:NOTE] else ""
    return AskCi(GATE, f"{again}{step.id} asks: {step.words}", "execution", steps=(step.id,), answers=_answers(gate),
                 decisions=gate.decisions)  # fmt: skip


def _answers(gate: Gate) -> tuple[Answer, ...]:
    """The answers to choose from; of a form, one that has all its fields."""
    if fields := _fields(gate):
        given = " ".join(f"{name}=…" for name in fields)
        return (Answer(f"relay answer '{given}'", "goes on with these values"), *_rejects(gate))
    others = (name for name in gate.decisions if name not in {YES, NO})
    first = [Answer("relay approve", "goes on")] if YES in gate.decisions else []
    return (*first, *(Answer(f"relay decide {name}", "goes on with that") for name in others), *_rejects(gate))


def _rejects(gate: Gate) -> tuple[Answer, ...]:
    if NO not in gate.decisions:
        return ()
    back = gate.on_reject.back_to if gate.on_reject else None
    return (Answer('relay reject "why"', f"has {back} done again" if back else "ends this step as failed"),)


def _open(view: PhaseView, step: Step) -> Moved:
    """The gate with its question in words; where gates are left out, with its answer."""
    gate = _gate(view, step)
    try:
        words = node_of(view, step).templates["gate.message"].rendered(names_for(view, step))
    except (EvaluationError, UsageError) as error:
        return Moved(fails(view, step, error.message))
    opened: StepChange = {"status": StepStatus.RUNNING, "decision": "", "words": words, "note": words[:NOTE],
                          "feedback": "", "error": None, "attempt": step.attempt + 1,
                          "started_at": step.started_at or view.now.wall}  # fmt: skip
    if view.config.gates.design is ConfigGate.NONE and YES in gate.decisions and not _fields(gate):
        given = {"decision": YES, "words": "", "by": "--yes", "form": {}}
        return Moved(opened | {"status": StepStatus.DONE, "output": given, "ended_at": view.now.wall})
    return Moved(opened)


def _timed_out(step: Step, moves: Moves) -> Moved | None:
    gate = _gate(moves.view, step)
    if gate.on_timeout is None:
        return Moved(fails(moves.view, step, f"nobody answered within {gate.timeout_s:g} s"))
    return _answered(step.model_copy(update={"decision": gate.on_timeout, "feedback": ""}), moves, "timeout")


def _answered(step: Step, moves: Moves, by: str) -> Moved | None:
    view, gate = moves.view, _gate(moves.view, step)
    if step.decision == NO:
        return _rejected(step, moves, gate, by)
    if by == "timeout":  # there is nobody to fill in the form
        given = {"decision": step.decision, "words": "", "by": by, "form": {}}
        return Moved({"status": StepStatus.DONE, "decision": step.decision, "output": given,
                      "note": f"{step.decision}, as nobody answered", "ended_at": view.now.wall})  # fmt: skip
    form, wrong = _form(gate, step.feedback)
    if wrong:
        return Moved({"decision": "", "feedback": "", "note": f"the answer does not fit the form: {wrong}"})
    words = "" if form else step.feedback
    given = {"decision": step.decision, "words": words, "by": by, "form": form}
    return Moved({"status": StepStatus.DONE, "output": given, "note": step.decision, "ended_at": view.now.wall})


def _rejected(step: Step, moves: Moves, gate: Gate, by: str) -> Moved | None:
    view = moves.view
    given = {"decision": NO, "words": step.feedback, "by": by, "form": {}}
    back = gate.on_reject
    if back is not None and back.back_to is not None and step.round < back.max_rounds:
        return sent_back(view, step, found_near(view, step, back.back_to), step.feedback)
    why = f"rejected {step.round + 1} times" if step.round else "rejected"
    told = fails(view, step, f"{why}: {step.feedback}" if step.feedback else why)
    return Moved(told | {"output": given})


def _form(gate: Gate, text: str) -> tuple[dict[str, Any], str]:
    """The further answers in a person's words, JSON or `name=value`, and why they don't fit."""
    if gate.form is None:
        return {}, ""
    try:
        form = json_value(text) if text.lstrip().startswith("{") else _pairs(text)
    except (ValueError, RecursionError) as error:
        return {}, f"it can't be read: {error}"
    return form, "; ".join(misfits(gate.form, form))


def _pairs(text: str) -> dict[str, Any]:
    """`name=value` words: a value that is JSON is that, else text."""
    found: dict[str, Any] = {}
    for word in shlex.split(text):
        name, _, value = word.partition("=")
        try:
            found[name] = json_value(value)
        except (ValueError, RecursionError):
            found[name] = value
    return found


def _fields(gate: Gate) -> list[str]:
    """The names of the further answers."""
    return list((gate.form or {}).get("properties", ()))


def _gate(view: PhaseView, step: Step) -> Gate:
    gate = node_of(view, step).step.gate
    if gate is None:
        raise TypeError(f"{step.id} is no gate")
    return gate


mover = Gates()
