"""The texts that the source prints, or may."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from conftest import ROOT


def literals() -> Iterator[tuple[str, str]]:
    """Every text in the source that may be printed, with its place; docstrings are not."""
    for folder in ("lib", "orchestrator", "phases"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(file.read_text())
            told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
                    yield f"{file.name}:{node.lineno}", node.value
