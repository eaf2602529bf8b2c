"""Expressions, read into a tree by a parser that knows nothing but this grammar, which docs/workflows.md has too.

    expression = fallback
    fallback   = or ["else" fallback]
    or         = and {"or" and}
    and        = not {"and" not}
    not        = "not" not | comparison
    comparison = operand [("==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not in") operand]
    operand    = "defined" operand | literal | list | reference | "(" expression ")"
    list       = "[" [expression {"," expression}] "]"
    reference  = name {"." name | "[" (text | whole number) "]"}
    literal    = text | number | "true" | "false" | "null"

Pure; bounded in length and depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

MAX_LENGTH: Final = 10_000
MAX_DEPTH: Final = 50
#: Keeps chains of `and` and `or`, which nest to the left, within what recursion bears.
MAX_TOKENS: Final = 300
_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<number>-?\d{1,15}(?:\.\d{1,15})?(?![\w.]))
    | (?P<name>[A-Za-z_][\w-]*)
    | (?P<mark>==|!=|<=|>=|[<>()\[\],.])
    )""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
_LITERALS: Final = {"true": True, "false": False, "null": None}
WORDS: Final = frozenset({"and", "or", "not", "in", "else", "defined", *_LITERALS})
#: Marks of other languages, with the words that mean the same here.
_FOREIGN: Final = {"&&": "and", "||": "or", "!": "not", "=": "==", "??": "else", "|": "a command for what is more"}


class ExpressionError(Exception):
    """A text that is no expression, at an offset in it."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that is written out."""

    value: str | float | bool | None
    offset: int


@dataclass(frozen=True, slots=True)
class Items:
    """A list of expressions."""

    parts: tuple[Expression, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A value by its way from a name: `steps.cause.output.files[0]` is steps, cause, output, files, 0."""

    path: tuple[str | int, ...]
    offset: int

    def __str__(self) -> str:
        return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).lstrip(".")


@dataclass(frozen=True, slots=True)
class Defined:
    """True where the value of the reference is there."""

    reference: Reference
    offset: int


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    operand: Expression
    offset: int


@dataclass(frozen=True, slots=True)
class Binary:
    """Two expressions and a word or mark between them: and, or, else, in, not in, or a comparison."""

    operator: str
    left: Expression
    right: Expression
    offset: int


Expression = Literal | Items | Reference | Defined | Not | Binary


def parse(text: str) -> Expression:
    """The expression in a text. Raises `ExpressionError`."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression has at most {MAX_LENGTH:,} characters", 0)
    tokens = list(islice(_tokens(text), MAX_TOKENS + 1))
    if len(tokens) > MAX_TOKENS:
        raise ExpressionError(f"an expression has at most {MAX_TOKENS} words and marks", tokens[-1].offset)
    parser = _Parser(tokens, len(text))
    expression = parser.expression(0)
    parser.end()
    return expression


class _Token(NamedTuple):
    kind: str
    text: str
    offset: int


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    end = len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise ExpressionError(_unexpected(text[at:]), at)
        kind = found.lastgroup
        yield _Token(kind, found[kind], found.start(kind))
        at = found.end()


def _unexpected(rest: str) -> str:
    foreign = next((mark for mark in sorted(_FOREIGN, key=len, reverse=True) if rest.startswith(mark)), "")
    if foreign:
        return f"{foreign} is no part of an expression; write {_FOREIGN[foreign]}"
    if rest[0] in "'\"":
        return f"the text that begins with {rest[0]} has no end"
    return f"{rest[0]} can't be here"


