"""YAML that keeps the words as they were written, and knows the line of each.

YAML 1.1 reads `off`, `no` and `on` as booleans, `010` as eight and `1:30` as ninety. Nobody who writes a setting means
that, so a scalar stays the text that it is; what it means is for the model to say, by the field's type.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import yaml

_TAG: Final = "tag:yaml.org,2002:"
_WORDS: Final = frozenset({"null", "merge"})
_TYPED: Final = frozenset({"null", "merge", "int", "float", "bool"})
_BOOLEAN: Final = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")


class NotYamlError(Exception):
    """The text is no YAML; `line` is counted from one, and 0 where it is unknown."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


class Document:
    """A text in YAML. `values` has it as data in which every scalar is a string or None."""

    def __init__(self, text: str, *, typed: Collection[str] = ()) -> None:
        """The values of the keys `typed` get YAML's own types, but for words as booleans. Raises `NotYamlError`."""
        self.node = _composed(text, _WORDS)
        self.values = _constructed(self.node, _WORDS)
        if isinstance(self.values, dict) and not self.values.keys().isdisjoint(typed):
            whole = _constructed(_composed(text, _TYPED), _TYPED)
            self.values |= {key: value for key, value in whole.items() if key in typed}

    def line(self, path: Sequence[int | str]) -> int:
        """The line of the value at `path`, or of the last part of it that is there."""
        node, line = self.node, 1
        for part in path:
            key, value = next(((key, value) for key, value in reversed(_parts(node)) if key.value == str(part)),
                              (None, None))  # fmt: skip
            if key is None or value is None:
                break
            node, line = value, key.start_mark.line + 1
        return line

    def twice(self) -> tuple[str, int, int] | None:
        """The first key that the document has twice, with both lines."""
        seen: dict[str, int] = {}
        for key, _ in _parts(self.node):
            line = key.start_mark.line + 1
            if seen.setdefault(str(key.value), line) != line:
                return str(key.value), seen[str(key.value)], line
        return None


def _parts(node: yaml.Node | None) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    """The keys of a mapping, or the items of a sequence under their numbers, with their nodes."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        return [(key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
    if isinstance(node, yaml.SequenceNode):
        return [
            (yaml.ScalarNode("", str(at), item.start_mark, item.end_mark), item) for at, item in enumerate(node.value)
        ]
    return []


@cache
def _loader(kinds: frozenset[str]) -> type[yaml.SafeLoader]:
    """A loader that gives a type of its own only to plain scalars of these kinds."""
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own class attribute
            first: [
                (tag, _BOOLEAN if tag == f"{_TAG}bool" else pattern)
                for tag, pattern in known
                if tag.removeprefix(_TAG) in kinds
            ]
            for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    return Loader


def _composed(text: str, kinds: frozenset[str]) -> yaml.Node | None:
    import yaml

    try:
        loader = _loader(kinds)(text)
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except (yaml.YAMLError, RecursionError) as error:
        raise _explained(error) from error


def _constructed(node: yaml.Node | None, kinds: frozenset[str]) -> Any:  # noqa: ANN401 - YAML can be anything
    import yaml

    try:
        return None if node is None else _loader(kinds)("").construct_document(node)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _explained(error) from error


def _explained(error: Exception) -> NotYamlError:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
    return NotYamlError(str(reason), mark.line + 1 if mark else 0)
