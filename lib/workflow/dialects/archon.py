"""Archon's YAML: `nodes` of commands, prompts, scripts, loops, approvals and sub-workflows, and `$id.output`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from lib.workflow.dialects._archon_names import Names
from lib.workflow.dialects._dialect import Conversion, Converted, Fields, assistant
from lib.workflow.located import Document

_MS: Final = 0.001
_NAMED_SCRIPT: Final = re.compile(r"[\w-]+")
_KINDS: Final = (
    "command",
    "prompt",
    "bash",
    "script",
    "loop",
    "loop_group",
    "approval",
    "cancel",
    "include",
    "workflow",
)
_PROPOSALS: Final = {
    "allowed_tools": "set the tools in a `profile` of the assistant",
    "denied_tools": "set the tools in a `profile` of the assistant",
    "hooks": "put hooks into the assistant's own settings",
    "mcp": "name the servers in the assistant's own settings",
    "agents": "write a step for each agent, or a role",
    "pi": "set it in a `profile` of the assistant",
    "thinking": "write `effort`",
    "systemPrompt": "write a `role` with a prompt template",
    "fallbackModel": "name a chain in `assistant`",
    "betas": "set it in a `profile` of the assistant",
    "sandbox": "set `sandbox` in config.yaml",
    "persist_session": "write `session: {continue: STEP}` within a run",
    "output_type": "name files in `artifacts`",
    "requires": "check it in a command at the start",
    "container": "set `sandbox` in config.yaml",
    "evidence_policy": "check the evidence in a command at the end",
    "mutates_checkout": "write `access: read`, or `workspace: none`",
    "persist_sessions": "write `session: {continue: STEP}` within a run",
    "outcome_field": "end with a command that exits with 1",
    "webSearchMode": "set it in a `profile` of the assistant",
    "modelReasoningEffort": "write `effort`",
}  # fmt: skip


class Archon:
    name = "archon"
    title = "Archon's YAML with nodes"

    def fits(self, data: Mapping[str, Any], file: str) -> bool:  # noqa: ARG002 - as the Protocol has it
        return isinstance(data.get("nodes"), list) and "steps" not in data

    def convert(self, document: Document, file: str, name: str) -> Converted:
        conversion = Conversion(document, file, name)
        top = conversion.fields(document.data, ())
        for key in ("name", "interactive"):  # a gate says by itself that it asks
            top.take(key)
        nodes = _nodes(top.take("nodes"))
        names = Names(conversion, nodes)
        inputs = {key: _input(value) for key, value in (top.take("inputs") or {}).items()}
        steps = _Nodes(conversion, names).steps(nodes, ("nodes",))
        data: dict[str, Any] = {"description": " ".join(top.text("description").split()), "tags": top.texts("tags"),
                                "steps": steps}  # fmt: skip
        data["defaults"] = {key: value for key, value in _who(top, conversion).items() if value}
        if budget := top.inner("budget"):
            data["budget"] = {"max_cost_usd": budget.number("max_spend_usd")}
            budget.leave({"max_work_units": "write max_tokens"})
        worktree = top.inner("worktree")
        if worktree is not None:
            worktree.take("enabled")  # every run has a worktree of its own
        if returned := top.text("returns"):
            data["outputs"] = {"result": f"{{{{ {names.output(returned)} }}}}"}
        if names.uses_arguments:
            inputs.setdefault("arguments", {"description": "The request, where the run has no requirement"})
        data["inputs"] = inputs
        top.leave(_PROPOSALS)
        return conversion.done(data)


def _nodes(value: object) -> list[tuple[int, Mapping[str, Any]]]:
    return [(at, node) for at, node in enumerate(value) if isinstance(node, dict)] if isinstance(value, list) else []


def _input(value: object) -> dict[str, Any]:
    given = value if isinstance(value, dict) else {}
    made = {key: given[key] for key in ("required", "default", "description") if key in given}
    kinds = {bool: "boolean", int: "integer", list: "list", dict: "object"}
    if (kind := kinds.get(type(made.get("default")))) is not None:
        made["type"] = kind
    return made


def _who(fields: Fields, conversion: Conversion) -> dict[str, Any]:
    """The assistant, its model and effort."""
    provider = fields.text("provider")
    if provider and not assistant(provider):
        conversion.remark((*fields.path, "provider"), f"the provider {provider}", "name an assistant of Relay")
    return {"assistant": [assistant(provider)] if assistant(provider) else [], "model": fields.text("model"),
            "effort": fields.text("effort")}  # fmt: skip


class _Nodes:
    """Converts nodes, those of loop groups within them."""

    def __init__(self, conversion: Conversion, names: Names) -> None:
        self._conversion = conversion
        self._names = names

    def steps(self, nodes: list[tuple[int, Mapping[str, Any]]], path: tuple[int | str, ...]) -> list[dict[str, Any]]:
        made = [(self._step(self._conversion.fields(node, (*path, at))), (*path, at)) for at, node in nodes]
        if path == ("nodes",):
            return self._conversion.steps(made)
        return [{key: value for key, value in step.items() if value not in ("", [], {}, None)} for step, _ in made]

    def _step(self, fields: Fields) -> dict[str, Any]:
        step: dict[str, Any] = {
            "id": self._names.ids.get(fields.take("id")),
            "description": fields.text("description"),
            "needs": [self._names.ids.get(name) for name in fields.texts("depends_on")],
            "when": self._names.condition(fields.text("when"), (*fields.path, "when")),
            "trigger_rule": fields.text("trigger_rule"),
        }
        kind = next((kind for kind in _KINDS if kind in fields.values), "")
        step |= getattr(self, f"_{kind}")(fields) if kind else {}
        if "prompt" in step:
            step |= _who(fields, self._conversion)
            step["skills"] = fields.texts("skills")
            step |= self._session(fields, step["needs"])
        if "prompt" in step or "run" in step:
            step["output_schema"] = fields.take("output_format")
            self._limits(fields, step)
        fields.leave({**_PROPOSALS, "retry": "a part of it can retry by itself", "with": "write `inputs`"})
        return step

    def _session(self, fields: Fields, needs: list[str]) -> dict[str, Any]:
        context = fields.text("context")
        if context != "shared":
            return {}
        if len(needs) == 1:
            return {"session": {"continue": needs[0]}}
        fields.remark("context", "context: shared", "name the step whose session goes on: session: {continue: STEP}")
        return {}

    def _limits(self, fields: Fields, step: dict[str, Any]) -> None:
        if idle := fields.number("idle_timeout", factor=_MS):
            step["idle_timeout_s"] = float(idle)
        if timeout := fields.number("timeout", factor=_MS):
            step["timeout_s"] = float(timeout)
        if cost := fields.number("maxBudgetUsd"):
            step["limits"] = {"max_cost_usd": float(cost)}
        if fields.take("always_run") is True:
            step["cache"] = False
        if retry := fields.inner("retry"):
            made: dict[str, Any] = {}
            if (attempts := retry.number("max_attempts")) is not None:
                made["max_attempts"] = int(attempts) + 1
            if (delay := retry.number("delay_ms", factor=_MS)) is not None:
                made["delay_s"] = float(delay)
            if retry.text("on_error") == "transient":
                made["on"] = ["service", "limit", "lost"]
            retry.leave({})
            step["retry"] = made

    # --- kinds ---

    def _command(self, fields: Fields) -> dict[str, Any]:
        return {"prompt": self._of_command(fields, fields.text("command"))}

    def _of_command(self, fields: Fields, name: str) -> str:
        fields.remark(
            "command",
            f"the command file {name}",
            f"put its text into the prompt; for now the assistant reads .archon/commands/{name}.md",
        )
        request = self._names.text("$ARGUMENTS", fields.path)
        return f"Do what .archon/commands/{name}.md says. Wherever it says $ARGUMENTS, this is meant:\n\n{request}"

    def _prompt(self, fields: Fields) -> dict[str, Any]:
        return {"prompt": self._names.text(fields.text("prompt"), (*fields.path, "prompt"))}

    def _bash(self, fields: Fields) -> dict[str, Any]:
        return {"run": self._names.text(fields.text("bash"), (*fields.path, "bash"))}

    def _script(self, fields: Fields) -> dict[str, Any]:
        script, runtime = fields.text("script").strip(), fields.text("runtime")
        deps = fields.texts("deps")
        if _NAMED_SCRIPT.fullmatch(script):
            run = ["bun", "run", f".archon/scripts/{script}.ts"] if runtime == "bun" else ["uv", "run"]
            if runtime != "bun":
                run += [*(part for dep in deps for part in ("--with", dep)), f".archon/scripts/{script}.py"]
        else:
            code = self._names.text(script, (*fields.path, "script"))
            inline = ["uv", "run", *(part for dep in deps for part in ("--with", dep)), "python", "-c", code]
            run = ["bun", "-e", code] if runtime == "bun" else inline
            if code != script:
                fields.remark("script", "a value put into a script's text", "read it from `env`, so that it stays data")
        return {"run": run}

    def _loop(self, fields: Fields) -> dict[str, Any]:
        loop = fields.inner("loop")
        if loop is None:
            return {}
        command = loop.text("command")
        prompt = self._names.text(loop.text("prompt"), (*loop.path, "prompt"))
        own = self._names.ids.get(fields.values.get("id"))
        return {"prompt": prompt or self._of_command(loop, command), "loop": self._turns(loop, f"steps.{own}.output")}

    def _loop_group(self, fields: Fields) -> dict[str, Any]:
        group = fields.inner("loop_group")
        if group is None:
            return {}
        nodes = _nodes(group.take("nodes"))
        last = self._names.ids.get(nodes[-1][1].get("id")) if nodes else ""
        for key in ("provider", "model"):
            fields.take(key)
        steps = self.steps(nodes, (*group.path, "nodes"))
        return {"group": steps, "loop": self._turns(group, f"steps.{last}.output")}

    def _turns(self, loop: Fields, output: str) -> dict[str, Any]:
        made: dict[str, Any] = {"max_iterations": int(loop.number("max_iterations") or 1)}
        if word := loop.text("until"):
            made["until"] = "'{}' in {}".format(word.replace("\\", "\\\\").replace("'", "\\'"), output)
        if command := loop.text("until_bash"):
            made["until_run"] = self._names.text(command, (*loop.path, "until_bash"))
        if loop.flag("fresh_context"):
            made["fresh_session"] = True
        if loop.flag("interactive"):
            loop.remark(
                "interactive", "a loop that asks a person at each turn", "make it a group with a gate at its end"
            )
        for key in ("gate_message", "signal_completes"):
            loop.take(key)
        loop.leave({})
        return made

    def _approval(self, fields: Fields) -> dict[str, Any]:
        approval = fields.inner("approval")
        if approval is None:
            return {}
        gate: dict[str, Any] = {"message": self._names.text(approval.text("message"), (*approval.path, "message"))}
        approval.take("capture_response")  # the words of an answer are always kept
        if reject := approval.inner("on_reject"):
            own = self._names.ids.get(fields.values.get("id"))
            prompt = self._names.text(reject.text("prompt"), (*reject.path, "prompt"), gate=own)
            gate["on_reject"] = {"prompt": prompt}
            if rounds := reject.number("max_attempts"):
                gate["on_reject"]["max_rounds"] = int(rounds)
            reject.leave({})
        approval.leave({})
        return {"gate": gate}

    def _cancel(self, fields: Fields) -> dict[str, Any]:
        reason = self._names.text(fields.text("cancel"), (*fields.path, "cancel"))
        return {"end": {"status": "cancelled", "reason": reason}}

    def _include(self, fields: Fields) -> dict[str, Any]:
        return {"include": fields.text("include"), "inputs": self._given(fields)}

    def _workflow(self, fields: Fields) -> dict[str, Any]:
        made: dict[str, Any] = {"workflow": fields.text("workflow"), "inputs": self._given(fields)}
        if request := fields.text("input"):
            made["inputs"]["arguments"] = self._names.text(request, (*fields.path, "input"))
        fan_out = fields.inner("fan_out")
        isolation = fields.text("isolation") or ("worktree" if fan_out else "")
        made["workspace"] = {"worktree": "own", "inherit": "shared"}.get(isolation, "")
        if fan_out is not None:
            join = fan_out.text("join") or "all_success"
            if join not in {"all_success", "all_done"}:
                fan_out.remark("join", f"join: {join}", "write all_done, and a step that takes the first that is done")
                join = "all_done"
            items = self._names.reference(fan_out.text("items"))
            made["foreach"] = {"in": f"{{{{ {items} }}}}", "max_parallel": int(fan_out.number("max_parallel") or 5),
                               "join": join}  # fmt: skip
            if name := fan_out.text("as"):
                made["foreach"]["as"] = name
            made["inputs"].setdefault("arguments", f"{{{{ {name or 'item'} }}}}")
            fan_out.leave({})
        return made

    def _given(self, fields: Fields) -> dict[str, Any]:
        given = fields.take("with")
        return {key: self._names.text(value, (*fields.path, "with", key)) if isinstance(value, str) else value
                for key, value in (given.items() if isinstance(given, dict) else ())}  # fmt: skip


dialect = Archon()
