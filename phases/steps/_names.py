"""The values behind the names of expressions, for one step of a run. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lib.contracts import PhaseView
from lib.model import Step
from lib.project.paths import SHARED_WORKTREE
from lib.steps import StepKind, StepStatus
from lib.workflow.evaluating import EvaluationError
from lib.workflow.inputs import given_inputs
from lib.workflow.plan import TOP, Plan, filled
from phases.steps._nodes import around, plan_in

#: Linux gives 131,072 bytes to a variable with its name.
MAX_VARIABLE_BYTES: Final = 130_000


def names_for(view: PhaseView, step: Step) -> dict[str, Any]:
    """The names that a step sees. Raises `EvaluationError` and `UsageError` of the inputs of an include."""
    return _items(view, step) | _turn(view, step) | _names(view, step.parent)


def names_inside(view: PhaseView, box: Step) -> dict[str, Any]:
    """The names of what is in a box, for its outputs."""
    return _items(view, box) | _names(view, box.id)


def names_after(view: PhaseView, loop: Step) -> dict[str, Any]:
    """The names that what ends a loop sees, after a turn: those of its step, and of a group also what is in it."""
    last = view.steps[loop.members[-1]]
    box = last.id if last.kind is StepKind.GROUP else loop.parent
    return _items(view, loop) | _turn(view, last) | _names(view, box)


def names_of_run(view: PhaseView) -> dict[str, Any]:
    """The names on a workflow's own level, for its outputs."""
    return _names(view, TOP)


def known_outputs(wanted: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a workflow; None for one that has no value, as its step was left out."""
    found = {}
    for name, value in wanted.items():
        try:
            found[name] = filled(value, names)
        except EvaluationError:
            found[name] = None
    return found


def variables(view: PhaseView, step: Step, names: Mapping[str, Any]) -> dict[str, str]:
    """The environment that the workflow and the step give to its processes. Raises `EvaluationError`."""
    plan = plan_in(view)
    node = plan.nodes[step.node]
    scope = _names(view, _scope(view, step.parent))
    of_scope = {name: text.rendered(scope) for name, text in plan.scopes[node.scope].env.items()}
    own = {name.removeprefix("env."): text.rendered(names) for name, text in node.templates.items()
           if name.startswith("env.")}  # fmt: skip
    return for_process(of_scope | own)


def for_process(variables: dict[str, str]) -> dict[str, str]:
    """The variables, if a process can have them (execve(2)). Raises `EvaluationError`."""
    for name, value in variables.items():
        if "\0" in value:
            raise EvaluationError(f"the value of {name} has a NUL character, which no process can be given", 0)
        if (size := len(value.encode("utf-8", "surrogateescape"))) > MAX_VARIABLE_BYTES:
            message = f"the value of {name} has {size:,} bytes; a process can be given {MAX_VARIABLE_BYTES:,}"
            raise EvaluationError(f"{message}: let a step write it to a file", 0)
    return variables


def _names(view: PhaseView, box: str) -> dict[str, Any]:
    """The names in a box, the workflow's own level for `TOP`."""
    inputs = _inputs(view, plan_in(view), _scope(view, box))
    return {"inputs": inputs, "vars": inputs, "steps": _Steps(view, box), "run": _run(view)}


def _scope(view: PhaseView, box: str) -> str:
    """The include that a box is in, or is; `TOP` for none."""
    boxes = around(view.steps, view.steps[box]) if box else ()
    return next((each.id for each in boxes if each.kind is StepKind.INCLUDE), TOP)


def _inputs(view: PhaseView, plan: Plan, scope: str) -> Mapping[str, Any]:
    if scope == TOP:
        return view.definition.inputs if view.definition else {}
    include = view.steps[scope]
    known = plan.scopes[include.node]
    return given_inputs(known.inputs, filled(known.given, names_for(view, include)), include.id)


def _items(view: PhaseView, step: Step) -> dict[str, Any]:
    """The items of the instances that a step is, or is in: the innermost one's is `item`."""
    found: dict[str, Any] = {}
    for each in around(view.steps, step):
        if each.kind is StepKind.INCLUDE and each is not step:
            break
        parent = view.steps.get(each.parent)
        if parent is not None and parent.kind is StepKind.FAN:
            foreach = plan_in(view).nodes[each.node].step.foreach
            found.setdefault("item", each.item)
            if foreach is not None:
                found.setdefault(foreach.name, each.item)
    return found


def _turn(view: PhaseView, step: Step) -> dict[str, Any]:
    """The loop of the innermost turn that a step is, or is in."""
    for each in around(view.steps, step):
        loop = view.steps.get(each.parent)
        if loop is not None and loop.kind is StepKind.LOOP:
            return {"loop": _of_turn(view, loop, loop.members.index(each.id))}
        if each.kind is StepKind.INCLUDE and each is not step:
            break
    return {}


def _of_turn(view: PhaseView, loop: Step, place: int) -> dict[str, Any]:
    options = plan_in(view).nodes[loop.node].step.loop
    before = view.steps[loop.members[place - 1]] if place else None
    checks = [job.result for job in view.ledger.jobs_of(loop.id) if job.command and job.result]
    said = (checks[-1].tail or checks[-1].text) if checks else None
    known = {"index": place + 1, "max": options.max_iterations if options else 1}
    given = {"previous": before.output if before else None, "check": said}
    return known | {name: value for name, value in given.items() if value is not None}


def _run(view: PhaseView) -> dict[str, str]:
    state = view.state
    return {
        "id": state.run,
        "workflow": state.workflow,
        "instance": state.instance,
        "requirement": state.requirement,
        "branch": f"relay/{state.run}/{SHARED_WORKTREE}",
        "base": (view.definition.base if view.definition else "") or state.base.commit,
        "project": view.definition.project if view.definition else "",
    }


class _Lookup(Mapping[str, Any]):
    """A mapping that is asked for one key at a time."""

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class _Steps(_Lookup):
    """The steps that are seen from a box, by the ids that a file has for them."""

    def __init__(self, view: PhaseView, box: str) -> None:
        self._view = view
        self._box = box

    def __getitem__(self, name: str) -> _Told:
        box = self._box
        while True:
            found = self._view.steps.get(f"{box}.{name}" if box else name)
            if found is not None:
                return _Told(self._view, found)
            if box == TOP or self._view.steps[box].kind is StepKind.INCLUDE:
                raise KeyError(name)
            box = self._view.steps[box].parent


class _Told(_Lookup):
    """Values of a step: its status, its output once it is done, and of an include the steps in it."""

    def __init__(self, view: PhaseView, step: Step) -> None:
        self._view = view
        self._step = step

    @property
    def told(self) -> str:
        """Its status, for who misses its output."""
        return self._step.status.value

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - any JSON value
        step = self._step
        if step.kind is StepKind.INCLUDE and (inner := self._view.steps.get(f"{step.id}.{name}")):
            return _Told(self._view, inner)
        if name == "status":
            return step.status.value
        if name == "output" and step.status is StepStatus.DONE:
            return step.output
        if name == "output" and step.kind is StepKind.LOOP and step.members:  # that of the last turn
            return _Told(self._view, self._view.steps[step.members[-1]])[name]
        raise KeyError(name)
