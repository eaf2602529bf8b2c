"""Workflows as commands show them: as a list, one in detail, drawn, and checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lib.display import counted, escaped
from lib.errors import RelayError
from lib.project.paths import has_cases
from lib.workflow.drawing import data, mermaid, svg, text
from lib.workflow.faults import MAX_TOLD, Fault, Remark, WorkflowError
from lib.workflow.library import Entry, Shelf
from lib.workflow.loading import Loaded
from lib.workflow.options import Input
from lib.workflow.plan import Plan
from lib.workflow.shape import shape

_HELD_WIDTH = 18


def listed(shelf: Shelf) -> list[dict[str, Any]]:
    """Each workflow that is found, with its description; `note` says what to do about one that can't be read."""
    rows = []
    for entry in shelf.entries():
        row: dict[str, Any] = {"name": entry.name, "origin": entry.origin, "file": str(entry.file), "description": "",
                               "dialect": "", "note": "", "shadows": [str(file) for file in entry.shadows]}  # fmt: skip
        try:
            loaded = shelf.load(entry.name)
            workflow = loaded.source().workflow
            row |= {"description": workflow.description, "dialect": loaded.dialect, "tags": list(workflow.tags)}
        except RelayError:
            row["note"] = f"not valid: relay workflows validate {entry.name}"
        rows.append(row)
    return rows


def described(entry: Entry, loaded: Loaded, plan: Plan) -> dict[str, Any]:
    """A workflow with its graph, for machines."""
    return {
        "name": plan.workflow.name,
        "file": str(entry.file),
        "origin": entry.origin,
        "dialect": loaded.dialect,
        "shadows": [str(file) for file in entry.shadows],
        "definition": plan.workflow.model_dump(mode="json", by_alias=True, exclude_unset=True),
        "graph": data.draw(plan, shape(plan)),
        "remarks": [asdict(remark) for remark in loaded.remarks],
    }


def shown(entry: Entry, plan: Plan) -> str:
    """A workflow for people."""
    workflow = plan.workflow
    facts = [("description", workflow.description), ("version", workflow.version), ("author", workflow.author),
             ("tags", ", ".join(workflow.tags)), ("file", f"{entry.file} ({entry.origin})"),
             *(("instead of", str(file)) for file in entry.shadows)]  # fmt: skip
    lines = [f"{name:12} {escaped(value)}" for name, value in facts if value]
    if workflow.inputs:
        lines += ["", "inputs", *(f"  {name:{_HELD_WIDTH}} {_input(each)}" for name, each in workflow.inputs.items())]
    lines += ["", text.draw(plan, shape(plan))]
    if plan.outputs:
        lines += ["", f"outputs: {', '.join(plan.outputs)}"]
    return "\n".join(lines)


def _input(declared: Input) -> str:
    words = [declared.type.value]
    words += ["required"] if declared.required else []
    words += [f"default {json.dumps(declared.default)}"] if declared.default is not None and not declared.secret else []
    words += [f"one of {', '.join(str(each) for each in declared.enum)}"] if declared.enum else []
    return escaped(f"{', '.join(words)}{': ' if declared.description else ''}{declared.description}")


def picture(plan: Plan, form: str) -> str:
    """A workflow's graph as text, mermaid, svg or json."""
    known = shape(plan)
    match form:
        case "mermaid":
            return mermaid.draw(plan, known)
        case "svg":
            return svg.draw(plan, known)
        case "json":
            return json.dumps(data.draw(plan, known), indent=2)
    return text.draw(plan, known)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The check of one workflow."""

    name: str
    file: str
    dialect: str
    summary: str
    faults: tuple[Fault, ...]
    remarks: tuple[Remark, ...]

    @property
    def valid(self) -> bool:
        return not self.faults

    def told(self) -> str:
        if self.valid:
            lines: Sequence[str] = [f"{self.name}: valid{f' ({self.dialect})' if self.dialect else ''}, {self.summary}"]
        else:
            lines = [fault.told for fault in self.faults[:MAX_TOLD]]
            more = len(self.faults) - MAX_TOLD
            lines = [*lines, f"… and {more} more"] if more > 0 else lines
        return "\n".join([*lines, *(f"  {remark.told}" for remark in self.remarks)])

    def as_data(self) -> dict[str, Any]:
        return {"name": self.name, "file": self.file, "dialect": self.dialect, "valid": self.valid,
                "errors": [asdict(fault) for fault in self.faults],
                "remarks": [asdict(remark) for remark in self.remarks]}  # fmt: skip


def checked(name: str, shelf: Shelf) -> Verdict:
    """The check of a workflow by name or file. Raises `UsageError` (`no_workflow`)."""
    from lib.workflow.drawing.edges import summary

    if has_cases(Path(name)):
        return _checked_cases(Path(name).expanduser(), shelf)
    entry = shelf.entry(name)
    dialect, remarks = "", tuple[Remark, ...]()
    try:
        loaded = shelf.load(name)
        dialect, remarks = loaded.dialect, loaded.remarks
        plan = loaded.plan(shelf)
        return Verdict(entry.name, str(entry.file), dialect, summary(plan, shape(plan)), (), remarks)
    except WorkflowError as error:
        return Verdict(entry.name, str(entry.file), dialect, "", error.faults, remarks)


def _checked_cases(file: Path, shelf: Shelf) -> Verdict:
    from orchestrator.commands.workflow_tests import suites

    try:
        [suite] = suites([str(file)], shelf)
        return Verdict(file.name, str(file), "", counted(len(suite.cases), "case"), (), ())
    except WorkflowError as error:
        return Verdict(file.name, str(file), "", "", error.faults, ())
