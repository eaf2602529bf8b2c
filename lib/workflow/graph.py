"""Compiles a workflow into a plan, or tells everything that is wrong with it at once. Pure but for its library."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path as FilePath
from typing import Any, Final

from lib.workflow.definition import Kind
from lib.workflow.evaluating import EvaluationError
from lib.workflow.expanding import Draft, Drafts, Library, Source, expand
from lib.workflow.expressions import Expression, ExpressionError
from lib.workflow.faults import EnoughError, Fault, WorkflowError, hint, shown
from lib.workflow.inputs import input_problems
from lib.workflow.located import Path, uncollected
from lib.workflow.names import Names
from lib.workflow.options import Continue, Foreach, Secret
from lib.workflow.ordering import Order
from lib.workflow.placeholders import Template, has_template, template
from lib.workflow.plan import TOP, Instance, Node, Plan, Scope
from lib.workflow.schemas import schema_problems
from lib.workflow.texts import Texts, is_after, step_commands, step_texts
from lib.workflow.value_types import fits, of_input, of_value

MAX_INSTANCES: Final = 10_000
#: Instances of all steps together that are written out.
MAX_ALL_INSTANCES: Final = 100_000
#: Options that are known before a run, so that a plan can be checked.
_FIXED: Final = frozenset({"role", "profile", "workflow", "include"})
#: Of a step that fans out: the template of its items, the axes of a matrix, the instances that are known.
_FanOut = tuple[Template | None, Mapping[str, Any], tuple[Instance, ...]]


def compile_plan(source: Source, library: Library, *, known: tuple[Fault, ...] = (), lost: frozenset[str] = frozenset(),
                 file: FilePath | None = None) -> Plan:  # fmt: skip
    """The plan of a workflow. `known` are faults that reading it found, `lost` ids of steps that could not be read.

    Raises `WorkflowError` with all faults, for whoever edits `file`.
    """
    drafts = Drafts(source)
    plan = None
    with uncollected(), suppress(EnoughError):
        expand(drafts, library)
        plan = _Compiler(drafts, lost).plan()
    faults = (*known, *drafts.faults)
    if plan is None or faults:
        raise WorkflowError(faults, file or FilePath(source.file))
    return plan


class _Compiler:
    """One compilation; its methods add to `faults` and go on."""

    def __init__(self, drafts: Drafts, lost: frozenset[str]) -> None:
        """Raises `EnoughError`, as all methods do."""
        self._drafts = drafts
        self._order = Order(drafts, lost)
        self._lost = lost
        self._left = MAX_ALL_INSTANCES
        self.faults = drafts.faults

    def plan(self) -> Plan:
        main = self._drafts.main
        scopes = {TOP: self._scope(TOP, main)}
        for draft in self._drafts.by_id.values():
            if draft.step.kind is Kind.INCLUDE and draft.included is not None:
                scopes[draft.id] = self._scope(draft.id, draft.included)
        nodes = {name: self._node(self._drafts.by_id[name]) for name in self._sequence(TOP)}
        self._check_phases()
        outputs = self._outputs(TOP, main)
        return Plan(main.workflow, main.file, nodes, scopes, outputs, self._secrets(), self._continued())

    def _sequence(self, box: str) -> Iterator[str]:
        """All ids, each after what it needs, a box before what it holds, `finally` at the end."""
        members = self._order.sequence[box]
        for name in sorted(members, key=lambda each: self._drafts.by_id[each].final):
            yield name
            if name in self._drafts.locals:
                yield from self._sequence(name)

    # --- the workflow as a whole ---

    def _scope(self, name: str, source: Source) -> Scope:
        texts = self._texts(None, name, source, early=True)
        env = {key: texts.template(text, ("env", key))[0] for key, text in source.workflow.env.items()}
        for path, message in input_problems(source.workflow.inputs):
            self._fault(source, ("inputs", *path), message)
        if name == TOP:
            if source.workflow.concurrency is not None:
                texts.template(source.workflow.concurrency.group, ("concurrency", "group"))
            return Scope(name, TOP, source.workflow.inputs, {}, env)
        draft = self._drafts.by_id[name]
        return Scope(name, draft.scope, source.workflow.inputs, self._given(draft, source), env)

    def _given(self, draft: Draft, target: Source) -> Mapping[str, Any]:
        """The inputs that a step gives to the workflow that it includes or runs, checked against what is declared."""
        texts, declared = self._texts(draft, draft.scope, draft.source), target.workflow.inputs
        given: dict[str, Any] = {}
        for name, value in draft.step.inputs.items():
            path = (*draft.path, "inputs", name)
            made, kind = texts.value(value, path)
            given[name] = made
            if name not in declared:
                message = f"{target.workflow.name} has no input {name}{hint(name, declared)}"
                self._fault(draft.source, path, message, at_key=True)
                continue
            is_text = isinstance(made, Template) and not made.is_one_value
            kind = of_value(value) if is_text or not isinstance(made, Template) else kind
            if not fits(kind, of_input(declared[name])):
                message = f"the input {name} of {target.workflow.name} is {declared[name].type}, not {kind.told}"
                self._fault(draft.source, path, message)
        for name, wanted in declared.items():
            if wanted.required and wanted.default is None and name not in given:
                self._fault(draft.source, draft.path, f"{target.workflow.name} needs the input {name}")
        return given

    def _outputs(self, scope: str, source: Source) -> Mapping[str, Any]:
        texts = self._texts(None, scope, source)
        return {name: texts.value(value, ("outputs", name))[0] for name, value in source.workflow.outputs.items()}

    def _secrets(self) -> tuple[Secret, ...]:
        found: dict[str, Secret] = {}
        included = [draft.included for draft in self._drafts.by_id.values() if draft.step.kind is Kind.INCLUDE]
        for source in (self._drafts.main, *included):
            for at, secret in enumerate(source.workflow.secrets if source else ()):
                if source and found.setdefault(secret.name, secret) != secret:
                    self._fault(source, ("secrets", at), f"{secret.name} comes from elsewhere in what includes this")
        return tuple(found.values())

    def _check_phases(self) -> None:
        source, seen = self._drafts.main, dict[str, str]()
        ids = self._drafts.locals[TOP]
        for phase, steps in source.workflow.phases.items():
            for at, name in enumerate(steps):
                path = ("phases", phase, at)
                if name not in ids and name not in self._lost:
                    self._fault(source, path, f"there is no step {name}{hint(name, ids)}")
                elif seen.setdefault(name, phase) != phase:
                    self._fault(source, path, f"{name} is in the phase {seen[name]} already")

    # --- one step ---

    def _node(self, draft: Draft) -> Node:
        step, source = draft.step, draft.source
        texts = self._texts(draft, draft.scope, source)
        place = source.document.place(draft.path)
        self._check(draft)
        included = draft.included
        given: Mapping[str, Any] = {}
        outputs: Mapping[str, Any] = {}
        if included is not None and step.kind is Kind.WORKFLOW:
            given = self._given(draft, included)
        elif included is not None:
            outputs = self._outputs(draft.id, included)
        items, axes, instances = self._fan_out(draft, texts)
        until = step.loop.until if step.loop else None
        return Node(
            id=draft.id, kind=step.kind, step=step, needs=self._order.needs[draft.id], parent=draft.parent,
            scope=draft.scope, file=source.file, line=place.line, column=place.column, final=draft.final,
            children=tuple(self._order.sequence.get(draft.id, ())),
            when=self._condition(draft, texts, "when", step.when), until=self._condition(draft, texts, "until", until),
            templates={name: texts.template(text, path, inside=is_after(name))[0]
                       for name, path, text in step_texts(draft)},
            commands={name: texts.command(value, path, inside=is_after(name))
                      for name, path, value in step_commands(draft)},
            inputs=given, outputs=outputs, items=items, axes=axes, instances=instances,
        )  # fmt: skip

    def _condition(self, draft: Draft, texts: Texts, name: str, text: str | None) -> Expression | None:
        if text is None:
            return None
        path = (*draft.path, "loop", name) if name == "until" else (*draft.path, name)
        return texts.condition(text, path, inside=is_after(name))

    def _check(self, draft: Draft) -> None:
        step, source, path = draft.step, draft.source, draft.path
        for option in _FIXED & draft.own:
            value = getattr(step, option)
            if isinstance(value, str) and has_template(value):
                self._fault(source, (*path, option), f"{option} is taken as it is written, and can't have templates")
        for key in ("output_schema", "gate"):
            schema = step.output_schema if key == "output_schema" else step.gate.form if step.gate else None
            below = (*path, key) if key == "output_schema" else (*path, key, "form")
            for inner, message in schema_problems(schema) if schema is not None else ():
                self._fault(source, (*below, *inner), message)
        if isinstance(step.session, Continue):
            self._check_upstream(draft, step.session.step, (*path, "session", "continue"), (Kind.PROMPT,))
        if step.gate and step.gate.on_reject and step.gate.on_reject.back_to:
            self._check_upstream(
                draft, step.gate.on_reject.back_to, (*path, "gate", "on_reject", "back_to"), tuple(Kind)
            )
        if step.compete is not None and step.compete.pick == "verify" and step.verify is None:
            self._fault(source, (*path, "compete"), "with `pick: verify` the step needs a verify command")

    def _continued(self) -> frozenset[str]:
        """The ids of the steps in whose conversation another one goes on."""
        found = set()
        for draft in self._drafts.by_id.values():
            if isinstance(draft.step.session, Continue):
                known = (self._drafts.locals[box] for box in self._drafts.chain(draft.parent))
                found |= {names[draft.step.session.step] for names in known if draft.step.session.step in names}
        return frozenset(found)

    def _check_upstream(self, draft: Draft, name: str, path: Path, kinds: tuple[Kind, ...]) -> None:
        for box in self._drafts.chain(draft.parent):
            found = self._drafts.locals[box].get(name)
            if found is None:
                continue
            if self._drafts.by_id[found].step.kind not in kinds:
                self._fault(draft.source, path, f"{name} is no step with a {kinds[0].value}")
            elif found != draft.id and not self._order.is_before(found, draft.id):
                self._fault(draft.source, path, f"{name} does not come before this step; add it to its needs")
            elif found == draft.id:
                self._fault(draft.source, path, f"{name} is this step itself")
            return
        if name not in self._lost:
            known = self._drafts.locals[draft.parent]
            self._fault(draft.source, path, f"there is no step {name}{hint(name, known)}")

    # --- fan-out ---

    def _fan_out(self, draft: Draft, texts: Texts) -> _FanOut:
        foreach, path = draft.step.foreach, (*draft.path, "foreach", "in")
        if draft.step.matrix is not None:
            return self._matrix(draft, draft.step.matrix, texts)
        if foreach is None or foreach.items is None:
            return None, {}, ()
        if isinstance(foreach.items, str):
            return self._list(draft, texts, foreach.items, path), {}, ()
        return None, {}, self._instances(draft, list(foreach.items), path)

    def _matrix(self, draft: Draft, axes: Mapping[str, str | tuple[Any, ...]], texts: Texts) -> _FanOut:
        path = (*draft.path, "matrix")
        made = {name: self._list(draft, texts, values, (*path, name)) if isinstance(values, str) else values
                for name, values in axes.items()}  # fmt: skip
        if any(isinstance(values, Template) for values in made.values()):
            return None, made, ()
        known = [values for values in made.values() if not isinstance(values, Template)]
        if (count := math.prod(map(len, known))) > min(MAX_INSTANCES, self._left):
            self._fault(draft.source, path, f"it makes {count:,} instances; the limit is {MAX_INSTANCES:,}")
            return None, {}, ()
        product = [dict(zip(made, each, strict=True)) for each in itertools.product(*known)]
        return None, {}, self._instances(draft, product, path)

    def _list(self, draft: Draft, texts: Texts, text: str, path: Path) -> Template:
        """One template that gives a list."""
        made, kind = texts.template(text, path)
        if made.holes and not made.is_one_value:
            self._fault(draft.source, path, f"{path[-1]} is one {{{{ … }}}} that gives a list, with nothing around it")
        elif not made.holes or not kind.may_be("list"):
            self._fault(draft.source, path, f"{path[-1]} must be a list, not {kind.told or shown(text)}")
        return made

    def _instances(self, draft: Draft, items: list[Any], path: Path) -> tuple[Instance, ...]:
        """The instances of items that are written out. A key that only a run can tell is its place."""
        self._left -= len(items)
        if self._left < 0:
            self._fault(draft.source, path, f"all steps together have more than {MAX_ALL_INSTANCES:,} items")
            return ()
        if not items or len(items) > MAX_INSTANCES:
            self._fault(draft.source, path, f"it has {len(items):,} items; there are 1 to {MAX_INSTANCES:,}")
            return ()
        made: dict[str, Instance] = {}
        key_of = _keys(draft.step.foreach)
        for at, item in enumerate(items):
            if has_template(item):
                message = "an item is taken as it is written; write one {{ … }} that gives the whole list"
                self._fault(draft.source, (*path, at), message)
                return ()
            key = key_of(item)
            if key is not None and key in made:
                self._fault(draft.source, (*path, at), f"two items have the key {shown(key)}; give them a `key`")
                return ()
            key = f"#{at}" if key is None else key
            made[key] = Instance(key, item)
        return tuple(made.values())

    # --- faults ---

    def _texts(self, draft: Draft | None, scope: str, source: Source, *, early: bool = False) -> Texts:
        def tell(path: Path, message: str, offset: int) -> None:
            self.faults.append(source.fault(path, message, offset=offset))

        return Texts(Names(self._drafts, self._order, draft, scope, self._lost, early=early), tell)

    def _fault(self, source: Source, path: Path, message: str, *, at_key: bool = False) -> None:
        self.faults.append(source.fault(path, message, at_key=at_key))


def _keys(foreach: Foreach | None) -> Callable[[Any], str | None]:
    """A function from items to keys; it gives None where only a run can tell."""
    if foreach is None or foreach.key is None:
        return own_key
    try:
        made = template(foreach.key)
    except ExpressionError:
        return lambda _: None

    def key_of(item: Any) -> str | None:  # noqa: ANN401 - any JSON value
        with suppress(EvaluationError):
            return made.rendered({"item": item, foreach.name: item})
        return None

    return key_of


def own_key(item: Any) -> str:  # noqa: ANN401 - any JSON value
    """The key of an item without a template for it: its text, or the texts in it."""
    if isinstance(item, Mapping) and item and all(isinstance(each, str | int | float) for each in item.values()):
        return "-".join(str(each) for each in item.values())
    return str(item) if isinstance(item, str | int | float) else json.dumps(item, sort_keys=True, ensure_ascii=False)
