"""The cases of workflows, run with no assistant: found beside them, played in memory, and judged."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.errors import UsageError
from lib.names import quote
from lib.project.paths import CASES, has_cases
from lib.steps import BUILD
from lib.workflow.case_files import cases_of, read_cases, workflow_of
from lib.workflow.cases import Case, Outcome
from lib.workflow.faults import Fault, WorkflowError
from lib.workflow.inputs import given_inputs
from lib.workflow.library import Entry, Shelf
from lib.workflow.loading import SUFFIXES, Loaded
from lib.workflow.plan import Plan
from lib.workflow.unrun import refuse
from orchestrator.commands.start_workflow import REQUIREMENT, started
from orchestrator.rehearsal.build_cases import play_build
from orchestrator.rehearsal.cases import Ended, play
from orchestrator.rehearsal.expectations import differences

#: The root of the project that a case sees.
_ROOT = "/project"


@dataclass(frozen=True, slots=True)
class Suite:
    """A workflow with its cases; `file` has them."""

    entry: Entry
    file: Path
    loaded: Loaded
    plan: Plan
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a case; without differences it passed. `seconds` is how long it took."""

    case: str
    ended: Ended
    differences: tuple[str, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        return not self.differences

    def as_data(self) -> dict[str, Any]:
        return {"name": self.case, "passed": self.passed, "differences": list(self.differences),
                "outcome": self.ended.outcome, "message": self.ended.message, "order": list(self.ended.order),
                "steps": dict(self.ended.statuses), "outputs": dict(self.ended.outputs),
                "seconds": round(self.seconds, 4)}  # fmt: skip


def suites(names: Sequence[str], shelf: Shelf) -> list[Suite]:
    """The workflows of these names or files with their cases; without names all that have some.

    Raises `UsageError` (`no_workflow`, `no_cases`), `WorkflowError` with all that is wrong in any of the files.
    """
    found, faults, wrong = [], list[Fault](), list[Path]()
    for name in names or [str(file) for file in _all_files(shelf)]:
        try:
            found.append(_suite(name, shelf))
        except WorkflowError as error:
            faults += error.faults
            wrong.append(error.file)
    if faults:
        raise WorkflowError(faults, wrong[0])
    return found


def results(suite: Suite, shelf: Shelf, words: str = "") -> Iterator[Result]:
    """Plays the cases of a workflow, those with all of the words in their names, one after another."""
    for case in suite.cases:
        if all(word in f"{suite.entry.name} {case.name}".lower() for word in words.lower().split()):
            began = time.perf_counter()
            ended = _played(suite, case, shelf)
            told = tuple(differences(case.expect, ended))
            yield Result(case.name, ended, told, time.perf_counter() - began)


def _played(suite: Suite, case: Case, shelf: Shelf) -> Ended:
    try:
        if suite.plan.workflow.name == BUILD:
            return play_build(case, _requirement(suite, case))
        refuse(suite.plan, suite.entry.file)
        definition = started(shelf, suite.entry, suite.loaded, suite.plan, case.inputs, _ROOT)
    except UsageError as error:
        return Ended(Outcome.REFUSED.value, error.message)
    return play(definition, case)


def _requirement(suite: Suite, case: Case) -> str:
    """The requirement of a case of `build`. Raises `UsageError` (`input_invalid`)."""
    words = {REQUIREMENT: case.requirement} if case.requirement else {}
    return str(given_inputs(suite.plan.workflow.inputs, {**words, **case.inputs}, suite.entry.name)[REQUIREMENT])


def _all_files(shelf: Shelf) -> Iterator[Path]:
    """The files with cases of workflows that are used, and those without a workflow."""
    used = {entry.file for entry in shelf.entries()}
    for _, folder in shelf.folders:
        for file in sorted(folder.glob(f"*{CASES}*")) if folder.is_dir() else ():
            of = workflow_of(file)
            if file.suffix in SUFFIXES and not file.name.startswith(".") and (of is None or of in used):
                yield file


def _suite(name: str, shelf: Shelf) -> Suite:
    given = Path(name).expanduser()
    if has_cases(given):
        file, workflow = given, workflow_of(given)
        if not file.exists():
            raise UsageError(f"there is no file {name}", remedy=f"ls {quote(file.parent)}", code="no_cases")
        if workflow is None:
            raise WorkflowError([Fault(file.name, 0, 0, f"there is no workflow beside it: {_expected(file)}")], file)
    else:
        workflow = shelf.entry(name).file
        file = cases_of(workflow) or _none(name, workflow)
    entry = next((entry for entry in shelf.entries() if entry.file == workflow), None) or shelf.entry(str(workflow))
    loaded, plan = shelf.plan(str(workflow))
    return Suite(entry, file, loaded, plan, read_cases(file, plan))


def _expected(cases: Path) -> str:
    stem, _, suffix = cases.name.rpartition(CASES)
    return f"{stem}.{suffix}"


def _none(name: str, workflow: Path) -> Path:
    file = workflow.with_name(f"{workflow.stem}{CASES}yaml")
    if not workflow.exists():
        raise UsageError(f"there is no file {workflow}", remedy="relay workflows list", code="no_workflow")
    raise UsageError(f"{name} has no cases: they would be in {file}", remedy=f"$EDITOR {quote(file)}", code="no_cases")


def as_data(played: Mapping[str, tuple[Suite, Sequence[Result]]]) -> dict[str, Any]:
    """The results for machines."""
    each = [result for _, found in played.values() for result in found]
    return {
        "passed": sum(result.passed for result in each),
        "failed": sum(not result.passed for result in each),
        "workflows": [{"workflow": name, "file": str(suite.file), "cases": [result.as_data() for result in found]}
                      for name, (suite, found) in played.items()],
    }  # fmt: skip
