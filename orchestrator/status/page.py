"""A view as one screen of text: what a person reads at a glance. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from lib.display import clip, escaped, width
from lib.spelling import for_instance
from lib.steps import BUILD, BuilderStatus, StepKind, is_counted
from orchestrator.status.screen import Look, ago, bar, columns, padded, spent, thousands, wrapped
from orchestrator.status.step_rows import is_asking, step_rows
from orchestrator.status.step_views import BuilderView, StepView
from orchestrator.status.view import HoldView, View

_Part = TypeVar("_Part", BuilderView, StepView)

#: Each mood's sign and style.
_MOODS: Final = {
    "ask": ("◆", "bold yellow"),
    "work": ("●", "bold cyan"),
    "done": ("✓", "bold green"),
    "failed": ("✗", "bold red"),
    "held": ("✗", "bold red"),
    "paused": ("‖", "bold yellow"),
    "down": ("○", "bold red"),
}
#: Each status's sign and style.
SIGNS: Final = {
    "pending": ("·", "dim"),
    "preparing": ("●", "cyan"),
    "running": ("●", "cyan"),
    "verifying": ("●", "blue"),
    "done": ("✓", "green"),
    "built": ("✓", "green"),
    "merged": ("✓", "green"),
    "landed": ("✓", "green"),
    "retrying": ("↻", "yellow"),
    "failed": ("✗", "red"),
    "skipped": ("-", "dim"),
    "cancelled": ("-", "dim"),
}
#: Instead, for a builder that is built and that no command verified.
_UNVERIFIED: Final = ("○", "yellow")
#: The stops of the way in words.
_STOPS: Final = {
    "design": "Design", "design_build": "Approve", "execution": "Build", "merge_build": "Merge", "landed": "Land",
    "stored": "Keep",
}  # fmt: skip
_STEPPING: Final = _STOPS | {"execution": "Steps"}
_STEPS: Final = 5
_BAR_COLUMNS: Final = 16
#: From here on there is room for what each builder cost.
_WIDE_COLUMNS: Final = 100
_PROSE_COLUMNS: Final = 100
_LEAST_BUILDERS: Final = 3
#: What builders take at least, with what is around them.
_LEAST_ROWS: Final = _LEAST_BUILDERS + 5
#: Of a workflow, what it gave.
_OUTPUTS: Final = 10
_REQUIREMENT_ROWS: Final = 2
_PARAGRAPH_ROWS: Final = 8
_INDENT: Final = "   "
_GAP: Final = "  "
#: Shown first where not all have room.
_URGENT: Final = ("failed", "retrying", "preparing", "running", "verifying")


def page(view: View, look: Look, *, live: bool = False) -> str:
    """The screen, in at most `look.rows` rows where words leave room for it; a `live` one needs no hint to watch."""
    above = [*_head(view, look), *_stand(view, look)]
    below = [*([] if live and view.mood == "work" else _commands(view, look)), *_foot(view, look)]
    room = look.rows - len(above) - len(below) - 1  # the prompt's row, or the cursor's
    report = _report(view, look, room - _LEAST_ROWS if live else len(view.report))
    above, room = above + report, room - len(report)
    return look.fit("\n".join(line.rstrip() for line in [*above, *_builders(view, look, room), *below]))


def _head(view: View, look: Look) -> list[str]:
    prose = min(look.columns - 2, _PROSE_COLUMNS)
    said = wrapped(view.requirement, prose, _REQUIREMENT_ROWS + 1)
    if len(said) > _REQUIREMENT_ROWS:
        said = [*said[: _REQUIREMENT_ROWS - 1], clip(f"{said[_REQUIREMENT_ROWS - 1]} …", prose)]
    facts = [view.run, f"on {view.base_branch}", ago(view.age_s)]
    if view.instance != "default":
        facts.insert(1, f"instance {view.instance}")
    about = clip(escaped(" · ".join(facts)), look.columns - 1)
    return [
        *(look.paint(f" {line}", "bold") for line in said),
        look.paint(f" {about}", "dim"),
        *([look.paint(clip(f" goes on {escaped(view.origin)}", look.columns), "dim")] if view.origin else []),
        "",
        _track(view, look),
        "",
    ]


def _track(view: View, look: Look) -> str:
    """The way, or where there is no room for it, how far along it the run is."""
    sign, style = _MOODS[view.mood]
    marks = {"done": (" ✓", "green"), "now": (f" {sign}", style), "ahead": ("", "dim")}
    words, name = (_STOPS, "") if view.workflow == BUILD else (_STEPPING, f"{view.workflow}: ")
    names = [escaped(words.get(stop.name, stop.name)) for stop in view.track]
    names[0] = escaped(name) + names[0]
    stops = [(name + marks[stop.state][0], marks[stop.state][1]) for name, stop in zip(names, view.track, strict=True)]
    if width(" → ".join(text for text, _ in stops)) < look.columns:
        return " " + look.paint(" → ", "dim").join(look.paint(*stop) for stop in stops)
    at = max(index for index, stop in enumerate(view.track) if stop.state != "ahead")
    if len(stops) == 1:
        return look.paint(clip(f" {stops[0][0]}", look.columns), stops[0][1])
    return look.paint(clip(f" {stops[at][0]} ({at + 1} of {len(stops)})", look.columns), stops[at][1])


def _stand(view: View, look: Look) -> list[str]:
    """The headline, what is asked, what is wrong, and what runs for all."""
    prose = min(look.columns, _PROSE_COLUMNS) - len(_INDENT)
    sign, style = _MOODS[view.mood]
    if view.mood == "done" and view.unverified:
        style = "bold yellow"
    since = look.paint(f"  {ago(view.doing_s)}", "dim") if view.doing_s is not None and view.mood == "work" else ""
    first, *rest = wrapped(view.headline, prose)
    lines = [look.paint(f" {sign} {first}", style) + since, *(look.paint(_INDENT + line, style) for line in rest)]
    lines += [_INDENT + line for line in _paragraph(look.spelled(view.message), prose)]
    if view.line and view.mood == "work":
        lines.append(look.paint(_INDENT + clip(escaped(view.line), look.columns - len(_INDENT)), "dim"))
    for hold in view.holds:
        lines += [look.paint(_INDENT + line, "yellow") for line in _paragraph(_held(hold), prose)]
    for trouble in view.troubles:
        lines += [look.paint(_INDENT + line, "red") for line in _paragraph(look.spelled(trouble.message), prose)]
    return [*lines, *output_lines(view.outputs, look), ""]


def output_lines(outputs: Mapping[str, Any], look: Look) -> list[str]:
    """The outputs of a workflow, one a line and clipped, below an empty one; `--json` has all of it."""
    shown = [[f"{name}:", _output_text(value)] for name, value in list(outputs.items())[:_OUTPUTS]]
    if not shown:
        return []
    rows = columns(shown, look.columns - len(_INDENT))
    more = len(outputs) - len(shown)
    return [
        "",
        *(_INDENT + _GAP.join(row).rstrip() for row in rows),
        *([f"{_INDENT}… and {more} more"] if more else []),
    ]


def _output_text(value: object) -> str:
    """An output of a workflow as text: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _report(view: View, look: Look, rows: int) -> list[str]:
    """The report of the failure that ci is asked about, or the last `rows` of it."""
    shown = view.report[-rows:] if rows > 0 else ()
    lines = [look.paint(_INDENT + clip(escaped(line), look.columns - len(_INDENT)), "dim") for line in shown]
    return [*lines, ""] if lines else []


