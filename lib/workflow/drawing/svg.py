"""A plan as an SVG picture: levels from left to right, no script, light or dark as its reader has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from lib.display import clip, width
from lib.workflow.drawing.edges import arrows, label, summary
from lib.workflow.plan import Plan
from lib.workflow.shape import Shape

_CHAR: Final = 7.4
_HEIGHT: Final = 40
_GAP_X: Final = 56
_GAP_Y: Final = 16
_MARGIN: Final = 24
_HEAD: Final = 32
_MOST_COLUMNS: Final = 36
_STYLE: Final = """\
svg{color-scheme:light dark;background:#fff;font:13px system-ui,sans-serif}
text{fill:#1f2328}.kind{fill:#59636e;font-size:11px}
rect{fill:#f6f8fa;stroke:#818b98;stroke-width:1}.gate{stroke-dasharray:5 3}.end{rx:20}
path{fill:none;stroke:#818b98;stroke-width:1.2}marker path{fill:#818b98;stroke:none}
rect.critical{stroke:#0969da;stroke-width:2.5}path.critical{stroke:#0969da;stroke-width:2.5}
@media (prefers-color-scheme:dark){svg{background:#0d1117}text{fill:#f0f6fc}.kind{fill:#9198a1}
rect{fill:#151b23;stroke:#656c76}path{stroke:#656c76}marker path{fill:#656c76}
rect.critical{stroke:#4493f8}path.critical{stroke:#4493f8}}"""


class _Box(NamedTuple):
    x: float
    y: float
    wide: float


def draw(plan: Plan, form: Shape) -> str:
    boxes, right, bottom = _placed(plan, form)
    title = escape(f"{plan.workflow.name}: {summary(plan, form)}")
    right = max(right, 2 * _MARGIN + width(title) * _CHAR)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right:.0f} {bottom:.0f}" width="{right:.0f}" '
        f'height="{bottom:.0f}" role="img" aria-label="{title}">'
    )
    marker = (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z"/></marker></defs>'
    )
    lines = [head, f"<style>{_STYLE}</style>", marker, f'<text x="{_MARGIN}" y="{_MARGIN}">{title}</text>']
    on_path = set(zip(form.critical, form.critical[1:], strict=False))
    for begin, end in arrows(plan):
        lines.append(_arrow(boxes[begin], boxes[end], critical=(begin, end) in on_path))
    critical = set(form.critical)
    lines += [_node(plan, name, boxes[name], critical=name in critical) for name in boxes]
    return "\n".join([*lines, "</svg>"])


def _words(plan: Plan, name: str) -> str:
    node = plan.nodes[name]
    return clip(f"{node.parent}.{label(node)}" if node.parent else label(node), _MOST_COLUMNS)


def _placed(plan: Plan, form: Shape) -> tuple[Mapping[str, _Box], float, float]:
    """The place of each step, and the right and lower end of all."""
    boxes: dict[str, _Box] = {}
    x, tallest = float(_MARGIN), max(map(len, form.levels), default=0)
    for names in form.levels:
        wide = max(width(_words(plan, name)) for name in names) * _CHAR + 24
        top = _MARGIN + _HEAD + (tallest - len(names)) * (_HEIGHT + _GAP_Y) / 2
        for at, name in enumerate(names):
            boxes[name] = _Box(x, top + at * (_HEIGHT + _GAP_Y), wide)
        x += wide + _GAP_X
    return boxes, x - _GAP_X + _MARGIN, 2 * _MARGIN + _HEAD + tallest * (_HEIGHT + _GAP_Y)


def _arrow(begin: _Box, end: _Box, *, critical: bool) -> str:
    x1, y1, x2, y2 = begin.x + begin.wide, begin.y + _HEIGHT / 2, end.x, end.y + _HEIGHT / 2
    middle = (x1 + x2) / 2
    kind = ' class="critical"' if critical else ""
    curve = f"M{x1:.0f} {y1:.0f}C{middle:.0f} {y1:.0f} {middle:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
    return f'<path{kind} d="{curve}" marker-end="url(#arrow)"/>'


def _node(plan: Plan, name: str, box: _Box, *, critical: bool) -> str:
    node = plan.nodes[name]
    kinds = f"{node.kind.value} critical" if critical else node.kind.value
    title = escape(node.step.description or node.id)
    return (
        f'<g><title>{title}</title><rect class="{kinds}" x="{box.x:.0f}" y="{box.y:.0f}" width="{box.wide:.0f}" '
        f'height="{_HEIGHT}" rx="6"/>'
        f'<text x="{box.x + 12:.0f}" y="{box.y + 17:.0f}">{escape(_words(plan, name))}</text>'
        f'<text class="kind" x="{box.x + 12:.0f}" y="{box.y + 32:.0f}">{node.kind.value}</text></g>'
    )
