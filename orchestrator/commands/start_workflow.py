"""The definition of a run's workflow: its text, those that it includes, and the inputs, checked before it starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lib.config.model import Config
from lib.errors import UsageError
from lib.files.safe_read import NotPlainError, read_own
from lib.model import Definition
from lib.names import quote
from lib.project.paths import Project
from lib.project.skills import read_skills
from lib.project.templates import SUFFIX, prompt_texts
from lib.steps import BUILD
from lib.workflow.compiled import plan_of
from lib.workflow.definition import Kind
from lib.workflow.inputs import given_inputs
from lib.workflow.library import Entry, Shelf, shelf
from lib.workflow.loading import Loaded
from lib.workflow.located import NotReadableError, read
from lib.workflow.options import Budget
from lib.workflow.plan import Plan
from lib.workflow.unrun import refuse
from orchestrator.secret_values import check_secrets
from phases.steps.prompt import TEMPLATE

#: The input that takes the words of `relay start "…"`.
REQUIREMENT: Final = "requirement"
_MAX_INPUTS: Final = 1_000_000
_SHOWN: Final = 200


def definition_of(project: Project, name: str, inputs: Mapping[str, Any], words: str) -> Definition:
    """The definition of a workflow started with these inputs, and with the words as its requirement if it takes one.

    Raises `UsageError` (`no_workflow`, `workflow_invalid`, `input_invalid`, `no_skill`, `skill_invalid`), `RelayError`
    (`secret_missing`).
    """
    found = shelf(project)
    entry = found.entry(name)
    loaded, plan = found.plan(name)
    if plan.workflow.name == BUILD:
        message = f"{BUILD} takes its requirement in words, and no inputs"
        raise UsageError(message, remedy='relay start "what you want built"', code="input_invalid")
    refuse(plan, entry.file)
    check_secrets(plan.secrets, project.root)
    read_skills([skill for node in plan.nodes.values() for skill in node.step.skills], project.dot / "skills")
    given = dict(inputs)
    if words and REQUIREMENT in plan.workflow.inputs:
        given.setdefault(REQUIREMENT, words)
    return started(found, entry, loaded, plan, given, str(project.root))


def started(found: Shelf, entry: Entry, loaded: Loaded, plan: Plan, inputs: Mapping[str, Any], root: str) -> Definition:
    """The definition of a workflow of the shelf, for a project at `root`. Raises `UsageError` (`input_invalid`)."""
    texts = {entry.name: (entry.file.name, loaded.text), **_included(plan, found)}
    return Definition(
        name=entry.name,
        project=root,
        files={each: file for each, (file, _) in texts.items()},
        texts={each: text for each, (_, text) in texts.items()},
        inputs=given_inputs(plan.workflow.inputs, inputs, entry.name),
    )


def refuse_reuse_of_build(name: str, *, reuse: bool) -> None:
    """Raises `UsageError` (`not_a_workflow`) where steps are to be reused in a run whose steps a design makes."""
    if reuse and name == BUILD:
        message = f"--reuse is for a workflow with steps of its own; a design makes those of {BUILD} each time again"
        raise UsageError(message, remedy="relay workflows list", code="not_a_workflow")


def with_aids(project: Project, definition: Definition, config: Config, requirement: str) -> Definition:
    """The definition with the digests of the texts that its prompts are made of, as they are now.

    Raises `UsageError` (`no_skill`, `skill_invalid`), `RelayError` (`prompt_invalid`).
    """
    nodes = plan_of(definition).nodes.values()
    names = dict.fromkeys((*config.skills, *(skill for node in nodes for skill in node.step.skills)))
    aids = {skill["name"]: _digest(skill["text"]) for skill in read_skills(tuple(names), project.dot / "skills")}
    texts = prompt_texts(TEMPLATE.removesuffix(SUFFIX), project.dot / "prompts")
    seen = [requirement] if len(texts) > 1 else []  # the shipped one has no use for it
    return definition.model_copy(update={"aids": aids | {TEMPLATE: _digest(*texts, *seen)}})


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


def within_limits(config: Config, definition: Definition) -> Config:
    """The configuration with the budget of a run's workflow, and its time between checkpoints, where that is less."""
    workflow = plan_of(definition).workflow
    budget = workflow.budget or Budget()
    limits: dict[str, float | None] = {
        "max_cost_usd": budget.max_cost_usd,
        "max_tokens": budget.max_tokens,
        "checkpoint_interval_s": workflow.checkpoint_interval_s,
    }
    least = {}
    for name, limit in limits.items():
        known = [each for each in (getattr(config, name), limit) if each is not None]
        least[name] = min(known, default=None)
    return config.model_copy(update=least)


def words_of(definition: Definition, words: str) -> str:
    """The requirement of the run: the words that were given, else its workflow and inputs."""
    if words:
        return words
    given = definition.inputs
    told = "; ".join(f"{name}: {value}" if len(given) > 1 else str(value) for name, value in given.items())
    return f"{definition.name}: {told}"[:_SHOWN] if told else definition.name


def inputs_of(given: Sequence[str], file: Path | None) -> dict[str, Any]:
    """The inputs of a file, and those given as NAME=VALUE, which win. Raises `UsageError` (`input_invalid`)."""
    found = _of_file(file) if file is not None else {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            message = f"{each} is no NAME=VALUE"
            raise UsageError(message, remedy=f"--input {quote(each.strip('=') or 'name')}=VALUE", code="input_invalid")
        found[name] = value
    return found


def _of_file(file: Path) -> dict[str, Any]:
    try:
        raw = read_own(file, limit=_MAX_INPUTS)
        if raw is None:
            raise UsageError(f"there is no file {file}", remedy=f"ls {quote(file.parent)}", code="input_invalid")
        text = raw.decode("utf-8-sig")
        data = json.loads(text) if file.suffix == ".json" else read(text, is_json=False).data
    except NotReadableError as error:
        where = f"{file}:{error.line}:{error.column}"
        raise UsageError(f"{where}: {error.reason}", remedy=f"$EDITOR {quote(file)}", code="input_invalid") from error
    except (OSError, ValueError, RecursionError, NotPlainError) as error:
        raise UsageError(
            f"{file} can't be read: {error}", remedy=f"ls -l {quote(file)}", code="input_invalid"
        ) from error
    if not isinstance(data, dict):
        raise UsageError(f"{file} has no `name: value` lines", remedy=f"$EDITOR {quote(file)}", code="input_invalid")
    return data


def _included(plan: Plan, found: Shelf) -> dict[str, tuple[str, str]]:
    """File and text of the workflows that are included, by name."""
    names = {node.step.include for node in plan.nodes.values() if node.kind is Kind.INCLUDE and node.step.include}
    return {name: (found.entry(name).file.name, found.load(name).text) for name in sorted(names)}