def _held(hold: HoldView) -> str:
    left = f"retried in {ago(hold.left_s)}" if hold.left_s else "retried now" if hold.until else "waits for you"
    return f"{hold.assistant}: {hold.reason} · {left}"


def _paragraph(text: str, columns: int) -> list[str]:
    """The beginning of what may be longer than a screen; `--json` has all of it."""
    lines = wrapped(text, columns, _PARAGRAPH_ROWS + 1)
    return lines if len(lines) <= _PARAGRAPH_ROWS else [*lines[:_PARAGRAPH_ROWS], "…"]


def _commands(view: View, look: Look) -> list[str]:
    """Each on a line of its own, never cut: what it does is beside it, or above where there is no room."""
    texts = [escaped(look.spelled(command.text)) for command in view.commands]
    size = max((len(text) for text in texts if len(text) <= look.columns // 2), default=0)
    lines = []
    for text, command in zip(texts, view.commands, strict=True):
        what = look.paint(command.what, "dim")
        if len(_INDENT) + max(len(text), size) + len(_GAP) + len(command.what) <= look.columns:
            lines.append(f"{_INDENT}{look.paint(padded(text, size), 'bold')}{_GAP}{what}")
        else:
            lines += [f"{_INDENT}{look.paint(text, 'bold')}", f"{_INDENT}{_GAP}{what}"]
    return [*lines, ""] if lines else []


def _foot(view: View, look: Look) -> list[str]:
    pid = view.orchestrator_pid
    driver = "not running" if pid is None else f"pid {pid or 'unknown'}"
    facts = [
        ", ".join(view.assistants),
        f"{used} in all" if (used := _spent(view.tokens, view.cost_usd)) else "",
        f"sandbox {view.sandbox}" if view.sandbox else "",
        "" if view.outcome else f"orchestrator {driver}",
        look.spelled(for_instance(f"logs: relay logs {_eyed(view)}".rstrip(), view.instance)),
        f"branches relay/{view.run}/…" if _has_branches(view) else "",
    ]
    return [look.paint(f" {line}", "dim") for line in _joined([fact for fact in facts if fact], look.columns - 1)]


def _eyed(view: View) -> str:
    """The builder or step that most needs an eye, of those that may have printed something."""
    begun: list[BuilderView | StepView] = [builder for builder in view.builders if builder.steps]
    begun += [step for step in view.steps if step.kind in {StepKind.PROMPT, StepKind.RUN} and step.attempt]
    return min(begun, key=_urgency).id if begun else ""


def _has_branches(view: View) -> bool:
    """True if work of the run is on branches of its own."""
    merges = view.workflow != BUILD and len(view.track) > 1
    return bool(view.builders or merges) and view.outcome != "landed"


def _joined(facts: list[str], columns: int) -> list[str]:
    """Facts in as few lines as take them whole."""
    lines = [""]
    for fact in map(escaped, facts):
        longer = f"{lines[-1]} · {fact}" if lines[-1] else fact
        lines[-1:] = [longer] if width(longer) <= columns else [lines[-1], clip(fact, columns)]
    return lines


def _spent(tokens: int, cost_usd: float) -> str:
    told = [f"{thousands(tokens)} tokens"] if tokens else []
    return ", ".join([*told, f"${cost_usd:.2f}"] if cost_usd else told)


# --- builders --------------------------------------------------------------------------------------------------------


def _builders(view: View, look: Look, room: int) -> list[str]:
    """The builders, or the steps of another workflow: how many there are of each sort, then a row for each."""
    room = max(room - 3, _LEAST_BUILDERS)
    if view.builders:
        chosen = _chosen(view.builders, room)
        rows, shown = _rows(chosen, look), [builder.status for builder in chosen]
    elif view.steps:
        some = _chosen(view.steps, room)
        rows = step_rows(some, look, SIGNS, costs=look.columns >= _WIDE_COLUMNS)
        shown = [step.status for step in some if is_counted(step.kind, BuilderStatus(step.status))]
    else:
        return []
    left = Counter(view.progress)
    left.subtract(shown)
    lines = [_progress(view, look), "", *rows]
    if more := ", ".join(f"{count} {status}" for status, count in left.items() if count > 0):
        lines.append(look.paint(clip(f"{_INDENT}… and {more}", look.columns), "dim"))
    return [*lines, ""]


def _chosen(builders: Sequence[_Part], room: int) -> list[_Part]:
    """As many as there is room for, in their order: first those that need an eye, the ones under way, then the rest."""
    if len(builders) <= room:
        return list(builders)

    first = sorted(range(len(builders)), key=lambda index: _urgency(builders[index]))[: room - 1]
    return [builders[index] for index in sorted(first)]


def _urgency(builder: BuilderView | StepView) -> int:
    status = builder.status
    if isinstance(builder, StepView) and is_asking(builder):
        return -1
    return _URGENT.index(status) if status in _URGENT else len(_URGENT) + BuilderStatus(status).is_built


def _progress(view: View, look: Look) -> str:
    drawn = bar(view.built, sum(view.progress.values()), _BAR_COLUMNS, active=view.active)
    full, busy = drawn.count("█"), drawn.count("▒")
    painted = (look.paint(drawn[:full], "green") + look.paint(drawn[full : full + busy], "cyan")
               + look.paint(drawn[full + busy :], "dim"))  # fmt: skip
    other = (name for name in map(BuilderStatus, view.progress) if not (name.is_built or name.is_at_work))
    rest = {name.value: view.progress[name] for name in other}
    done = "built" if view.workflow == BUILD else "done"
    counts = {done: view.built, "unverified": view.unverified, "at work": view.active, "asking": view.asks,
              **view.halted, **rest}  # fmt: skip
    told = " · ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{_INDENT}{painted}  {clip(told, look.columns - _BAR_COLUMNS - 5)}"


def _rows(builders: list[BuilderView], look: Look) -> list[str]:
    """One row a builder; a column that would say nothing, or the same for each, is left out."""
    various = len({builder.assistant for builder in builders}) > 1
    costs = look.columns >= _WIDE_COLUMNS and any(builder.tokens or builder.cost_usd for builder in builders)
    cells = [
        [
            clip(escaped(builder.id), look.columns // 4),
            _status(builder) + (f" {builder.attempt}/{builder.attempts}" if builder.attempt > 1 else ""),
            "█" * builder.steps + "░" * (_STEPS - builder.steps),
            "" if builder.age_s is None else ago(builder.age_s),
            *([builder.assistant] if various else []),
            *([spent(builder.tokens, builder.cost_usd)] if costs else []),
            builder.line,
        ]
        for builder in builders
    ]
    rows = columns(cells, look.columns - len(_INDENT))
    return [_row(builder, row, look) for builder, row in zip(builders, rows, strict=True)]


def _unverified(builder: BuilderView) -> bool:
    return BuilderStatus(builder.status).is_built and not builder.verified


def _status(builder: BuilderView) -> str:
    return f"{builder.status}, unverified" if _unverified(builder) else builder.status


def _row(builder: BuilderView, cells: list[str], look: Look) -> str:
    sign, style = _UNVERIFIED if _unverified(builder) else SIGNS[builder.status]
    name, status, steps, *middle, line = cells
    last = look.paint(line, "red" if builder.status == "failed" else "dim")
    return " " + _GAP.join([f"{look.paint(sign, style)} {name}", look.paint(status, style), look.paint(steps, style),
                            *middle, last])  # fmt: skip
