"""Options of workflows that this version does not carry out: a run with one does not start. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lib.workflow.definition import Kind, Step, Workflow
from lib.workflow.faults import Fault, WorkflowError
from lib.workflow.options import Workspace
from lib.workflow.plan import Node, Plan


def refuse(plan: Plan, file: Path) -> None:
    """Raises `WorkflowError` with all that this version does not carry out."""
    faults = [*(Fault(plan.file, 1, 1, f"{what} is not carried out yet") for what in _of_workflow(plan.workflow)),
              *(Fault(node.file, node.line, node.column, f"{node.id}: {what} is not carried out yet")
                for node in plan.nodes.values() for what in _of_node(node))]  # fmt: skip
    if faults:
        raise WorkflowError(faults, file)


def _of_workflow(workflow: Workflow) -> Iterator[str]:
    given = {
        "concurrency": workflow.concurrency,
        "priority": workflow.priority,
        "phases": workflow.phases,
        "a secret input": [name for name, declared in workflow.inputs.items() if declared.secret],
    }
    yield from (name for name, value in given.items() if value)


def _of_node(node: Node) -> Iterator[str]:
    step = node.step
    given = {
        "a workflow as a run of its own": node.kind is Kind.WORKFLOW,
        "compete": step.compete,
        "workspace: own": step.workspace is Workspace.OWN,
        "review": step.review,
        "effort of a gate": node.kind is Kind.GATE and step.effort,
        "profile": step.profile,
        "artifacts without the shared worktree": step.artifacts and step.workspace is Workspace.NONE,
        "retry of a group": node.kind is Kind.GROUP and step.retry,
        "limits of a group": node.kind is Kind.GROUP and step.limits,
        "timeout_s of a group": node.kind is Kind.GROUP and step.timeout_s,
    }
    yield from (name for name, value in given.items() if value)
    yield from _of_gate(step)


def _of_gate(step: Step) -> Iterator[str]:
    gate = step.gate
    if gate is None:
        return
    if gate.who != "person":
        yield "a gate that an assistant answers"
    if gate.on_reject is not None and gate.on_reject.prompt is not None:
        yield "on_reject with a prompt"
