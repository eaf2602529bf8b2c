"""Setting one value in the text of a YAML file: all else stays as it was written, comments too."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

from lib.config.words import Document

if TYPE_CHECKING:
    import yaml

_WIDE: Final = 1_000_000


class NotEditableError(Exception):
    """The text is written in a way that this edit can't keep."""


def with_value(
    text: str, path: Sequence[str], value: Any, *, offered: Collection[str] = (), typed: Collection[str] = ()  # noqa: ANN401
) -> str:  # fmt: skip
    """The text with `value` at `path`; None is written as nothing.

    A line of `offered` is a setting behind a `#`, which takes the value in its place; the keys
    `typed` have YAML's own types, as in `Document`. Raises `NotEditableError` where
    the result would not say exactly that, `NotYamlError`.
    """
    before = Document(text, typed=typed)
    edited = _edited(text, before.node, path, value, offered)
    wanted = _set(before.values if isinstance(before.values, dict) else {}, path, value)
    if Document(edited, typed=typed).values != wanted:
        raise NotEditableError
    return edited


def _set(values: dict[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:  # noqa: ANN401
    key, *rest = path
    inner = values.get(key)
    return {**values, key: _set(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}


def _edited(
    text: str, root: yaml.Node | None, path: Sequence[str], value: Any, offered: Collection[str]  # noqa: ANN401
) -> str:  # fmt: skip
    import yaml

    node, left = root, list(path)
    while isinstance(node, yaml.MappingNode):
        known = {key.value: (key, held) for key, held in node.value}
        if left[0] not in known:
            break
        key, held = known[left.pop(0)]
        if not left or not (isinstance(held, yaml.MappingNode) and held.value):
            return _replaced(text, key, held, _nested(left, value))
        node = held
    line = f"{left[0]}: {_written(_nested(left[1:], value), flow=node is not root)}".rstrip()
    if not isinstance(node, yaml.MappingNode) or node is root:
        return _added(text, left[0], line, offered)
    first = node.value[0][0].start_mark
    if node.flow_style:
        return f"{text[: node.start_mark.index + 1]}{line}, {text[node.start_mark.index + 1 :]}"
    begin = first.index - first.column
    return f"{text[:begin]}{' ' * first.column}{line}\n{text[begin:]}"


def _nested(path: Sequence[str], value: Any) -> Any:  # noqa: ANN401
    for part in reversed(path):
        value = {part: value}
    return value


def _replaced(text: str, key: yaml.Node, held: yaml.Node, value: Any) -> str:  # noqa: ANN401
    """The text with another value after `key`; a comment behind a value on the same line stays."""
    end = max(_end(held), key.end_mark.index)
    old = text[held.start_mark.index : end].rstrip()
    begin = held.start_mark.index
    if not old or "\n" in text[key.end_mark.index : begin]:
        begin = text.index(":", key.end_mark.index) + 1
        end = max(begin, held.start_mark.index + len(old))
        return f"{text[:begin]} {_written(value)}{text[end:]}"
    return f"{text[:begin]}{_written(value)}{text[begin + len(old) :]}"


def _end(node: yaml.Node) -> int:
    """The end of what belongs to the node; that of a block collection, as YAML has it, is past comments after it."""
    import yaml

    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _added(text: str, key: str, line: str, offered: Collection[str]) -> str:
    lines = text.splitlines(keepends=True)
    for at, old in enumerate(lines):
        if old.rstrip("\n") in offered and (found := re.match(rf"# {re.escape(key)}:[^#\n]*(#.*)?$", old)):
            comment = found[1] or ""
            at_least = max(found.start(1), len(line) + 1) if comment else 0
            lines[at] = f"{line:{at_least}}{comment}".rstrip() + "\n"
            return "".join(lines)
    return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n"


def _written(value: Any, *, flow: bool = False) -> str:  # noqa: ANN401
    """The value in one line of YAML, a text without quotes where it means the same."""
    import yaml

    if value is None:
        return "null" if flow else ""
    if isinstance(value, str) and not flow and _reads_back(value):
        return value
    dumped = yaml.safe_dump(value, default_flow_style=True, width=_WIDE, allow_unicode=True)
    return dumped.strip().removesuffix("...").strip()


def _reads_back(text: str) -> bool:
    from lib.config.words import NotYamlError

    try:
        return "\n" not in text and Document(f"key: {text} # comment").values == {"key": text}
    except NotYamlError:
        return False
