"""Workflows as files: made, edited, imported, and set aside. A file that is there is never lost or overwritten."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lib.config.origins import editor
from lib.errors import RelayError, UsageError
from lib.files.replace import Changed, exchange, replace_file
from lib.files.safe_read import read_own
from lib.names import quote
from lib.project.paths import CASES, Project, has_cases
from lib.project.templates import shipped
from lib.workflow.bundles import KEY, parts_of
from lib.workflow.case_files import cases_of
from lib.workflow.faults import Remark
from lib.workflow.library import BUILT_IN, Entry, Shelf, project_folder, user_folder
from lib.workflow.loading import Loaded, load, load_text, name_of, text_of
from lib.workflow.located import MAX_BYTES, NotReadableError, read
from lib.workflow.writing import CASES_SCHEMA_NAME, SCHEMA_NAME, as_yaml, headed, without_head

_ASIDE: Final = ".deleted"


def folder_for(project: Project | None, *, user: bool) -> Path:
    """The folder for new workflows. Raises `UsageError` (`no_project`) where there is none."""
    if user:
        return user_folder()
    if project is None:
        message = "there is no project here to keep the workflow in"
        raise UsageError(message, remedy="relay workflows new --user NAME, or: git init", code="no_project")
    return project_folder(project)


def write_new(folder: Path, name: str, text: str, shelf: Shelf) -> Path:
    """Writes a new workflow, checked, and the schema beside it.

    Raises `UsageError` (`workflow_exists`, `workflow_invalid`, `name_invalid`), `WriteError`.
    """
    file = folder / f"{name}.yaml"
    if name_of(file) != name:
        message = f"{name} can't be the name of a workflow: small letters, digits, - and _, at most 63"
        raise UsageError(message, remedy=f"relay workflows new {name_of(file)}", code="name_invalid")
    load_text(text, file).plan(shelf)
    _create(file, text)
    return file


def write_cases(workflow: Path, text: str) -> Path | None:
    """Writes the cases of a workflow beside it, unless some are there already; the file that was made."""
    file = workflow.with_name(f"{workflow.stem}{CASES}yaml")
    try:
        exchange(file, text.encode(), None)
    except Changed:
        return None
    return file


def _create(file: Path, text: str) -> None:
    there = next((other for other in sorted(file.parent.glob(f"{file.stem}.*")) if name_of(other) == file.stem), None)
    if there is not None and not there.name.startswith("."):
        raise _exists(there)
    _make_folder(file.parent)
    try:
        exchange(file, text.encode(), None)
    except Changed as error:
        raise _exists(file) from error


def _make_folder(folder: Path) -> None:
    """Makes a folder of workflows, with the schema that the first lines of its files name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (SCHEMA_NAME, CASES_SCHEMA_NAME):
        schema = folder / f".{name}"
        if not schema.exists():
            replace_file(schema, shipped(name).read_bytes())


def _exists(file: Path) -> UsageError:
    remedy = f"relay workflows edit {file.stem}, or: relay workflows delete {file.stem}"
    return UsageError(f"{file} is there already", remedy=remedy, code="workflow_exists")


def from_template(entry: Entry, loaded: Loaded, name: str, description: str) -> str:
    """The text of a workflow under another name; comments and order stay, where it is in this language."""
    if loaded.dialect or entry.file.suffix == ".json":
        data = dict(loaded.document.data)
        return headed(as_yaml({**data, "name": name, **({"description": description} if description else {})}))
    lines = without_head(loaded.text).splitlines()
    for at, line in enumerate(lines):
        if line.startswith("name:"):
            lines[at] = f"name: {name}"
        elif line.startswith("description:") and description:
            lines[at] = f"description: {json.dumps(description, ensure_ascii=False)}"
    return headed("\n".join(lines) + "\n")


def from_answers(
    name: str, description: str, inputs: Sequence[str], steps: Sequence[tuple[str, str]], verify: str
) -> str:  # fmt: skip
    """The text of a workflow whose steps are prompts, one after another, the last one verified and then approved."""
    data: dict[str, Any] = {"name": name, **({"description": description} if description else {})}
    if inputs:
        data["inputs"] = {each: {"type": "string", "required": True} for each in inputs}
    made: list[dict[str, Any]] = []
    for step, prompt in steps:
        needs = {"needs": [made[-1]["id"]]} if made else {}
        made.append({"id": step, **needs, "prompt": prompt})
    if verify and made:
        made[-1]["verify"] = verify
        made[-1]["retry"] = {"max_attempts": 3}
    data["steps"] = made
    return headed(as_yaml(data))


def cases_for_answers(inputs: Sequence[str], steps: Sequence[tuple[str, str]]) -> str:
    """The text of the first case of a workflow that was made of answers."""
    given = {"inputs": dict.fromkeys(inputs, "something")} if inputs else {}
    expect = {"outcome": "landed", "order": [step for step, _ in steps]}
    return headed(as_yaml({**given, "cases": [{"name": "all goes well", "expect": expect}]}), f".{CASES_SCHEMA_NAME}")


