"""A workflow's text, in this language or a dialect, made into a plan."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lib.files.safe_read import NotPlainError, read_own
from lib.names import quote
from lib.project.paths import has_cases
from lib.workflow.checking import Checked, check
from lib.workflow.dialects import Converted, dialect_of
from lib.workflow.expanding import Library, NoLibrary, Source
from lib.workflow.faults import Fault, Remark, WorkflowError
from lib.workflow.graph import compile_plan
from lib.workflow.located import MAX_BYTES, Document, Located, NotReadableError, read
from lib.workflow.plan import Plan

SUFFIXES: Final = (".yaml", ".yml", ".json")
_NOT_IN_NAME: Final = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file that was read: its workflow, if it has one, and what is wrong with its shape.

    `dialect` is empty for this language; else `remarks` name what has no counterpart in it.
    """

    file: Path
    text: str
    document: Document
    checked: Checked
    dialect: str = ""
    remarks: tuple[Remark, ...] = ()

    def source(self) -> Source:
        """The workflow, for a plan. Raises `WorkflowError` where its shape is wrong."""
        if self.checked.workflow is None or self.checked.faults:
            raise WorkflowError(self.checked.faults, self.file)
        return Source(self.checked.workflow, self.document, self.file.name)

    def plan(self, library: Library | None = None) -> Plan:
        """The plan of the workflow. Raises `WorkflowError` with all that is wrong, also in what it includes."""
        if self.checked.workflow is None:
            raise WorkflowError(self.checked.faults, self.file)
        source = Source(self.checked.workflow, self.document, self.file.name)
        return compile_plan(
            source, library or NoLibrary(), known=self.checked.faults, lost=self.checked.lost, file=self.file
        )


def load(file: Path) -> Loaded:
    """The workflow in a file. Raises `WorkflowError` where it is no document at all."""
    if has_cases(file):
        error = WorkflowError([Fault(file.name, 0, 0, "it has the cases of a workflow, and is none itself")], file)
        error.remedy = f"relay workflows test {quote(str(file))}"
        raise error
    return load_text(text_of(file), file)


def text_of(file: Path) -> str:
    """The text in a file. Raises `WorkflowError` where there is none."""
    try:
        raw = read_own(file, limit=MAX_BYTES)
    except NotPlainError as error:
        raise _unreadable(file, f"it is {error.what}, or larger than {MAX_BYTES:,} bytes") from error
    except OSError as error:
        raise _unreadable(file, error.strerror or str(error)) from error
    if raw is None:
        raise _unreadable(file, "there is no such file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        place = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise WorkflowError([Fault(file.name, *place, "it has a byte that is no UTF-8")], file) from error


def document_in(text: str, file: Path) -> Located:
    """The document in a text, as if it stood in `file`. Raises `WorkflowError` where it is none."""
    try:
        return read(text, is_json=file.suffix == ".json")
    except NotReadableError as error:
        raise WorkflowError([Fault(file.name, error.line, error.column, error.reason)], file) from error


def load_text(text: str, file: Path) -> Loaded:
    """The workflow in a text, as if it stood in `file`. Raises `WorkflowError` where it is no document at all."""
    document = document_in(text, file)
    dialect = dialect_of(document.data, file.name)
    if dialect is None:
        return Loaded(file, text, document, _named(check(document, file.name), document, file))
    converted: Converted = dialect.convert(document, file.name, name_of(file))
    checked = check(converted, file.name)
    return Loaded(file, text, converted, checked, dialect.name, converted.remarks)


def name_of(file: Path) -> str:
    """The name of the workflow in a file, by the file's own."""
    stem = file.name
    for suffix in (*SUFFIXES, ".workflow"):
        stem = stem.removesuffix(suffix)
    return _NOT_IN_NAME.sub("-", stem.lower()).strip("-_")[:63] or "workflow"


def _named(checked: Checked, document: Document, file: Path) -> Checked:
    """Adds a fault where the name in the file is not the file's: it would not be found by it."""
    if checked.workflow is None or checked.workflow.name in {name_of(file), "unnamed"}:
        return checked
    place = document.place(("name",))
    message = f"the name must be {name_of(file)}, as the file is called {file.name}"
    return checked._replace(faults=(*checked.faults, Fault(file.name, place.line, place.column, message)))


def _unreadable(file: Path, why: str) -> WorkflowError:
    error = WorkflowError([Fault(file.name, 0, 0, why)], file)
    error.remedy = f"ls -ld {quote(str(file))}"
    return error
