"""The JSON Schema of a workflow's file, made of the models, so that editors complete and check."""

from __future__ import annotations

import json
from typing import Any, Final

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


def schema_text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
