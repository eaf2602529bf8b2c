"""JSON or YAML with steps of `id`, `type`, `agent` and `config`, and `error_handling` for all of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from lib.workflow.dialects._dialect import Conversion, Converted, Fields, Ids, assistant, replaced
from lib.workflow.located import Document

_HOLE: Final = re.compile(r"\{\{\s*([\w-]+)((?:\.[\w-]+)*)\s*\}\}|\$\{([A-Za-z_]\w*)\}")
_COMMAND: Final = frozenset({"command", "shell", "bash", "script", "run", "exec"})
_GATE: Final = frozenset({"approval", "gate", "human", "human_review", "manual", "manual_approval"})
_NATIVE: Final = frozenset({"prompt", "run", "gate", "workflow", "include", "end", "group"})
_STRATEGIES: Final = {
    "retry": "stop", "retry_then_fail": "stop", "retry_with_fallback": "stop", "fail_fast": "stop", "fail": "stop",
    "stop": "stop", "abort": "stop", "fallback": "stop", "continue": "continue", "skip": "continue",
    "ignore": "continue", "best_effort": "continue",
}  # fmt: skip


class Agents:
    name = "agents"
    title = "JSON or YAML with steps of id, type, agent, and error_handling"

    def fits(self, data: Mapping[str, Any], file: str) -> bool:  # noqa: ARG002 - as the Protocol has it
        steps = data.get("steps")
        if not isinstance(steps, list) or "workflow_name" in data:
            return False
        told = [step for step in steps if isinstance(step, dict) and "key" not in step]
        return "error_handling" in data or any(
            ("type" in step or "agent" in step) and step.keys().isdisjoint(_NATIVE) for step in told
        )

    def convert(self, document: Document, file: str, name: str) -> Converted:
        conversion, ids = Conversion(document, file, name), Ids()
        top = conversion.fields(document.data, ())
        top.take("name", "id", "workflow_id")
        listed = top.take("steps") or []
        steps = [(at, step) for at, step in enumerate(listed) if isinstance(step, dict)]
        for at, step in steps:
            ids.add(step.get("id"), at)
        inputs = {key: value if isinstance(value, dict) else {"description": str(value)}
                  for key, value in (top.take("inputs", "variables", "vars", "parameters") or {}).items()}  # fmt: skip
        handling = top.inner("error_handling")
        common = _handling(handling) if handling else {}
        made = []
        for at, step in steps:
            fields = conversion.fields(step, ("steps", at))
            converted = _step(fields, ids, inputs)
            if "prompt" in converted and common.get("fallbacks") and converted.get("assistant"):
                own = converted["assistant"]
                converted["assistant"] = [*own, *(each for each in common["fallbacks"] if each not in own)]
            made.append((converted, ("steps", at)))
        data = {"description": top.text("description"), "version": top.text("version"), "author": top.text("author"),
                "tags": top.texts("tags"), "inputs": inputs, "on_error": common.get("on_error"),
                "defaults": common.get("defaults"), "steps": conversion.steps(made)}  # fmt: skip
        if timeout := top.number("timeout", "timeout_seconds"):
            data["timeout_s"] = float(timeout)
        if parallel := top.number("max_parallel", "parallelism"):
            data["parallel"] = int(parallel)
        top.leave(
            {"triggers": "start it with a schedule, or from your CI", "metadata": "say it in description or tags"}
        )
        return conversion.done(data)


def _handling(fields: Fields) -> dict[str, Any]:
    """Options of all steps: `on_error`, `defaults`, and assistants that take over (`fallbacks`)."""
    made: dict[str, Any] = {"defaults": {}}
    if strategy := fields.text("strategy"):
        made["on_error"] = _STRATEGIES.get(strategy.lower())
        if made["on_error"] is None:
            fields.remark(
                "strategy", f"the strategy {strategy}", "use on_error: stop or continue, and `finally` to undo"
            )
    if (retries := fields.number("max_retries")) is not None:
        made["defaults"]["retry"] = {"max_attempts": int(retries) + 1}
    named = fields.take("fallback_agents")
    pairs = named.items() if isinstance(named, dict) else [("", each) for each in named or []]
    fallbacks = [str(each) for _, value in pairs for each in (value if isinstance(value, list) else [value])]
    made["fallbacks"] = [assistant(each) for each in fallbacks if assistant(each)]
    if unknown := [each for each in fallbacks if not assistant(each)]:
        proposal = "name assistants that Relay knows in `assistant`, as a chain"
        fields.remark("fallback_agents", f"the fallback {', '.join(unknown)}", proposal)
    if made["fallbacks"]:
        made["defaults"]["assistant"] = made["fallbacks"]
    fields.leave(
        {"rollback": "put the commands that undo into `finally`", "notify": "set `notify` in the configuration"}
    )
    return made


def _step(fields: Fields, ids: Ids, inputs: dict[str, Any]) -> dict[str, Any]:
    kind, agent = fields.text("type").lower(), fields.text("agent")
    config = fields.take("config")
    config = dict(config) if isinstance(config, dict) else {}
    prompt = next((str(config.pop(key)) for key in ("prompt", "instructions", "task", "message") if key in config), "")
    command = next((config.pop(key) for key in ("command", "run", "script") if key in config), "")
    step: dict[str, Any] = {
        "id": ids.get(fields.take("id")),
        "description": fields.text("description", "name"),
        "needs": [ids.get(name) for name in fields.texts("dependencies", "depends_on")],
    }
    if kind in _GATE:
        step["gate"] = {"message": _text(prompt or step["description"] or f"Go on with {step['id']}?", ids, inputs)}
    elif command and (kind in _COMMAND or not prompt):
        step["run"] = _text(command, ids, inputs) if isinstance(command, str) else command
    else:
        words = prompt or fields.text("prompt") or _worded(fields, kind, step)
        step |= {"prompt": _text(words, ids, inputs), "role": "" if assistant(agent) else agent,
                 "assistant": [assistant(agent)] if assistant(agent) else []}  # fmt: skip
        if config:
            step["prompt"] += (
                f"\n\nSettings of this step: {json.dumps(config, ensure_ascii=False).replace('{{', '{ {')}"
            )
            config = {}
    for name in config:
        fields.conversion.remark((*fields.path, "config", name), f"config.{name}", "put it into the command or message")
    if (timeout := fields.number("timeout", "timeout_seconds")) and "gate" not in step:
        step["timeout_s"] = float(timeout)
    if (retries := fields.number("retry_count", "retries")) is not None and "gate" not in step:
        step["retry"] = {"max_attempts": int(retries) + 1}
    if fields.flag("parallel") is False:
        fields.remark("parallel", "parallel: false", "let what must not run beside it need it, or set workspace: own")
    fields.leave({"condition": "write it as `when`", "outputs": "write an output_schema, or artifacts",
                  "inputs": "name them in the prompt"})  # fmt: skip
    return step


def _worded(fields: Fields, kind: str, step: Mapping[str, Any]) -> str:
    what = f"a step of type {kind or 'none'} without a prompt"
    fields.remark("type", what, "write config.prompt; for now it is asked for by its type and description")
    words = (kind or "work").replace("_", " ")
    return f"Do the step {step['id']} of this workflow: {words}. {step['description']}".strip()


def _text(text: str, ids: Ids, inputs: dict[str, Any]) -> str:
    def by(match: re.Match[str]) -> str | None:
        head, path = match[1] or match[3], match[2] or ""
        if match[3] and head not in inputs:
            return None
        if head == "steps" and path:
            head, _, path = path[1:].partition(".")
            path = f".{path}" if path else ""
        if head in ids.names:
            return f"{{{{ steps.{ids.get(head)}.output{path.removeprefix('.output').removeprefix('.result')} }}}}"
        name = path.lstrip(".") if head in {"inputs", "input", "vars"} and path else head + path
        if "." in name:
            return "\\" + match[0]
        inputs.setdefault(name, {"required": True})
        return f"{{{{ inputs.{name} }}}}"

    return replaced(text, _HOLE, by)


dialect = Agents()
