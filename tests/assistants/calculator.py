"""The calculator as a script for the scripted mind: the same work that the rehearsal's playbook does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from assistants.endpoint.mind import Run, Script, Step, Task, Write
from assistants.endpoint.talk import Say
from conftest import ROOT

REQUIREMENT = "a calculator that adds, subtracts, multiplies and divides"
PARTS = ("add", "subtract", "multiply", "divide", "cli")


def _book() -> dict[str, Any]:
    book: dict[str, Any] = yaml.safe_load((ROOT / "templates/playbooks/calculator.yaml").read_text())
    return book


def files_of(component: str) -> Mapping[str, str]:
    """Texts of the files that its builder writes, by path."""
    steps = _book()["builders"][component]
    return {path: text for step in steps for path, text in step.get("write", {}).items()}


def design(assistants: Mapping[str, str] | None = None) -> Say:
    """The architect's answer; `assistants` names one for some components."""
    asked = _book()["architect"][0]["design"]
    components = [
        each | ({"assistant": assistants[each["id"]]} if assistants and each["id"] in assistants else {})
        for each in asked["components"]
    ]
    answer = {"summary": asked["summary"], "components": components}
    return Say(f"Five components.\n\n```json\n{json.dumps(answer, indent=2)}\n```\n")


def built(component: str) -> tuple[Step, ...]:
    """All that its builder does when nothing is in its way."""
    writes = [Write(path, text) for path, text in files_of(component).items()]
    check = next(each["verify"] for each in _book()["architect"][0]["design"]["components"] if each["id"] == component)
    return (*writes, Run(check), Say(f"{component} is built and its tests pass."))


def script(special: Mapping[str, Script] | None = None, assistants: Mapping[str, str] | None = None) -> Script:
    """The whole run; a component of `special`, or `architect`, goes another way."""

    def steps(task: Task) -> Sequence[Step]:
        own = (special or {}).get(task.component or task.role)
        if own is not None:
            return own(task)
        if task.role == "architect":
            return (design(assistants),)
        return built(task.component)

    return steps
