"""`<id>.workflow.yml` with `stages`, `stageConfigs`, and a `loop` that falls back to another stage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from lib.workflow.dialects._dialect import Conversion, Converted, Fields, Ids, assistant, replaced
from lib.workflow.expressions import ExpressionError, Reference, parse
from lib.workflow.located import Document

_HOLE: Final = re.compile(r"\{\{\s*([\w-]+)((?:\.[\w-]+)*)\s*\}\}")
_READ: Final = frozenset({"read", "readonly", "read_only", "read-only", "plan", "review", "analyze", "ask"})
_WRITE: Final = frozenset({"", "write", "edit", "code", "build", "implement", "agent", "auto", "default", "execute"})
_ON_FAILURE: Final = {
    "stop": "stop", "fail": "stop", "abort": "stop", "halt": "stop", "continue": "continue", "skip": "continue",
    "ignore": "continue", "next": "continue", "retry": "retry",
}  # fmt: skip
_BACKOFFS: Final = {"exponential": 2.0, "linear": 1.0, "fixed": 1.0, "constant": 1.0, "none": 1.0}
_DEFAULT_TURNS: Final = 3


class Stages:
    name = "stages"
    title = "YAML with stages, stageConfigs and loop"

    def fits(self, data: Mapping[str, Any], file: str) -> bool:  # noqa: ARG002 - as the Protocol has it
        return isinstance(data.get("stages"), list)

    def convert(self, document: Document, file: str, name: str) -> Converted:
        conversion = Conversion(document, file, name)
        top = conversion.fields(document.data, ())
        top.take("id", "name")
        converter = _Converter(conversion, top)
        made = converter.steps()
        data = {"description": top.text("description", "title"), "version": top.text("version"),
                "author": top.text("author"), "inputs": converter.inputs, "steps": conversion.steps(made)}  # fmt: skip
        top.leave({"triggers": "start it with a schedule, or from your CI"})
        return conversion.done(data)


class _Converter:
    """Makes the steps: each stage after the one before, a fallback where its loop has run out."""

    def __init__(self, conversion: Conversion, top: Fields) -> None:
        self._conversion = conversion
        self._configs = top.inner("stageConfigs", "stage_configs")
        self._stages = [_stage_name(stage) for stage in top.take("stages")]
        self._loop = top.take("loop")
        given = top.take("inputs", "vars", "variables")
        self.inputs: dict[str, Any] = {}
        for key, value in given.items() if isinstance(given, dict) else ():
            self.inputs[key] = value if isinstance(value, dict) else {"description": str(value)}
        self._ids = Ids()

    def steps(self) -> list[tuple[dict[str, Any], tuple[int | str, ...]]]:
        names = list(self._stages)
        configs = self._configs.values if self._configs else {}
        loops = {name: self._loop_of(name, configs.get(name)) for name in [*names, *configs]}
        fallbacks = {str(loop.values["fallback_next_stage"]): name for name, (loop, _) in loops.items()
                     if loop is not None and loop.values.get("fallback_next_stage")}  # fmt: skip
        names += [name for name in fallbacks if name not in names and name in configs]
        for at, name in enumerate(names):
            self._ids.add(name, at)
        made: list[tuple[dict[str, Any], tuple[int | str, ...]]] = []
        last = ""
        for at, name in enumerate(names):
            step = self._step(name, loops.get(name, (None, ()))[0])
            step["needs"] = [last] if last else []
            if name in fallbacks:
                looped = self._ids.get(fallbacks[name])
                step["needs"] = list(dict.fromkeys([*step["needs"], looped])) if name in self._stages else [looped]
                step["trigger_rule"] = "all_done"
                if name not in self._stages:
                    step["when"] = f"steps.{looped}.status == 'failed'"
            path: tuple[int | str, ...] = ("stageConfigs", name) if name in configs else ("stages", at)
            made.append((step, path))
            last = step["id"] if name in self._stages else last
        for name in configs:
            if name not in names:
                proposal = "name it in stages, or as fallback_next_stage"
                self._conversion.remark(("stageConfigs", name), f"the stage {name}, which is in no order", proposal)
        return made

    def _loop_of(self, name: str, config: object) -> tuple[Fields | None, tuple[int | str, ...]]:
        """The loop of a stage: in its own configuration, or at the top, by the stage's name or for the one it names."""
        if isinstance(config, dict) and isinstance(config.get("loop"), dict):
            path: tuple[int | str, ...] = ("stageConfigs", name, "loop")
            return self._conversion.fields(config["loop"], path), path
        if not isinstance(self._loop, dict):
            return None, ()
        if isinstance(self._loop.get(name), dict):
            return self._conversion.fields(self._loop[name], ("loop", name)), ("loop", name)
        named = self._loop.get("stage", self._loop.get("stages"))
        wanted = named if isinstance(named, list) else [named]
        if named is None and self._stages:
            fallback = self._loop.get("fallback_next_stage")
            before = self._stages.index(fallback) if fallback in self._stages[1:] else len(self._stages)
            wanted = [self._stages[before - 1]]
        whole = name in wanted and "max_iters" in self._loop
        return (self._conversion.fields(self._loop, ("loop",)), ("loop",)) if whole else (None, ())

    def _step(self, name: str, loop: Fields | None) -> dict[str, Any]:
        configs = self._configs.values if self._configs else {}
        config = configs.get(name)
        fields = self._conversion.fields(config if isinstance(config, dict) else {}, ("stageConfigs", name))
        step: dict[str, Any] = {"id": self._ids.get(name), "description": fields.text("description", "title")}
        step["prompt"] = self._text(fields.text("prompt", "instructions"))
        if not step["prompt"]:
            step["prompt"] = f"Do the stage {name} of this workflow."
            proposal = "write a prompt for it; for now it is asked for by its name"
            self._conversion.remark(fields.path, f"the stage {name} without a prompt", proposal)
        self._who(fields, step)
        self._failures(fields, step)
        fields.take("loop")
        if loop is not None:
            step["loop"] = self._turns(loop, step["id"])
            if loop.values.get("fallback_next_stage"):
                step["on_failure"] = "continue"
        fields.leave({"tools": "name them in the prompt", "timeout": "write timeout_s"})
        return step

    def _who(self, fields: Fields, step: dict[str, Any]) -> None:
        named = fields.texts("provider", "providers")
        step["assistant"] = [assistant(each) for each in named if assistant(each)]
        if unknown := [each for each in named if not assistant(each)]:
            proposal = "describe it as an assistant in config.yaml, and name that"
            fields.remark("provider", f"the provider {', '.join(unknown)}", proposal)
        step["role"] = fields.text("role")
        step["profile"] = fields.text("profile")
        step["model"] = fields.text("model")
        step["skills"] = fields.texts("skills")
        mode = fields.text("mode").lower()
        step["access"] = "read" if mode in _READ else ""
        if mode not in _READ | _WRITE:
            fields.remark("mode", f"the mode {mode}", "choose access: read or write, and say the rest in the prompt")

    def _failures(self, fields: Fields, step: dict[str, Any]) -> None:
        if timeout := fields.number("timeout", "timeout_s", "timeout_seconds"):
            step["timeout_s"] = float(timeout)
        if (retries := fields.number("retries")) is not None:
            step["retry"] = {"max_attempts": int(retries) + 1}
        backoff = fields.take("retry_backoff")
        if isinstance(backoff, int | float) and not isinstance(backoff, bool):
            step.setdefault("retry", {})["backoff"] = max(1.0, float(backoff))
        elif isinstance(backoff, str) and backoff.lower() in _BACKOFFS:
            step.setdefault("retry", {})["backoff"] = _BACKOFFS[backoff.lower()]
        elif backoff is not None:
            fields.remark("retry_backoff", f"the backoff {backoff}", "write a factor, such as 2")
        if action := fields.text("on_failure"):
            step["on_failure"] = _ON_FAILURE.get(action.lower(), "")
            if not step["on_failure"]:
                proposal = "let that stage need this one, with trigger_rule: all_done and a condition on its status"
                fields.remark("on_failure", f"on_failure: {action}", proposal)

    def _turns(self, loop: Fields, own: str) -> dict[str, Any]:
        made: dict[str, Any] = {"max_iterations": int(loop.number("max_iters", "max_iterations") or _DEFAULT_TURNS)}
        fallback = loop.text("fallback_next_stage")
        loop.take("stage", "stages")
        if fallback and fallback not in {*self._stages, *(self._configs.values if self._configs else {})}:
            loop.remark(
                "fallback_next_stage", f"the stage {fallback}, which is not there", "describe it in stageConfigs"
            )
        stop = loop.take("stop_when")
        if isinstance(stop, dict) and isinstance(stop.get("command"), str):
            made["until_run"] = stop["command"]
        elif isinstance(stop, str) and stop.strip():
            made["until"] = self._until(stop.strip(), own)
        else:
            made["until"] = "false"
            loop.remark("stop_when", "a loop without stop_when", "say what ends it: until, or until_run with a command")
        loop.leave({})
        return made

    def _until(self, text: str, own: str) -> str:
        """An expression of this language as it is; else the word that the assistant ends with."""
        try:
            made = parse(text.removeprefix("{{").removesuffix("}}"))
        except ExpressionError:
            made = None
        if made is not None and not (isinstance(made, Reference) and made.path[0] not in {"steps", "inputs", "loop"}):
            return text
        word = text.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{word}' in steps.{own}.output"

    def _text(self, text: str) -> str:
        def by(match: re.Match[str]) -> str | None:
            head, path = match[1], match[2]
            if head == "stages" and path:
                head, _, path = path[1:].partition(".")
                path = f".{path}" if path else ""
            if head in self._ids.names:
                path = path.removeprefix(".output").removeprefix(".result")
                return f"{{{{ steps.{self._ids.get(head)}.output{path} }}}}"
            name = path.lstrip(".") if head in {"inputs", "input", "vars"} and path else head + path
            if "." in name:
                return "\\" + match[0]
            self.inputs.setdefault(name, {"required": True})
            return f"{{{{ inputs.{name} }}}}"

        return replaced(text, _HOLE, by)


def _stage_name(stage: object) -> str:
    if isinstance(stage, dict):
        return str(stage.get("id", stage.get("name", "")))
    return str(stage)


dialect = Stages()
