"""Answers to the gate of a workflow that asks: one of its decisions, with words or values."""

from __future__ import annotations

from lib.errors import UsageError
from lib.model import Owner, State
from lib.project.paths import Project
from lib.question import GATE, NO, YES
from lib.statefile.document import did_you_mean
from orchestrator.commands.run_control import check_asked, current, hand_back, run_of
from orchestrator.engine.run import Run


def is_asking(state: State) -> bool:
    """True if a gate asks."""
    return state.action_owner is Owner.CI and state.action_needed == GATE


def decide(project: Project, decision: str, words: str | None = None) -> None:
    """Answers the gate with that decision. Raises `RelayError` (`not_asked`, `unknown_decision`, `needs_values`)."""
    state = current(project)
    check_asked(state, GATE)
    run = run_of(project)
    known, gate = run.engine.decisions, _name(run)
    if decision not in known:
        message = f"{gate} does not take {decision}{did_you_mean(decision, known)}; it takes {', '.join(known)}"
        raise UsageError(message, remedy=_offered(state), code="unknown_decision")
    if decision != NO and not words and _has_form(run):
        raise UsageError(f"{gate} asks for values, too", remedy=_offered(state), code="needs_values")
    hand_back(project, action=decision, feedback=words)


def answer(project: Project, values: str) -> None:
    """Answers the gate with the values of its form. Raises `RelayError` (`no_form`) if it has none."""
    state, run = current(project), run_of(project)
    if not _has_form(run):
        message = f"{_name(run)} asks for a decision, not for an answer in words"
        raise UsageError(message, remedy=_offered(state), code="no_form")
    positive = [name for name in run.engine.decisions if name != NO]
    decide(project, YES if YES in positive else next(iter(positive), NO), values)


def _name(run: Run) -> str:
    return ", ".join(run.engine.asking) or "the gate"


def _has_form(run: Run) -> bool:
    from lib.workflow.compiled import plan_of

    if run.definition is None:
        return False
    nodes = plan_of(run.definition).nodes
    gates = (nodes[run.steps[name].node].step.gate for name in run.engine.asking)
    return any(gate is not None and gate.form is not None for gate in gates)


def _offered(state: State) -> str:
    return ", or: ".join(answer.command for answer in state.answers) or "relay status"
