"""The JSON Schemas of workflows and of their cases, made of the models, so that editors complete and check."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from lib.workflow.cases import Cases
from lib.workflow.definition import ALIASES, Workflow

_ID: Final = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The schema, with each option under its other names too."""
    made = Workflow.model_json_schema(by_alias=True)
    for part in (made, made["$defs"]["Step"]):
        for name, others in ALIASES.items():
            if name in part["properties"]:
                part["properties"] |= {other: {**part["properties"][name], "description": f"The same as {name}."}
                                       for other in others}  # fmt: skip
    made["$schema"] = _ID
    made["title"] = "Workflow of Relay"
    return made


def cases_schema() -> dict[str, Any]:
    """The schema of files with cases."""
    return {**Cases.model_json_schema(by_alias=True), "$schema": _ID, "title": "Cases of a workflow of Relay"}


def schema_text(made: Mapping[str, Any] | None = None) -> str:
    """A schema as it is published; that of workflows without one."""
    return json.dumps(schema() if made is None else made, indent=2, ensure_ascii=False) + "\n"
