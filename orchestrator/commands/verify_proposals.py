"""The verify commands that a project's manifests speak of: `relay init` proposes them, and nobody runs one unasked.

Each manifest is read as text or data; nothing of the project is run.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from lib.files.safe_read import NotPlainError, read_plain

_LIMIT_BYTES: Final = 1_000_000
#: What `npm init` writes where there is no test.
_NO_TEST: Final = "no test specified"
_MAKE_TEST: Final = re.compile(r"^(test|check)\s*:(?!=)", re.MULTILINE)
_RUNNERS: Final = {"pnpm-lock.yaml": "pnpm test", "yarn.lock": "yarn test", "bun.lock": "bun run test",
                   "bun.lockb": "bun run test"}  # fmt: skip


class Proposal(NamedTuple):
    """A command, and where it comes from."""

    command: str
    source: str


def proposals(root: Path) -> list[Proposal]:
    """The commands that the manifests at the top of a project speak of, the likeliest first."""
    found = [proposal for look in _LOOKS for proposal in look(root)]
    return list({proposal.command: proposal for proposal in reversed(found)}.values())[::-1]


def with_proposals(text: str, found: list[Proposal]) -> str:
    """The configuration file's text with the proposals in comments above its line for `verify`."""
    if not found:
        return text
    first, *others = found
    lines = [f"# verify: {_quoted(first.command)}    # proposed, from {first.source}: remove the first # to use it"]
    lines += [f"#   or: {_quoted(other.command)}    # from {other.source}" for other in others]
    return re.sub(r"^(?=# verify:)", "\n".join(lines).replace("\\", r"\\") + "\n", text, count=1, flags=re.MULTILINE)


def _quoted(command: str) -> str:
    """As YAML takes it: what has a meaning there is quoted."""
    return command if re.fullmatch(r"[\w./ =-]+", command) else json.dumps(command)


def _python(root: Path) -> Iterator[Proposal]:
    project = _toml(root / "pyproject.toml")
    tools = project.get("tool", {})
    if isinstance(tools, dict) and "pytest" in tools:
        yield Proposal("python3 -m pytest -q", "pyproject.toml, [tool.pytest]")
    for name, mark in (("pytest.ini", "[pytest]"), ("setup.cfg", "[tool:pytest]"), ("tox.ini", "[pytest]")):
        if mark in _text(root / name):
            yield Proposal("python3 -m pytest -q", f"{name}, {mark}")
    if "[testenv" in _text(root / "tox.ini"):
        yield Proposal("tox", "tox.ini")
    if _is_file(root / "noxfile.py"):
        yield Proposal("nox", "noxfile.py")
    if "pytest" in json.dumps(project, default=str):
        yield Proposal("python3 -m pytest -q", "pyproject.toml, its dependencies")
    if next(root.glob("tests/test_*.py"), None) is not None:
        yield Proposal("python3 -m unittest discover -s tests", "tests/test_*.py")


def _node(root: Path) -> Iterator[Proposal]:
    scripts = _json(root / "package.json").get("scripts")
    test = scripts.get("test") if isinstance(scripts, dict) else None
    if isinstance(test, str) and test.strip() and _NO_TEST not in test:
        command = next((command for name, command in _RUNNERS.items() if _is_file(root / name)), "npm test")
        yield Proposal(command, "package.json, scripts.test")


def _make(root: Path) -> Iterator[Proposal]:
    for name in ("GNUmakefile", "makefile", "Makefile"):
        if found := _MAKE_TEST.search(_text(root / name)):
            yield Proposal(f"make {found[1]}", f"{name}, target {found[1]}")
            return


def _others(root: Path) -> Iterator[Proposal]:
    named = [
        ("Cargo.toml", "cargo test"),
        ("go.mod", "go test ./..."),
        ("pom.xml", "./mvnw -q test" if _is_file(root / "mvnw") else "mvn -q test"),
        *((name, "./gradlew test" if _is_file(root / "gradlew") else "gradle test")
          for name in ("build.gradle", "build.gradle.kts")),
        ("mix.exs", "mix test"),
        ("Package.swift", "swift test"),
        ("deno.json", "deno test"),
        ("Rakefile", "rake test"),
        ("composer.json", "composer test"),
    ]  # fmt: skip
    for name, command in named:
        if _is_file(root / name) and (name != "composer.json" or "test" in (_json(root / name).get("scripts") or {})):
            yield Proposal(command, name)


_LOOKS: Final[tuple[Callable[[Path], Iterator[Proposal]], ...]] = (_python, _node, _others, _make)


def _is_file(file: Path) -> bool:
    return file.is_file()


def _text(file: Path) -> str:
    """A manifest's text; nothing for one that is missing, no plain file, or larger than any manifest."""
    try:
        return (read_plain(file, limit=_LIMIT_BYTES) or b"").decode("utf-8", errors="replace")
    except (OSError, NotPlainError):
        return ""


def _toml(file: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(_text(file))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _json(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(_text(file) or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
