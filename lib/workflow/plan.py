"""A compiled workflow: frozen values in which every name is resolved, for whatever runs it, draws it or lists it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lib.workflow.definition import Kind, Step, Workflow
from lib.workflow.expressions import Expression
from lib.workflow.options import Input, Secret
from lib.workflow.placeholders import Template
from lib.workflow.shell import ShellLine

#: The box of what is on the file's own level.
TOP: Final = ""

#: A command: a line for the shell, or the arguments of a program.
Command = ShellLine | tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a fan-out whose items are written in the file."""

    key: str
    item: Any


@dataclass(frozen=True, slots=True)
class Scope:
    """The inputs that the steps of one file see: as declared, and as the including step gives them.

    `given` are values with `Template` for each text, to be filled by the names of the scope `within`.
    """

    name: str
    within: str
    inputs: Mapping[str, Input]
    given: Mapping[str, Any]
    env: Mapping[str, Template] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """One step. Ids of steps in a group or an include have its id and a point before them.

    `needs` are ids of the same box, or of steps in an include beside it. `parent` is the box that it is in, `TOP` if in
    none, `children` the steps of a box, each after what it needs. `step` has the workflow's defaults in it. `templates`
    are texts by the option's name (`prompt`, `env.X`, `gate.message`), `commands` likewise. Of what fans out, `items`
    and `axes` (of a matrix) are lists that a run knows, `instances` those that are written out.
    """

    id: str
    kind: Kind
    step: Step
    needs: tuple[str, ...]
    parent: str
    scope: str
    file: str
    line: int
    column: int
    final: bool = False
    children: tuple[str, ...] = ()
    when: Expression | None = None
    until: Expression | None = None
    templates: Mapping[str, Template] = field(default_factory=dict)
    commands: Mapping[str, Command] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    items: Template | None = None
    axes: Mapping[str, Any] = field(default_factory=dict)
    instances: tuple[Instance, ...] = ()

    @property
    def is_box(self) -> bool:
        return self.kind in {Kind.GROUP, Kind.INCLUDE}

    @property
    def fans_out(self) -> bool:
        return self.items is not None or bool(self.axes) or bool(self.instances)


@dataclass(frozen=True, slots=True)
class Plan:
    """A workflow that can be run. Each of the `nodes` comes after what it needs, a box before its steps.

    `continued` are the ids of those in whose conversation another one goes on.
    """

    workflow: Workflow
    file: str
    nodes: Mapping[str, Node]
    scopes: Mapping[str, Scope]
    outputs: Mapping[str, Any]
    secrets: tuple[Secret, ...] = ()
    continued: frozenset[str] = frozenset()

    def within(self, box: str) -> Iterator[Node]:
        """The nodes of a box, of the file's own level for `TOP`."""
        if box == TOP:
            return (node for node in self.nodes.values() if node.parent == TOP)
        return (self.nodes[child] for child in self.nodes[box].children)

    @property
    def leaves(self) -> list[Node]:
        """The nodes that do something, boxes left out."""
        return [node for node in self.nodes.values() if not node.is_box]


def filled(value: Any, names: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value with templates in it
    """A value with its templates rendered. Raises `EvaluationError`."""
    if isinstance(value, Template):
        return value.value(names)
    if isinstance(value, Mapping):
        return {key: filled(each, names) for key, each in value.items()}
    return [filled(each, names) for each in value] if isinstance(value, list | tuple) else value
