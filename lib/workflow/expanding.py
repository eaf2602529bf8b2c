"""A file's steps and those of what it includes, as one flat set of drafts, each with its box and its scope."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from lib.workflow.definition import ALIASES, MAX_STEPS, OPTIONS, Kind, Settings, Step, Workflow
from lib.workflow.faults import Fault, Faults, WorkflowError, hint
from lib.workflow.located import Document, Path
from lib.workflow.plan import TOP
from lib.workflow.value_types import Type

MAX_INCLUDES: Final = 8


@dataclass(frozen=True, slots=True)
class Source:
    """A workflow that was read, and the document that it was read from. `file` is its name in messages."""

    workflow: Workflow
    document: Document
    file: str

    def fault(self, path: Path, message: str, *, at_key: bool = False, offset: int | None = None) -> Fault:
        """A fault at the value of `path`, at its key, or at a character of its text."""
        path = self._written(path)
        if offset is not None:
            place = self.document.place_in(path, offset)
        else:
            place = self.document.key_place(path) if at_key else self.document.place(path)
        return Fault(self.file, place.line, place.column, message)

    def _written(self, path: Path) -> Path:
        """The path with the keys by which options were written."""
        found: list[int | str] = []
        data = self.document.data
        for part in path:
            if isinstance(data, Mapping) and part not in data:
                part = next((name for name in ALIASES.get(str(part), ()) if name in data), part)  # noqa: PLW2901
            found.append(part)
            try:
                data = data[part]
            except (KeyError, IndexError, TypeError):
                data = None
        return found


class Library(Protocol):
    """The workflows that a workflow can name."""

    def find(self, name: str) -> Source | None:
        """The workflow of that name; None if there is none. Raises `WorkflowError` where it can't be read."""
        ...

    def names(self) -> Collection[str]:
        """The names of all of them."""
        ...


class NoLibrary:
    """A library of nothing."""

    def find(self, name: str) -> Source | None:  # noqa: ARG002 - as the Protocol has it
        return None

    def names(self) -> Collection[str]:
        return ()


@dataclass(slots=True)
class Draft:
    """A step on its way to a node. `path` is its place in the document of `source`, `local` its id as written."""

    id: str
    local: str
    step: Step
    source: Source
    path: Path
    parent: str
    scope: str
    final: bool
    own: frozenset[str]
    included: Source | None = None
    children: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Drafts:
    """All drafts by id, in the order of the files; for each box the ids by their local names."""

    main: Source
    by_id: dict[str, Draft] = field(default_factory=dict)
    locals: dict[str, dict[str, str]] = field(default_factory=lambda: {TOP: {}})
    faults: Faults = field(default_factory=Faults)
    outputs: dict[str, Type] = field(default_factory=dict)

    def chain(self, box: str) -> Iterator[str]:
        """The box, and those around it up to the file's own level, within one scope."""
        while True:
            yield box
            if box == TOP or self.by_id[box].step.kind is Kind.INCLUDE:
                return
            box = self.by_id[box].parent


def expand(drafts: Drafts, library: Library) -> None:
    """Adds the drafts of the main workflow, and of all that it includes. Raises `EnoughError`."""
    _Expansion(drafts, library).add_file(drafts.main, TOP, (drafts.main.workflow.name,))


class _Expansion:
    """Adds the steps of files, those of includes where they are included."""

    def __init__(self, drafts: Drafts, library: Library) -> None:
        self._drafts = drafts
        self._library = library

    def add_file(self, source: Source, box: str, names: Sequence[str], *, final: bool = False) -> None:
        scope = box
        for at, step in enumerate(source.workflow.steps):
            self._add(step, source, ("steps", at), box, scope, names, final=final)
        for at, step in enumerate(source.workflow.final):
            if box != TOP:
                message = "has `finally`, so it can't be included; run it with `workflow`"
                self._fault(source, ("finally",), f"{source.workflow.name} {message}", at_key=True)
                return
            self._add(step, source, ("finally", at), box, scope, names, final=True)

    def _fault(self, source: Source, path: Path, message: str, *, at_key: bool = False) -> None:
        self._drafts.faults.append(source.fault(path, message, at_key=at_key))

    def _add(
        self, step: Step, source: Source, path: Path, box: str, scope: str, names: Sequence[str], *, final: bool
    ) -> None:  # fmt: skip
        local = self._drafts.locals[box]
        if step.id in local:
            first = self._drafts.by_id[local[step.id]]
            line = first.source.document.place((*first.path, "id")).line
            self._fault(source, (*path, "id"), f"{step.id} is there twice, in line {line} too")
            return
        if len(self._drafts.by_id) >= MAX_STEPS:
            self._fault(source, path, f"a workflow has at most {MAX_STEPS:,} steps")
            return
        name = f"{box}.{step.id}" if box else step.id
        whole = _with_defaults(step, source.workflow.defaults)
        draft = Draft(name, step.id, whole, source, path, box, scope, final, frozenset(step.model_fields_set))
        self._drafts.by_id[name] = draft
        local[step.id] = name
        if box != TOP:
            self._drafts.by_id[box].children.append(name)
        if step.group is not None:
            self._drafts.locals[name] = {}
            for at, inner in enumerate(step.group):
                self._add(inner, source, (*path, "group", at), name, scope, names, final=final)
        if step.include is not None:
            self._drafts.locals[name] = {}
            self._include(draft, names)
        if step.workflow is not None:
            draft.included = self._find(draft, step.workflow, "workflow")

    def _include(self, draft: Draft, names: Sequence[str]) -> None:
        name = draft.step.include or ""
        if name in names:
            cycle = " → ".join([*names[names.index(name) :], name])
            self._fault(draft.source, (*draft.path, "include"), f"includes form a cycle: {cycle}")
        elif len(names) > MAX_INCLUDES:
            self._fault(draft.source, (*draft.path, "include"), f"includes are at most {MAX_INCLUDES} deep")
        elif found := self._find(draft, name, "include"):
            draft.included = found
            self.add_file(found, draft.id, (*names, name), final=draft.final)

    def _find(self, draft: Draft, name: str, key: str) -> Source | None:
        try:
            found = self._library.find(name)
        except WorkflowError as error:
            self._drafts.faults.extend(error.faults)
            return None
        if found is None:
            known = self._library.names()
            self._fault(draft.source, (*draft.path, key), f"there is no workflow {name}{hint(name, known)}")
        return found


def _with_defaults(step: Step, defaults: Settings) -> Step:
    """The step with the workflow's defaults where it sets nothing itself and its kind has such options."""
    if not defaults.model_fields_set:
        return step
    wanted = defaults.model_fields_set & OPTIONS[step.kind] - step.model_fields_set
    merged = {name: getattr(defaults, name) for name in wanted}
    if "env" in defaults.model_fields_set and "env" in OPTIONS[step.kind]:
        merged["env"] = {**defaults.env, **step.env}
    return step.model_copy(update=merged) if merged else step
