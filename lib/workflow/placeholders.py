r"""Texts with `{{ … }}` and `${vars.x}` in them. Pure.

`\{{` and `\${vars.` stand for themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lib.workflow.evaluating import as_text, evaluate
from lib.workflow.expressions import Expression, ExpressionError, parse

MAX_TEMPLATES: Final = 1000
#: The first part of the names of variables that hold values in a line for the shell; a number follows.
ARGUMENT: Final = "RELAY_ARG_"
_OPENING: Final = re.compile(r"\\?(?:\{\{|\$\{vars\.)")
_TEXT_IN_IT: Final = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\}\}""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Hole:
    """An expression in a text, from `begin` to `end`; `offset` is that of the expression itself."""

    expression: Expression
    begin: int
    end: int
    offset: int


@dataclass(frozen=True, slots=True)
class Template:
    """A text with holes: `pieces` are the texts around them, one more than there are holes."""

    pieces: tuple[str, ...]
    holes: tuple[Hole, ...]

    @property
    def is_one_value(self) -> bool:
        """True if it is one hole and nothing else: its value keeps its type."""
        return len(self.holes) == 1 and not "".join(self.pieces).strip()

    @property
    def is_constant(self) -> bool:
        return not self.holes

    def rendered(self, names: Mapping[str, Any]) -> str:
        """The text with values in its holes. Raises `EvaluationError`."""
        parts = [self.pieces[0]]
        for hole, piece in zip(self.holes, self.pieces[1:], strict=True):
            parts += [as_text(evaluate(hole.expression, names)), piece]
        return "".join(parts)

    def value(self, names: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
        """The value of the one hole, or else the text. Raises `EvaluationError`."""
        return evaluate(self.holes[0].expression, names) if self.is_one_value else self.rendered(names)


def template(text: str) -> Template:
    """The template in a text. Raises `ExpressionError` with an offset in the text."""
    pieces, holes, at = [""], list[Hole](), 0
    while found := _OPENING.search(text, at):
        pieces[-1] += text[at : found.start()]
        if found[0].startswith("\\"):
            pieces[-1] += found[0][1:]
            at = found.end()
            continue
        if len(holes) >= MAX_TEMPLATES:
            raise ExpressionError(f"a text has at most {MAX_TEMPLATES} templates", found.start())
        hole = _hole(text, found.start(), found.end())
        holes.append(hole)
        pieces.append("")
        at = hole.end
    pieces[-1] += text[at:]
    return Template(tuple(pieces), tuple(holes))


def has_template(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """True if a text, or one in a list or object, has the beginning of a template in it."""
    if isinstance(value, Mapping):
        return any(map(has_template, value.values()))
    if isinstance(value, list | tuple):
        return any(map(has_template, value))
    return isinstance(value, str) and any(not found.startswith("\\") for found in _OPENING.findall(value))


def _hole(text: str, begin: int, inside: int) -> Hole:
    if text.startswith("${", begin):
        end, inside, length = text.find("}", inside), begin + 2, 1
    else:
        found = next((each for each in _TEXT_IN_IT.finditer(text, inside) if each[0] == "}}"), None)
        end, length = (found.start() if found else -1), 2
    if end < 0:
        raise ExpressionError("it begins here and has no end", begin)
    try:
        return Hole(parse(text[inside:end]), begin, end + length, inside)
    except ExpressionError as error:
        raise ExpressionError(error.message, inside + error.offset) from error
