"""The names that an expression can use where it is written, and the kinds of value behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from lib.steps import StepStatus
from lib.workflow.definition import Kind
from lib.workflow.expanding import Draft, Drafts
from lib.workflow.expressions import Reference
from lib.workflow.faults import hint
from lib.workflow.ordering import Order
from lib.workflow.plan import TOP
from lib.workflow.value_types import ANY, INTEGER, STRING, Type, list_of, of_input, of_schema, of_value, one_of, record

RUN: Final = record(dict.fromkeys(("id", "workflow", "instance", "requirement", "branch", "base", "project"), STRING))
ROOTS: Final = ("inputs", "vars", "steps", "loop", "item", "run")
_STATUS: Final = one_of(*(status.value for status in StepStatus))
#: Parts of what a loop knows of its turns.
_LOOP: Final = {"index": INTEGER, "max": INTEGER, "previous": ANY, "check": STRING}

Tell = Callable[[str, int], None]


class Names:
    """The names of one step, or of the outputs of a workflow if `draft` is None."""

    def __init__(
        self,
        drafts: Drafts,
        order: Order,
        draft: Draft | None,
        scope: str,
        lost: frozenset[str],
        *,
        early: bool = False,
    ) -> None:
        """`scope` is the include whose file is meant, `TOP` for the main one. `early` is before any step has run."""
        self._early = early
        self._drafts = drafts
        self._order = order
        self._draft = draft
        self._lost = lost
        source = drafts.by_id[scope].included if scope != TOP else drafts.main
        self._inputs = source.workflow.inputs if source else {}
        self._box = scope if draft is None else draft.parent

    def look(self, tell: Tell, *, inside: bool = False) -> Callable[[Reference], Type]:
        """A function that gives the kind of a reference, and tells what is wrong with it.

        `inside` is for what is asked after the step has run, which sees the step itself and what it holds.
        """

        def found(reference: Reference) -> Type:
            def tell_here(message: str) -> Type:
                tell(message, reference.offset)
                return ANY

            return self._look(reference, tell_here, inside=inside)

        return found

    def _look(self, reference: Reference, tell: Callable[[str], Type], *, inside: bool) -> Type:
        root, *rest = reference.path
        match root:
            case "inputs" | "vars":
                return self._input(rest, tell)
            case "steps" if self._early:
                return tell("no step has run yet here: there are only inputs and run")
            case "steps":
                return self._step(rest, tell, inside=inside)
            case "run":
                return _part(RUN, rest, "run", tell) if rest else tell("name a part of run, such as run.id")
            case "loop":
                return self._loop(rest, tell)
        items = self._items()
        if root in items:
            return _part(items[str(root)], rest, str(root), tell)
        if root == "item":
            return tell("item is only there in a step, or a group, with foreach or matrix")
        names = [name for name in ROOTS if name != "item"]
        return tell(f"there is no {root}{hint(str(root), [*names, *items])}")

    def _input(self, rest: list[str | int], tell: Callable[[str], Type]) -> Type:
        if not rest:
            return tell("name an input: inputs.NAME")
        name = str(rest[0])
        if name not in self._inputs:
            return tell(f"there is no input {name}{hint(name, self._inputs)}")
        return _part(of_input(self._inputs[name]), rest[1:], f"inputs.{name}", tell)

    def _loop(self, rest: list[str | int], tell: Callable[[str], Type]) -> Type:
        if not any(draft.step.loop for draft in self._around()):
            return tell("loop is only there in a step, or a group, with loop")
        if not rest:
            return tell("name a part of loop, such as loop.previous")
        part = str(rest[0])
        if part not in _LOOP:
            return tell(f"loop has no {part}{hint(part, _LOOP)}")
        return _part(_LOOP[part], rest[1:], f"loop.{part}", tell)

    def _around(self) -> list[Draft]:
        """The step itself and the groups that it is in."""
        if self._draft is None:
            return []
        groups = [self._drafts.by_id[box] for box in self._drafts.chain(self._draft.parent) if box != TOP]
        return [self._draft, *(draft for draft in groups if draft.step.kind is Kind.GROUP)]

    def _items(self) -> Mapping[str, Type]:
        found: dict[str, Type] = {}
        for draft in reversed(self._around()):
            step = draft.step
            if step.matrix is not None:
                axes = dict.fromkeys(step.matrix, ANY)
                found["item"] = record(axes)
                if step.foreach is not None:
                    found[step.foreach.name] = record(axes)
            elif step.foreach is not None:
                items = step.foreach.items
                kind = of_value(items).items if isinstance(items, tuple) else ANY
                found["item"] = found[step.foreach.name] = kind or ANY
        return found

    def _step(self, rest: list[str | int], tell: Callable[[str], Type], *, inside: bool) -> Type:
        if not rest:
            return tell("name a step: steps.ID.output or steps.ID.status")
        found, parts = self._resolved([str(part) for part in rest], inside=inside)
        if found is None:
            return self._unknown(str(rest[0]), tell)
        target = self._drafts.by_id[found]
        if not (inside and self._is_inside(target)) and not self._is_upstream(target):
            return tell(self._not_upstream(target))
        told = f"steps.{'.'.join(str(part) for part in rest[: len(rest) - len(parts)])}"
        if not parts:
            return tell(f"name a part of the step: {told}.output or {told}.status")
        if parts[0] == "status":
            return _part(_STATUS, parts[1:], f"{told}.status", tell)
        if parts[0] != "output":
            return tell(f"{told} has no {parts[0]}{hint(parts[0], ('output', 'status'))}")
        return _part(output_of(self._drafts, target), parts[1:], f"{told}.output", tell)

    def _resolved(self, parts: list[str], *, inside: bool) -> tuple[str | None, list[str]]:
        is_group = self._draft is not None and self._draft.step.kind is Kind.GROUP
        for box in self._drafts.chain(self._draft.id if inside and self._draft and is_group else self._box):
            found = self._drafts.locals[box].get(parts[0])
            if found is None and box != TOP and self._drafts.by_id[box].step.kind is Kind.GROUP:
                continue
            rest = parts[1:]
            while found and rest and self._drafts.by_id[found].step.kind is Kind.INCLUDE:
                inner = self._drafts.locals[found].get(rest[0])
                if inner is None:
                    break
                found, rest = inner, rest[1:]
            return found, rest
        return None, parts

    def _unknown(self, name: str, tell: Callable[[str], Type]) -> Type:
        if name in self._lost:
            return ANY
        own = self._draft.id if self._draft else ""
        groups = {inner: box for box, members in self._drafts.locals.items() for inner in members
                  if box and self._drafts.by_id[box].step.kind is Kind.GROUP}  # fmt: skip
        if name in groups and groups[name] != own:
            group = self._drafts.by_id[groups[name]].local
            return tell(f"{name} is inside the group {group}; use steps.{group}.output.{name}")
        known = {name for box in self._drafts.chain(self._box) for name in self._drafts.locals[box]}
        return tell(f"there is no step {name}{hint(name, known)}")

    def _is_inside(self, target: Draft) -> bool:
        own = self._draft.id if self._draft else None
        return own is not None and own in {target.id, target.parent}

    def _is_upstream(self, target: Draft) -> bool:
        if self._draft is None:
            return True
        return self._order.is_before(target.id, self._draft.id)

    def _not_upstream(self, target: Draft) -> str:
        own = self._draft
        if own is not None and own.id == target.id:
            return f"{target.local} has no output before it has run"
        member = own
        while member is not None and member.parent not in {target.parent, TOP}:
            member = self._drafts.by_id[member.parent]
        who = member.local if member else ""
        return f"{target.local} does not come before this step; add it to the needs of {who}"


def output_of(drafts: Drafts, draft: Draft) -> Type:
    """The kind of a step's output: of each instance in a list, if it fans out."""
    if (known := drafts.outputs.get(draft.id)) is not None:
        return known
    kind = _single_output(drafts, draft)
    made = list_of(kind) if draft.step.foreach is not None or draft.step.matrix is not None else kind
    drafts.outputs[draft.id] = made
    return made


