"""YAML or JSON with steps of `key`, `agent`, `prompt` and `dependencies`, and `{{step-key.path}}` in texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from lib.workflow.dialects._dialect import Conversion, Converted, Fields, Ids, assistant, replaced
from lib.workflow.located import Document

_HOLE: Final = re.compile(r"\{\{\s*([\w-]+)((?:\.[\w-]+)*)\s*\}\}")
_INPUTS: Final = frozenset({"input", "inputs", "vars", "variables", "params", "context"})
_MS: Final = 0.001
_PROPOSALS: Final = {
    "condition": "write it as `when`", "name": "say it in `description`", "tools": "name them in the prompt",
    "outputs": "write an output_schema, or artifacts", "onFailure": "write on_failure",
}  # fmt: skip


class Keyed:
    name = "keyed"
    title = "YAML or JSON with steps of key, agent, prompt, dependencies"

    def fits(self, data: Mapping[str, Any], file: str) -> bool:  # noqa: ARG002 - as the Protocol has it
        steps = data.get("steps")
        return isinstance(steps, list) and any(isinstance(step, dict) and "key" in step for step in steps)

    def convert(self, document: Document, file: str, name: str) -> Converted:
        conversion = Conversion(document, file, name)
        top = conversion.fields(document.data, ())
        top.take("name", "id", "key")
        steps = [step for step in top.take("steps") or [] if isinstance(step, dict)]
        places = [at for at, step in enumerate(document.data["steps"]) if isinstance(step, dict)]
        texts = _Texts(Ids(), top.take("inputs", "variables", "vars"))
        for at, step in enumerate(steps):
            texts.ids.add(step.get("key", step.get("id")), at)
        made = [(_step(conversion.fields(step, ("steps", at)), texts), ("steps", at))
                for at, step in zip(places, steps, strict=True)]  # fmt: skip
        config = top.inner("config")
        data = {"description": top.text("description"), "version": top.text("version"), "author": top.text("author"),
                "tags": top.texts("tags"), **(_config(config) if config else {}), "inputs": texts.declared,
                "steps": conversion.steps(made)}  # fmt: skip
        top.leave({"triggers": "start it with a schedule, or from your CI"})
        return conversion.done(data)


class _Texts:
    """Texts with placeholders: the keys of steps, and inputs that are named."""

    def __init__(self, ids: Ids, given: object) -> None:
        self.ids = ids
        self.declared: dict[str, Any] = {}
        for name, value in given.items() if isinstance(given, dict) else ():
            self.declared[name] = value if isinstance(value, dict) else {"description": str(value)}

    def text(self, text: str) -> str:
        def by(match: re.Match[str]) -> str | None:
            head, path = match[1], match[2]
            if head in self.ids.names:
                path = path.removeprefix(".output").removeprefix(".result")
                return f"{{{{ steps.{self.ids.get(head)}.output{path} }}}}"
            name = path.lstrip(".") if head in _INPUTS and path else head + path
            if "." in name:
                return "\\" + match[0]
            self.declared.setdefault(name, {"required": True})
            return f"{{{{ inputs.{name} }}}}"

        return replaced(text, _HOLE, by)


def _step(fields: Fields, texts: _Texts) -> dict[str, Any]:
    agent = fields.text("agent")
    known = assistant(agent)
    step: dict[str, Any] = {
        "id": texts.ids.get(fields.take("key", "id")),
        "description": fields.text("description", "name", "title"),
        "needs": [texts.ids.get(name) for name in fields.texts("dependencies", "dependsOn", "depends_on")],
        "optional": fields.flag("optional"),
        "assistant": [known] if known else [],
        "role": "" if known else agent,
        "prompt": texts.text(fields.text("prompt")),
        "output_schema": fields.take("outputSchema", "output_schema"),
    }
    if timeout := fields.number("timeoutMs", factor=_MS):
        step["timeout_s"] = float(timeout)
    if policy := fields.inner("retryPolicy"):
        step["retry"] = _retry(policy)
    if fields.flag("parallel") is False:
        fields.remark("parallel", "parallel: false", "let what must not run beside it need it, or set workspace: own")
    fields.leave(_PROPOSALS)
    return step


def _retry(policy: Fields) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if (attempts := policy.number("maxAttempts")) is not None:
        made["max_attempts"] = max(1, int(attempts))
    if (retries := policy.number("maxRetries", "retries")) is not None:
        made["max_attempts"] = int(retries) + 1
    if (delay := policy.number("delayMs", "initialDelayMs", "backoffMs", factor=_MS)) is not None:
        made["delay_s"] = float(delay)
    if (factor := policy.number("backoffMultiplier", "multiplier")) is not None:
        made["backoff"] = max(1.0, float(factor))
    if (longest := policy.number("maxDelayMs", factor=_MS)) is not None:
        made["max_delay_s"] = float(longest)
    if (backoff := policy.text("backoff", "strategy")) and "backoff" not in made:
        made["backoff"] = 2.0 if backoff.startswith("expo") else 1.0
    policy.leave({"retryOn": "name kinds of failure in retry.on"})
    return made


def _config(config: Fields) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if timeout := config.number("timeout", "timeoutMs", factor=_MS):
        made["timeout_s"] = float(timeout)
    if interval := config.number("checkpointInterval", factor=_MS):
        made["checkpoint_interval_s"] = float(interval)
    if parallel := config.number("parallelism", "maxParallel"):
        made["parallel"] = int(parallel)
    if (retries := config.number("maxRetries")) is not None:
        made["defaults"] = {"retry": {"max_attempts": int(retries) + 1}}
    if config.flag("continueOnError"):
        made["on_error"] = "continue"
    config.leave({})
    return made


dialect = Keyed()
