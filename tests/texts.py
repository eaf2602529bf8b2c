"""Texts in the source: those that it prints, or may, and those for its readers."""

from __future__ import annotations

import ast
import io
import tokenize
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


def prose() -> Iterator[tuple[str, str]]:
    """Every comment and docstring of ours, with its place; those of tests, too."""
    for folder in ("lib", "orchestrator", "phases", "templates", "benchmarks", "tests"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            text = file.read_text()
            for token in tokenize.generate_tokens(io.StringIO(text).readline):
                if token.type == tokenize.COMMENT:
                    yield f"{file.name}:{token.start[0]}", token.string
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{file.name}:{getattr(node, 'lineno', 1)}", ast.get_docstring(node) or ""
