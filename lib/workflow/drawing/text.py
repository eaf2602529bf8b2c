"""A plan as lines of text: level by level, with what each step needs, the critical path marked."""

from __future__ import annotations

from lib.display import width
from lib.workflow.drawing.edges import label, summary
from lib.workflow.plan import Plan
from lib.workflow.shape import Shape

CRITICAL = "*"


def draw(plan: Plan, form: Shape) -> str:
    """The picture; its lines are in columns."""
    critical = set(form.critical)
    rows = [(level, name) for level, names in enumerate(form.levels, 1) for name in names]
    nodes = [plan.nodes[name] for _, name in rows]
    labels = [f"{node.parent}.{label(node)}" if node.parent else label(node) for node in nodes]
    column = max(map(width, labels), default=0)
    lines = [f"{plan.workflow.name}: {summary(plan, form)}"]
    last = 0
    for (level, name), node, words in zip(rows, nodes, labels, strict=True):
        mark = CRITICAL if name in critical else " "
        head = str(level) if level != last else ""
        needs = f"  ← {', '.join(_needs(plan, name))}" if _needs(plan, name) else ""
        line = f"{head:>3} {mark} {words}{' ' * (column - width(words))}  {node.kind.value:8}{needs}"
        lines.append(line.rstrip())
        last = level
    path = " → ".join(form.critical)
    return "\n".join([*lines, f"    {CRITICAL} critical path: {path}"])


def _needs(plan: Plan, name: str) -> list[str]:
    """Steps that one waits for: its own needs, or those of the box that it begins."""
    node = plan.nodes[name]
    while not node.needs and node.parent:
        node = plan.nodes[node.parent]
    return list(node.needs)
