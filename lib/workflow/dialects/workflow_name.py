"""JSON with `workflow_name` and `steps` of `step`, `type` and `prompt`, done one after another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from lib.workflow.dialects._dialect import Conversion, Converted, Fields, Ids, assistant, replaced
from lib.workflow.located import Document

_HOLE: Final = re.compile(r"\{\{\s*([A-Za-z_][\w.-]*)\s*\}\}|\$\{(?:vars\.)?([A-Za-z_]\w*)\}")
_COMMAND: Final = frozenset({"command", "shell", "bash", "run", "script", "cmd"})
_GATE: Final = frozenset({"approval", "gate", "human", "manual", "user_input", "checkpoint", "confirm"})
_PLAIN: Final = frozenset({"", "prompt", "ai", "agent", "assistant", "llm", "ci", "task", "step"})


class WorkflowName:
    name = "workflow_name"
    title = "JSON with workflow_name and steps of step, type, prompt"

    def fits(self, data: Mapping[str, Any], file: str) -> bool:  # noqa: ARG002 - as the Protocol has it
        return "workflow_name" in data and isinstance(data.get("steps"), list)

    def convert(self, document: Document, file: str, name: str) -> Converted:
        conversion, ids = Conversion(document, file, name), Ids()
        top = conversion.fields(document.data, ())
        top.take("workflow_name")
        inputs = _Inputs(conversion, top.take("inputs", "vars", "variables", "parameters"))
        made: list[tuple[dict[str, Any], tuple[int | str, ...]]] = []
        for at, value in enumerate(top.take("steps") or []):
            if not isinstance(value, dict):
                conversion.remark(("steps", at), f"step {at + 1}", "write a step with step, type and prompt")
                continue
            fields = conversion.fields(value, ("steps", at))
            step = {"id": ids.add(fields.take("step", "id", "name"), at), **_step(fields, inputs)}
            if made and "needs" not in step:
                step["needs"] = [made[-1][0]["id"]]
            made.append((step, ("steps", at)))
        data = {"description": top.text("description"), "version": top.text("version"), "author": top.text("author"),
                "inputs": inputs.declared, "steps": conversion.steps(made)}  # fmt: skip
        top.leave({})
        return conversion.done(data)


class _Inputs:
    """The inputs that are declared, and those that texts name."""

    def __init__(self, conversion: Conversion, given: object) -> None:
        self.declared: dict[str, dict[str, Any]] = {}
        for name, value in given.items() if isinstance(given, dict) else ():
            if isinstance(value, dict):
                self.declared[name] = value
            else:
                self.declared[name] = {"description": str(value)} if isinstance(value, str) and value else {}
            conversion.origins["inputs", name] = ("steps",)
        for name in given if isinstance(given, list) else ():
            self.declared[str(name)] = {"required": True}

    def text(self, text: str) -> str:
        def by(match: re.Match[str]) -> str | None:
            name = (match[1] or match[2]).removeprefix("vars.").removeprefix("inputs.")
            if match[0].startswith("${") and "vars." not in match[0] and name not in self.declared:
                return None
            if "." in name:
                return "\\" + match[0]
            self.declared.setdefault(name, {"required": True})
            return f"{{{{ inputs.{name} }}}}"

        return replaced(text, _HOLE, by)


def _step(fields: Fields, inputs: _Inputs) -> dict[str, Any]:
    kind = fields.text("type").strip().lower()
    prompt = inputs.text(fields.text("prompt", "instructions", "description"))
    command = inputs.text(fields.text("command", "cmd", "run"))
    agent = fields.text("agent", "assistant", "provider")
    step: dict[str, Any] = {}
    if kind in _GATE:
        step["gate"] = {"message": prompt or "Go on?"}
    elif kind in _COMMAND or (command and not prompt):
        step["run"] = command or prompt
    else:
        step["prompt"] = prompt
        step["role"] = "" if kind in _PLAIN else re.sub(r"\W+", "-", kind)
        step["assistant"] = [assistant(agent)] if assistant(agent) else []
        if agent and not assistant(agent):
            step["role"] = step["role"] or agent
    if needs := fields.texts("needs", "depends_on", "dependencies"):
        step["needs"] = needs
    if (timeout := fields.number("timeout")) and "gate" not in step:
        step["timeout_s"] = float(timeout)
    fields.leave({"output": "name a schema in output_schema", "condition": "write it as `when`"})
    return step


dialect = WorkflowName()
