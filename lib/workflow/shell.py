"""Lines for the shell with templates in them: each value becomes a variable of the environment. Pure.

`gh pr view {{ inputs.pr }}` becomes `gh pr view "${RELAY_ARG_1}"`: whatever the value is, the shell sees one
word, and never reads it as its own language. Where a shell puts nothing in, or reads again what it put in, a template
is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lib.workflow.expressions import Expression, ExpressionError
from lib.workflow.placeholders import ARGUMENT, Template, template

_REMEDY: Final = "; put the value in `env`, and use that variable"
_REFUSED: Final = {
    "'": "in single quotes a shell puts nothing in: use double quotes",
    "`": "a template can't be in backquotes: use $( … )",
    "#": "a template can't be in a comment",
    "{": "a template can't be in ${ … }" + _REMEDY,
    "((": "a template can't be in $(( … ))" + _REMEDY,
    "<<": "a template can't be in or after a here-document" + _REMEDY,
    "\\": "a template can't follow a backslash",
}


@dataclass(frozen=True, slots=True)
class ShellLine:
    """A line, and the expressions whose values, as text, are its variables `RELAY_ARG_1` and so on."""

    line: str
    arguments: tuple[Expression, ...] = ()


def shell_line(text: str, first: int = 1) -> ShellLine:
    """A line with templates, made safe; its variables are counted from `first`.

    Raises `ExpressionError` with an offset in the text.
    """
    made = template(text)
    if made.is_constant:
        return ShellLine(made.pieces[0])
    if not made.pieces[0].strip():
        raise ExpressionError("a value can't be the command itself: to run what it says, write [sh, -c, \"{{ … }}\"]",
                              made.holes[0].begin)  # fmt: skip
    contexts = _contexts(made)
    parts = [made.pieces[0]]
    for number, (hole, context, piece) in enumerate(zip(made.holes, contexts, made.pieces[1:], strict=True), first):
        if context in _REFUSED:
            raise ExpressionError(_REFUSED[context], hole.begin)
        variable = f"${{{ARGUMENT}{number}}}"
        parts += [variable if context == '"' else f'"{variable}"', piece]
    return ShellLine("".join(parts), tuple(hole.expression for hole in made.holes))


def _contexts(made: Template) -> list[str]:
    """For each hole the innermost thing that it is in, by the characters that opened it; empty for the line itself."""
    reader = _Reader()
    found = []
    for piece in made.pieces[:-1]:
        reader.read(piece)
        found.append(reader.context)
    return found


class _Reader:
    """Follows the quotes and substitutions of a shell line, to say where a hole is."""

    def __init__(self) -> None:
        self._stack: list[str] = []
        self._here = False
        self._escaped = False
        self._after_space = True

    @property
    def context(self) -> str:
        if self._escaped:
            return "\\"
        if self._here:
            return "<<"
        for opening in ("'", "`", "#", "{", "(("):
            if opening in self._stack:
                return opening
        return '"' if self._stack[-1:] == ['"'] else ""

    def read(self, piece: str) -> None:
        at = 0
        while at < len(piece):
            at += self._step(piece, at)
        self._after_space = self._after_space and not piece

    def _step(self, piece: str, at: int) -> int:
        """Takes the character at `at`, or several that belong together; the number of them."""
        char, top = piece[at], self._stack[-1] if self._stack else ""
        after_space, self._after_space = self._after_space, char in " \t\n;&|("
        if self._escaped:
            self._escaped = False
        elif top == "'":
            self._close(char == "'")
        elif top == "#":
            self._close(char == "\n")
        elif char == "\\":
            self._escaped = True
        elif top == "`":
            self._close(char == "`")
        elif piece.startswith("$((", at):
            self._stack.append("((")
            return 3
        elif piece.startswith("$(", at):
            self._stack.append("(")
            self._after_space = True
            return 2
        elif piece.startswith("${", at):
            self._stack.append("{")
            return 2
        elif top == "((" and piece.startswith("))", at):
            self._stack.pop()
            return 2
        elif top == '"':
            self._quoted(char)
        else:
            return self._plain(piece, at, top, after_space=after_space)
        return 1

    def _close(self, ends: bool) -> None:
        if ends:
            self._stack.pop()

    def _quoted(self, char: str) -> None:
        if char == '"':
            self._stack.pop()
        elif char == "`":
            self._stack.append("`")

    def _plain(self, piece: str, at: int, top: str, *, after_space: bool) -> int:
        char = piece[at]
        if char in "'\"`" or (char == "#" and after_space and top != "{"):
            self._stack.append(char)
        elif char == "(" and top != "{":
            self._stack.append("(")
        elif (char == ")" and top == "(") or (char == "}" and top == "{"):
            self._stack.pop()
        elif piece.startswith("<<<", at):
            return 3
        elif piece.startswith("<<", at):
            self._here = True
        return 1
