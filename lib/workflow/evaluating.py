"""The value of an expression, by the values of its names. Strict: nothing is guessed, only data is reached."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lib.workflow.expressions import Binary, Defined, Expression, Items, Literal, Not, Reference
from lib.workflow.faults import shown

_MISSING: Final = object()


class EvaluationError(Exception):
    """An expression has no value. `offset` is the place in its text."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class UndefinedError(EvaluationError):
    """A name, or a part of a value, is not there."""


def evaluate(expression: Expression, names: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """The value of an expression, JSON-like. Raises `EvaluationError`."""
    match expression:
        case Literal(value):
            return value
        case Items(parts):
            return [evaluate(part, names) for part in parts]
        case Reference():
            return _reached(expression, names)
        case Defined(reference):
            return _is_there(reference, names)
        case Not(operand):
            return not _flag(operand, names)
        case Binary("and", left, right):
            return _flag(left, names) and _flag(right, names)
        case Binary("or", left, right):
            return _flag(left, names) or _flag(right, names)
        case Binary("else", left, right):
            return _first(left, right, names)
        case Binary():
            return _compared(expression, names)


def condition(expression: Expression, names: Mapping[str, Any]) -> bool:
    """The value of `when` or `until`. Raises `EvaluationError` where it is neither true nor false."""
    return _flag(expression, names)


def as_text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """A value as it is put into a text: a text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _reached(reference: Reference, names: Mapping[str, Any]) -> Any:  # noqa: ANN401
    value: Any = names
    for at, part in enumerate(reference.path):
        found = _part(value, part)
        if found is _MISSING:
            holder = Reference(reference.path[:at], reference.offset)
            where = f"{holder} is {getattr(value, 'told', '') or shown(value)}, without" if at else "there is no"
            raise UndefinedError(f"{reference} is not there: {where} {part}", reference.offset)
        value = found
    return value


def _part(value: Any, part: str | int) -> Any:  # noqa: ANN401
    """A part of a value by its name or place, or `_MISSING`."""
    if isinstance(value, Mapping):
        return value.get(str(part), _MISSING)
    if _is_list(value) and str(part).isdecimal() and int(part) < len(value):
        return value[int(part)]
    return _MISSING


def _is_there(reference: Reference, names: Mapping[str, Any]) -> bool:
    try:
        return _reached(reference, names) is not None
    except UndefinedError:
        return False


def _first(left: Expression, right: Expression, names: Mapping[str, Any]) -> Any:  # noqa: ANN401
    try:
        value = evaluate(left, names)
    except UndefinedError:
        value = None
    return evaluate(right, names) if value is None else value


def _flag(expression: Expression, names: Mapping[str, Any]) -> bool:
    value = evaluate(expression, names)
    if not isinstance(value, bool):
        raise EvaluationError(f"expected true or false, found {shown(value)}", expression.offset)
    return value


def _compared(expression: Binary, names: Mapping[str, Any]) -> bool:
    left, right = evaluate(expression.left, names), evaluate(expression.right, names)
    match expression.operator:
        case "==":
            return _same(left, right)
        case "!=":
            return not _same(left, right)
        case "in":
            return _within(left, right, expression.offset)
        case "not in":
            return not _within(left, right, expression.offset)
    if not _comparable(left, right):
        message = f"{shown(left)} and {shown(right)} have no order: compare two numbers or two texts"
        raise EvaluationError(message, expression.offset)
    match expression.operator:
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
        case _:
            return bool(left >= right)


def _same(left: Any, right: Any) -> bool:  # noqa: ANN401
    """Equality as JSON has it: true is not 1, however deep."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_same(value, right[key]) for key, value in left.items())
    if _is_list(left) and _is_list(right):
        return len(left) == len(right) and all(_same(mine, its) for mine, its in zip(left, right, strict=True))
    return bool(left == right)


def _within(left: Any, right: Any, offset: int) -> bool:  # noqa: ANN401
    if isinstance(right, str):
        if not isinstance(left, str):
            raise EvaluationError(f"only a text can be in a text, not {shown(left)}", offset)
        return left in right
    if isinstance(right, Mapping):
        return isinstance(left, str) and left in right
    if _is_list(right):
        return any(_same(left, each) for each in right)
    raise EvaluationError(f"nothing can be in {shown(right)}", offset)


def _comparable(left: object, right: object) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (left, right))
    return numbers or (isinstance(left, str) and isinstance(right, str))


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