def _single_output(drafts: Drafts, draft: Draft) -> Type:
    step = draft.step
    if step.output_schema is not None:
        return of_schema(step.output_schema)
    if step.gate is not None:
        form = of_schema(step.gate.form) if step.gate.form is not None else record({})
        return record({"decision": one_of(*step.gate.decisions), "words": STRING, "by": STRING, "form": form})
    if step.kind is Kind.GROUP:
        inner = drafts.locals[draft.id].items()
        return record({local: output_of(drafts, drafts.by_id[name]) for local, name in inner})
    if draft.included is not None:
        return record(dict.fromkeys(draft.included.workflow.outputs, ANY))
    return ANY


def _part(kind: Type, path: list[str] | list[str | int], told: str, tell: Callable[[str], Type]) -> Type:
    """The kind of a part of a value, by its path; tells of a part that can't be there."""
    for part in path:
        name = str(part)
        if not kind.is_known:
            return ANY
        if kind.may_be("list") and name.isdecimal():
            kind = kind.items or ANY
        elif not kind.may_be("object"):
            return tell(f"{told} is {kind.told}, without parts: there is no {name} in it")
        elif kind.fields is None:
            return ANY
        elif name not in kind.fields:
            return tell(f"{told} has no {name}{hint(name, kind.fields)}")
        else:
            kind = kind.fields[name]
        told = f"{told}.{name}"
    return kind
