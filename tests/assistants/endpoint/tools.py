"""Calls of a program's own tools, made from the schemas that it sends: each has other names for the same two things."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from assistants.endpoint.talk import Call, Talk, Tool

WRITERS = ("Write", "write_file", "write")
SHELLS = ("Bash", "bash", "run_shell_command", "exec_command", "shell_command", "shell")
PATHS = ("file_path", "filePath", "path")
TEXTS = ("content",)
COMMANDS = ("command", "cmd")


def write(talk: Talk, path: str, text: str) -> Call:
    """Writes a file, by its absolute path; with the shell where no tool makes its folder, too."""
    tool = _first(talk, WRITERS)
    if tool is None:
        return run(talk, f"mkdir -p {shlex.quote(path.rpartition('/')[0])} && printf %s {shlex.quote(text)} > {path}")
    return _call(tool, {_key(tool, PATHS): path, _key(tool, TEXTS): text})


def run(talk: Talk, command: str) -> Call:
    """Runs a command. Raises `LookupError` if the program offers no shell."""
    tool = _first(talk, SHELLS)
    if tool is None:
        raise LookupError(f"no shell among {[tool.name for tool in talk.tools]}")
    key = _key(tool, COMMANDS)
    listed = tool.schema["properties"][key].get("type") == "array"
    return _call(tool, {key: ["bash", "-c", command] if listed else command})


def _first(talk: Talk, names: tuple[str, ...]) -> Tool | None:
    offered = {tool.name: tool for tool in talk.tools}
    return next((offered[name] for name in names if name in offered), None)


def _key(tool: Tool, names: tuple[str, ...]) -> str:
    return next(name for name in names if name in tool.schema["properties"])


def _call(tool: Tool, arguments: dict[str, Any]) -> Call:
    """With something in whatever else the tool requires."""
    required = (name for name in tool.schema.get("required", ()) if name not in arguments)
    return Call(tool.name, arguments | {name: _anything(tool.schema["properties"][name]) for name in required})


def _anything(schema: Mapping[str, Any]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    return {"string": "scripted", "boolean": False, "integer": 60_000, "number": 60_000}[schema["type"]]
