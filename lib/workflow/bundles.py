"""One file with a workflow and all that it needs elsewhere: workflows, prompts and skills."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from lib.errors import UsageError
from lib.files.safe_read import NotPlainError, read_own
from lib.names import quote
from lib.project.templates import MAX_PROMPT_BYTES, SUFFIX
from lib.workflow.case_files import cases_of
from lib.workflow.definition import Kind
from lib.workflow.library import BUILT_IN, Shelf
from lib.workflow.loading import text_of
from lib.workflow.options import NAME_PATTERN
from lib.workflow.plan import Plan

VERSION: Final = 1
KEY: Final = "relay_bundle"


class Part(NamedTuple):
    """A file of a bundle: its folder below `.project/` (workflows, prompts, skills), its name, its text."""

    folder: str
    name: str
    text: str


def bundle(name: str, shelf: Shelf, own: Path) -> dict[str, Any]:
    """The bundle of a workflow; `own` is the project's folder with `prompts` and `skills`.

    What ships with Relay is left out, but for the workflow itself. Raises `RelayError`.
    """
    parts: dict[str, dict[str, str]] = {"workflows": {}, "prompts": {}, "skills": {}}
    waiting, seen = [name], set[str]()
    while waiting:
        current = waiting.pop()
        entry = shelf.entry(current)
        if current in seen or (entry.origin == BUILT_IN and current != name):
            continue
        seen.add(current)
        loaded = shelf.load(current)
        plan = loaded.plan(shelf)
        parts["workflows"][entry.file.name] = loaded.text
        if (cases := cases_of(entry.file)) is not None:
            parts["workflows"][cases.name] = text_of(cases)
        waiting += {node.step.workflow or node.step.include or "" for node in plan.nodes.values()
                    if node.kind in {Kind.WORKFLOW, Kind.INCLUDE}}  # fmt: skip
        for folder, file in _files(plan):
            if (text := _text(own / folder / file)) is not None:
                parts[folder][file] = text
    return {KEY: VERSION, "name": name, **{folder: found for folder, found in parts.items() if found}}


def _files(plan: Plan) -> Iterator[tuple[str, str]]:
    for node in plan.nodes.values():
        if node.step.role:
            yield "prompts", f"{node.step.role}{SUFFIX}"
        for skill in node.step.skills:
            yield "skills", f"{skill}.md"


def _text(file: Path) -> str | None:
    try:
        raw = read_own(file, limit=MAX_PROMPT_BYTES)
    except (NotPlainError, OSError) as error:
        raise UsageError(
            f"{file} can't be read: {error}", remedy=f"ls -ld {quote(file)}", code="export_failed"
        ) from error
    return None if raw is None else raw.decode("utf-8", errors="replace")


def parts_of(data: Mapping[str, Any], file: Path) -> list[Part]:
    """The files that a bundle holds. Raises `UsageError` (`bundle_invalid`)."""
    found = []
    for folder in ("workflows", "prompts", "skills"):
        named = data.get(folder, {})
        for name, text in named.items() if isinstance(named, Mapping) else [("", None)]:
            if not isinstance(text, str) or not _is_plain(name):
                message = f"{file.name}: {folder} of a bundle are texts by the names of their files, without folders"
                raise UsageError(message, remedy="relay workflows export --help", code="bundle_invalid")
            found.append(Part(folder, name, text))
    return found


def _is_plain(name: str) -> bool:
    stem, _, _ = name.partition(".")
    return bool(re.match(NAME_PATTERN, stem)) and "/" not in name and "\0" not in name
