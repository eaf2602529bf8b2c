"""A plan as JSON, for programs that draw or list it."""

from __future__ import annotations

from typing import Any

from lib.workflow.drawing.edges import arrows
from lib.workflow.plan import Node, Plan
from lib.workflow.shape import Shape


def draw(plan: Plan, form: Shape) -> dict[str, Any]:
    """Nodes in their order, arrows, levels, and the critical path."""
    return {
        "name": plan.workflow.name,
        "nodes": [_node(node) for node in plan.nodes.values()],
        "edges": [list(edge) for edge in arrows(plan)],
        "levels": [list(level) for level in form.levels],
        "width": form.width,
        "critical_path": list(form.critical),
        "length": form.length,
    }


def _node(node: Node) -> dict[str, Any]:
    return {
        "id": node.id, "kind": node.kind.value, "needs": list(node.needs), "parent": node.parent or None,
        "description": node.step.description, "trigger_rule": node.step.trigger_rule.value, "when": node.step.when,
        "finally": node.final, "optional": node.step.optional,
        "instances": [instance.key for instance in node.instances] or None, "fans_out": node.fans_out,
        "loop": node.step.loop.max_iterations if node.step.loop else None,
        "file": node.file, "line": node.line, "column": node.column,
    }  # fmt: skip