def cases_from_template(entry: Entry) -> str:
    """The text of the cases of a workflow, for a copy of it; empty if it has none."""
    cases = cases_of(entry.file)
    return headed(without_head(text_of(cases)), f".{CASES_SCHEMA_NAME}") if cases and cases.suffix != ".json" else ""


def edit(entry: Entry, folder: Path, shelf: Shelf, environ: Mapping[str, str] = os.environ) -> Path:
    """Opens a copy in the editor, and replaces the file once the copy is valid; a built-in one becomes the project's.

    Raises `WorkflowError` where it is not: the copy then stays for the next edit. Raises `RelayError` (`edit_failed`,
    `edited_meanwhile`).
    """
    target = entry.file if entry.origin != BUILT_IN else folder / entry.file.name
    before = read_own(target, limit=MAX_BYTES)
    base = hashlib.sha256(before or b"").hexdigest()[:8]  # an edit goes on only on what it began from
    copy = target.parent / f".{target.stem}.edit-{base}{target.suffix}"
    if not copy.exists():
        _make_folder(target.parent)
        shipped_text = headed(without_head(load(entry.file).text)).encode() if before is None else b""
        replace_file(copy, before if before is not None else shipped_text)
    _open(copy, environ)
    text = (read_own(copy, limit=MAX_BYTES) or b"").decode("utf-8", errors="replace")
    load_text(text, target).plan(shelf)
    try:
        exchange(target, text.encode(), before)
    except Changed as error:
        message = f"{target} was changed meanwhile; your edit is in {copy}"
        raise RelayError(message, remedy=f"diff {quote(target)} {quote(copy)}", code="edited_meanwhile") from error
    copy.unlink(missing_ok=True)
    return target


def _open(file: Path, environ: Mapping[str, str]) -> None:
    command = shlex.split(environ.get("VISUAL") or environ.get("EDITOR") or editor())
    try:
        done = subprocess.run([*command, str(file)], check=False)
    except OSError as error:
        message = f"the editor {command[0]} can't be started: {error.strerror}"
        raise RelayError(message, remedy="export EDITOR=nano", code="edit_failed") from error
    if done.returncode:
        message = f"the editor {command[0]} ended with status {done.returncode}; what it saved is in {file}"
        raise RelayError(message, remedy=f"relay workflows edit {file.name[1:].split('.')[0]}", code="edit_failed")


def set_aside(entry: Entry) -> dict[Path, Path]:
    """Renames a workflow's file, and that of its cases, so that they are found no more; the new places by the old ones.

    Raises `UsageError` (`built_in`, `no_workflow`).
    """
    if entry.origin == BUILT_IN:
        message = f"{entry.name} ships with Relay and can't be deleted; one of your own by that name takes its place"
        raise UsageError(message, remedy=f"relay workflows edit {entry.name}", code="built_in")
    if not entry.file.exists():
        raise UsageError(f"there is no {entry.file}", remedy="relay workflows list", code="no_workflow")
    cases = cases_of(entry.file)
    return {file: _hidden(file) for file in (entry.file, *([cases] if cases else []))}


def _hidden(file: Path) -> Path:
    """The hidden name that a file has now."""
    number = 0
    while (aside := file.parent / f".{file.name}{_ASIDE}{number or ''}").exists():
        number += 1
    os.link(file, aside)  # takes no name that appeared since
    file.unlink()
    return aside


def import_file(file: Path, folder: Path, name: str, shelf: Shelf) -> tuple[list[Path], tuple[Remark, ...]]:
    """Takes in a workflow in any dialect, or a bundle; the files that were made, and what has no counterpart.

    Raises `UsageError` (`workflow_exists`, `workflow_invalid`, `bundle_invalid`).
    """
    if bundle := _bundle(file):
        return _import_bundle(bundle, file, folder), ()
    loaded = load(file)
    name = name or name_of(file)
    text = (
        headed(as_yaml({**loaded.document.data, "name": name}))
        if _is_rewritten(loaded, name)
        else headed(without_head(loaded.text))
    )
    return [write_new(folder, name, text, shelf)], loaded.remarks


def _is_rewritten(loaded: Loaded, name: str) -> bool:
    return bool(loaded.dialect) or loaded.file.suffix == ".json" or name != name_of(loaded.file)


def _bundle(file: Path) -> Mapping[str, Any]:
    try:
        text = (read_own(file, limit=MAX_BYTES) or b"").decode("utf-8", errors="replace")
        data = read(text, is_json=file.suffix == ".json").data
    except (NotReadableError, OSError, ValueError):
        return {}
    return data if isinstance(data, dict) and KEY in data else {}


def _import_bundle(data: Mapping[str, Any], file: Path, folder: Path) -> list[Path]:
    """Writes the files of a bundle that are not there yet; one that is there with other content refuses all."""
    new: list[tuple[Path, str]] = []
    for part in parts_of(data, file):
        target = folder.parent / part.folder / part.name if part.folder != "workflows" else folder / part.name
        there = read_own(target, limit=MAX_BYTES)
        if there is not None and there != part.text.encode():
            raise _exists(target)
        if there is None:
            new.append((target, part.text))
    for target, text in new:
        if target.parent == folder:
            if not has_cases(target):
                load_text(text, target)
            _create(target, text)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_file(target, text.encode())
    return [target for target, _ in new]