class _Parser:
    """Reads tokens from left to right; each method reads one rule of the grammar."""

    def __init__(self, tokens: list[_Token], length: int) -> None:
        self._tokens = tokens
        self._at = 0
        self._length = length

    def expression(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise ExpressionError("it is nested too deeply", self._peek().offset)
        left = self._or(depth)
        if self._peek().text == "else" and self._peek().kind == "name":
            offset = self._next().offset
            return Binary("else", left, self.expression(depth + 1), offset)
        return left

    def end(self) -> None:
        token = self._peek()
        if token.kind != "end":
            hint = "; comparisons don't chain, use and" if token.text in _COMPARISONS else ""
            raise ExpressionError(f"{token.text} can't be here{hint}", token.offset)

    def _or(self, depth: int) -> Expression:
        left = self._and(depth)
        while self._is("or"):
            offset = self._next().offset
            left = Binary("or", left, self._and(depth), offset)
        return left

    def _and(self, depth: int) -> Expression:
        left = self._not(depth)
        while self._is("and"):
            offset = self._next().offset
            left = Binary("and", left, self._not(depth), offset)
        return left

    def _not(self, depth: int) -> Expression:
        offsets = []
        while self._is("not"):
            offsets.append(self._next().offset)
            if len(offsets) > MAX_DEPTH:
                raise ExpressionError("it is nested too deeply", offsets[-1])
        made = self._comparison(depth)
        for offset in reversed(offsets):
            made = Not(made, offset)
        return made

    def _comparison(self, depth: int) -> Expression:
        left = self._operand(depth)
        token = self._peek()
        if token.kind in {"mark", "name"} and token.text in _COMPARISONS:
            self._next()
            return Binary(token.text, left, self._operand(depth), token.offset)
        if self._is("not"):
            self._next()
            self._expect("in", "in, of `not in`,")
            return Binary("not in", left, self._operand(depth), token.offset)
        return left

    def _operand(self, depth: int) -> Expression:
        token = self._next()
        match token.kind, token.text:
            case "text", text:
                return Literal(_ESCAPE.sub(r"\1", text[1:-1]), token.offset)
            case "number", text:
                return Literal(float(text) if "." in text else int(text), token.offset)
            case "mark", "(":
                inner = self.expression(depth + 1)
                self._expect(")", ")")
                return inner
            case "mark", "[":
                return self._items(token, depth)
            case "name", "defined":
                return self._defined(token, depth)
            case "name", text if text in _LITERALS:
                return Literal(_LITERALS[text], token.offset)
            case "name", text if text not in WORDS:
                return self._reference(token)
        raise ExpressionError(_expected("a value", token), token.offset)

    def _items(self, opening: _Token, depth: int) -> Items:
        parts: list[Expression] = []
        while not self._accept("]"):
            if parts:
                self._expect(",", ", or ]")
            parts.append(self.expression(depth + 1))
        return Items(tuple(parts), opening.offset)

    def _defined(self, word: _Token, depth: int) -> Defined:
        if depth > MAX_DEPTH:
            raise ExpressionError("it is nested too deeply", word.offset)
        inner = self._operand(depth + 1)
        if not isinstance(inner, Reference):
            raise ExpressionError("defined is asked of a name, such as steps.ID.output.x", inner.offset)
        return Defined(inner, word.offset)

    def _reference(self, first: _Token) -> Reference:
        path: list[str | int] = [first.text]
        while True:
            if self._accept("."):
                token = self._next()
                if token.kind != "name":
                    raise ExpressionError(_expected("a name after the point", token), token.offset)
                path.append(token.text)
            elif self._accept("["):
                token = self._next()
                if token.kind == "text":
                    path.append(_ESCAPE.sub(r"\1", token.text[1:-1]))
                elif token.kind == "number" and token.text.isdecimal():
                    path.append(int(token.text))
                else:
                    raise ExpressionError(_expected("a text or a whole number", token), token.offset)
                self._expect("]", "]")
            else:
                return Reference(tuple(path), first.offset)

    def _peek(self) -> _Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else _Token("end", "", self._length)

    def _next(self) -> _Token:
        token = self._peek()
        self._at += 1
        return token

    def _is(self, word: str) -> bool:
        token = self._peek()
        return token.kind == "name" and token.text == word

    def _accept(self, mark: str) -> bool:
        token = self._peek()
        if token.kind in {"mark", "name"} and token.text == mark:
            self._at += 1
            return True
        return False

    def _expect(self, mark: str, words: str) -> None:
        if not self._accept(mark):
            token = self._peek()
            raise ExpressionError(_expected(words, token), token.offset)


def _expected(what: str, found: _Token) -> str:
    return f"expected {what}, found {found.text if found.kind != 'end' else 'the end'}"
