"""The kinds of value that an expression can have, known before a run. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lib.workflow.expressions import Binary, Defined, Expression, Items, Literal, Not, Reference
from lib.workflow.faults import hint, shown
from lib.workflow.options import Input

_NUMBERS: Final = frozenset({"integer", "number"})
_MAX_DEPTH: Final = 40
#: JSON Schema's words for types, and this language's.
_WORDS: Final = {"array": "list", "string": "string", "integer": "integer", "number": "number", "boolean": "boolean",
                 "object": "object", "null": "null"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Type:
    """The values that are possible: of these `kinds`, or of any if there are none.

    `fields` are the parts of an object, None if they are not known; `values` the only ones, if they are listed.
    """

    kinds: frozenset[str] = frozenset()
    fields: Mapping[str, Type] | None = None
    items: Type | None = None
    values: tuple[Any, ...] = ()

    @property
    def is_known(self) -> bool:
        return bool(self.kinds)

    def may_be(self, *kinds: str) -> bool:
        return not self.kinds or not self.kinds.isdisjoint(kinds)

    @property
    def told(self) -> str:
        return " or ".join("true or false" if kind == "boolean" else kind for kind in sorted(self.kinds))


ANY: Final = Type()
BOOLEAN: Final = Type(frozenset({"boolean"}))
STRING: Final = Type(frozenset({"string"}))
INTEGER: Final = Type(frozenset({"integer"}))


def one_of(*values: str) -> Type:
    """One of these texts."""
    return Type(frozenset({"string"}), values=values)


def record(fields: Mapping[str, Type]) -> Type:
    """An object of exactly these parts."""
    return Type(frozenset({"object"}), fields=fields)


def list_of(items: Type) -> Type:
    return Type(frozenset({"list"}), items=items)


def of_value(value: Any) -> Type:  # noqa: ANN401 - any JSON value
    """The kind of a value that is written out."""
    match value:
        case None:
            return Type(frozenset({"null"}))
        case bool():
            return BOOLEAN
        case int():
            return INTEGER
        case float():
            return Type(frozenset({"number"}))
        case str():
            return Type(frozenset({"string"}), values=(value,))
        case list() | tuple():
            first = of_value(value[0]) if value else ANY
            alike = all(of_value(each).kinds == first.kinds for each in value)
            return list_of(Type(first.kinds, first.fields) if alike else ANY)
        case Mapping():
            return Type(frozenset({"object"}), fields={str(key): of_value(each) for key, each in value.items()})
    return ANY


def of_input(declared: Input) -> Type:
    """The kind of a declared input."""
    values = declared.enum or ()
    return Type(frozenset({declared.type.value}), values=values)


def of_schema(schema: Any, depth: int = 0) -> Type:  # noqa: ANN401 - a JSON Schema may be true
    """The kind that a JSON Schema allows, with what it says of types, properties, items and enum."""
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return ANY
    types = schema.get("type", [])
    kinds = frozenset(_WORDS[each] for each in ([types] if isinstance(types, str) else types) if each in _WORDS)
    listed = schema.get("enum")
    values = tuple(listed) if isinstance(listed, list | tuple) else ()
    properties = schema.get("properties")
    fields = None
    if isinstance(properties, Mapping) and schema.get("additionalProperties", False) is False:
        fields = {str(name): of_schema(part, depth + 1) for name, part in properties.items()}
    items = of_schema(schema["items"], depth + 1) if "items" in schema else None
    return Type(kinds or (frozenset({"object"}) if fields is not None else frozenset()), fields, items, values)


def fits(value: Type, wanted: Type) -> bool:
    """True if a value of one kind can be one of the other."""
    if not value.is_known or not wanted.is_known:
        return True
    if value.kinds & _NUMBERS and wanted.kinds & _NUMBERS:
        return "number" in wanted.kinds or value.kinds != {"number"}
    return bool(value.kinds & wanted.kinds)


#: Tells a problem at an offset of the expression.
Tell = Callable[[str, int], None]
#: The kind of a reference; tells what is wrong with it.
Look = Callable[[Reference], Type]


def infer(expression: Expression, look: Look, tell: Tell) -> Type:
    """The kind of an expression's value, with all that can't be right about it told."""
    match expression:
        case Literal(value):
            return of_value(value)
        case Items(parts):
            kinds = [infer(part, look, tell) for part in parts]
            alike = bool(kinds) and all(kind.kinds == kinds[0].kinds for kind in kinds)
            values = tuple(part.value for part in parts if isinstance(part, Literal))
            return Type(frozenset({"list"}), items=Type(kinds[0].kinds) if alike else ANY,
                        values=values if len(values) == len(parts) else ())  # fmt: skip
        case Reference():
            return look(expression)
        case Defined(reference):
            look(reference)
            return BOOLEAN
        case Not(operand):
            _want_flag(operand, look, tell)
            return BOOLEAN
        case Binary("and" | "or", left, right):
            _want_flag(left, look, tell)
            _want_flag(right, look, tell)
            return BOOLEAN
        case Binary("else", left, right):
            first = infer(left, look, tell)
            second = infer(right, look, tell)
            return Type(first.kinds | second.kinds) if first.is_known and second.is_known else ANY
        case Binary():
            left_kind = infer(expression.left, look, tell)
            _check(expression, left_kind, infer(expression.right, look, tell), tell)
            return BOOLEAN


def want_flag(kind: Type, offset: int, tell: Tell) -> None:
    """Tells where a value can be neither true nor false."""
    if not kind.may_be("boolean"):
        tell(f"it must be true or false, and is {kind.told}; compare it with something", offset)


def _want_flag(expression: Expression, look: Look, tell: Tell) -> None:
    want_flag(infer(expression, look, tell), expression.offset, tell)


def _check(expression: Binary, left: Type, right: Type, tell: Tell) -> None:
    operator, offset = expression.operator, expression.offset
    if operator in {"==", "!="}:
        if not (fits(left, right) or fits(right, left)):
            tell(f"{left.told} and {right.told} are never equal", offset)
        elif missing := _unlisted(left, right) or _unlisted(right, left):
            tell(missing, offset)
    elif operator in {"in", "not in"}:
        if not right.may_be("list", "string", "object"):
            tell(f"nothing can be in {right.told}", offset)
        elif left.values and right.values and right.kinds == {"list"}:
            unknown = [value for value in right.values if isinstance(value, str) and value not in left.values]
            if unknown and not isinstance(expression.left, Literal):
                tell(
                    f"it is never {shown(unknown[0])}{hint(unknown[0], [str(value) for value in left.values])}", offset
                )
    elif not (left.may_be("string") and right.may_be("string")) and not (
        left.may_be(*_NUMBERS) and right.may_be(*_NUMBERS)
    ):
        tell(
            f"{left.told or 'one'} and {right.told or 'the other'} have no order: compare two numbers or texts", offset
        )


def _unlisted(value: Type, wanted: Type) -> str:
    """The problem of a single value that is none of those that are listed."""
    if len(value.values) == 1 and len(wanted.values) > 1 and value.values[0] not in wanted.values:
        name = str(value.values[0])
        return f"it is never {shown(name)}{hint(name, [str(each) for each in wanted.values])}"
    return ""
