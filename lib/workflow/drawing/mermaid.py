"""A plan as a Mermaid flowchart; groups and includes are subgraphs, the critical path is thick."""

from __future__ import annotations

import re

from lib.workflow.definition import Kind
from lib.workflow.drawing.edges import arrows, label
from lib.workflow.plan import TOP, Node, Plan
from lib.workflow.shape import Shape

_SHAPES = {Kind.GATE: ("{{", "}}"), Kind.END: ("([", "])"), Kind.RUN: ("[/", "/]"), Kind.WORKFLOW: ("[[", "]]")}


def draw(plan: Plan, form: Shape) -> str:
    names = {name: f"n{at}" for at, name in enumerate(plan.nodes)}
    lines = ["flowchart LR"]
    for node in plan.within(TOP):
        lines += _drawn(plan, node, names, 1)
    lines += [f"    {names[begin]} --> {names[end]}" for begin, end in arrows(plan)]
    if form.critical:
        lines.append("    classDef critical stroke-width:3px")
        lines.append(f"    class {','.join(names[name] for name in form.critical)} critical")
    return "\n".join(lines)


def _drawn(plan: Plan, node: Node, names: dict[str, str], depth: int) -> list[str]:
    indent = "    " * depth
    if not node.is_box:
        opening, closing = _SHAPES.get(node.kind, ("[", "]"))
        return [f'{indent}{names[node.id]}{opening}"{_quoted(label(node))}"{closing}']
    lines = [f'{indent}subgraph {names[node.id]}["{_quoted(label(node))}"]']
    for child in node.children:
        lines += _drawn(plan, plan.nodes[child], names, depth + 1)
    return [*lines, f"{indent}end"]


def _quoted(text: str) -> str:
    """Text in which nothing ends the label or begins markup, by Mermaid's entity codes."""
    return re.sub(r"[^\w\s.,:()/+*\xd7≤'-]", lambda match: "".join(f"#{ord(char)};" for char in match[0]), text)
