"""The texts of one step that have expressions in them, compiled and checked against the names that they may use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from lib.workflow.expanding import Draft, Source
from lib.workflow.expressions import Expression, ExpressionError, parse
from lib.workflow.located import Path
from lib.workflow.names import Names
from lib.workflow.placeholders import Template, template
from lib.workflow.plan import Command
from lib.workflow.shell import ShellLine, shell_line
from lib.workflow.value_types import ANY, Type, infer, want_flag

#: Tells a problem at a path of the file, and a character of the text there.
Tell = Callable[[Path, str, int], None]
#: Options that are one text with templates, by their paths below a step.
_TEXTS: Final = (
    ("prompt",), ("model",), ("effort",), ("gate", "message"), ("gate", "on_reject", "prompt"), ("end", "reason"),
    ("compete", "judge", "prompt"), ("foreach", "key"),
)  # fmt: skip
_COMMANDS: Final = (("run",), ("verify",), ("loop", "until_run"))
#: Options that are looked at once the step has run.
_AFTER: Final = frozenset({"until", "until_run", "gate.on_reject.prompt"})


class Texts:
    """Compiles the texts of a step, or of a workflow as a whole; what is wrong goes to `tell`."""

    def __init__(self, names: Names, tell: Tell) -> None:
        self._names = names
        self._tell = tell

    def template(self, text: str, path: Path, *, inside: bool = False) -> tuple[Template, Type]:
        """A text with templates, and the kind of its value. A wrong one is as if it were empty."""
        try:
            made = template(text)
        except ExpressionError as error:
            self._tell(path, error.message, error.offset)
            return Template(("",), ()), ANY
        kinds = [self._kind(hole.expression, path, hole.offset, inside=inside) for hole in made.holes]
        return made, kinds[0] if made.is_one_value else ANY

    def condition(self, text: str, path: Path, *, inside: bool = False) -> Expression | None:
        """One expression that is true or false; `{{ … }}` around all of it may be there."""
        offset = 0
        if text.strip().startswith("{{") and text.strip().endswith("}}"):
            offset = text.index("{{") + 2
            text = text[offset : text.rindex("}}")]
        try:
            made = parse(text)
        except ExpressionError as error:
            self._tell(path, error.message, error.offset + offset)
            return None
        kind = self._kind(made, path, offset, inside=inside)
        want_flag(kind, made.offset, lambda message, at: self._tell(path, message, at + offset))
        return made

    def command(self, value: str | tuple[str, ...], path: Path, *, inside: bool = False) -> Command:
        if isinstance(value, tuple):
            return tuple(self.template(each, (*path, at), inside=inside)[0] for at, each in enumerate(value))
        try:
            made = shell_line(value)
        except ExpressionError as error:
            self._tell(path, error.message, error.offset)
            return ShellLine("")
        for hole in template(value).holes:
            self._kind(hole.expression, path, hole.offset, inside=inside)
        return made

    def value(self, value: Any, path: Path) -> tuple[Any, Type]:  # noqa: ANN401 - any JSON value
        """A value with templates for the texts in it, and its kind where it is one text."""
        if isinstance(value, str):
            return self.template(value, path)
        if isinstance(value, Mapping):
            return {key: self.value(each, (*path, key))[0] for key, each in value.items()}, ANY
        if isinstance(value, list | tuple):
            return tuple(self.value(each, (*path, at))[0] for at, each in enumerate(value)), ANY
        return value, ANY

    def _kind(self, expression: Expression, path: Path, offset: int, *, inside: bool) -> Type:
        def tell(message: str, at: int) -> None:
            self._tell(path, message, at + offset)

        return infer(expression, self._names.look(tell, inside=inside), tell)


def step_texts(draft: Draft) -> Iterator[tuple[str, Path, str]]:
    """The texts with templates of a step: the option's name, its path in the file, the text."""
    for path in _TEXTS:
        value = _at(draft.step, path)
        if isinstance(value, str):
            yield ".".join(path), _path(draft, path), value
    for name, text in draft.step.env.items():
        yield f"env.{name}", _path(draft, ("env", name)), text
    several = {"assistant": draft.step.assistant, "artifacts": draft.step.artifacts}
    for option, values in several.items():
        for at, text in enumerate(values):
            yield f"{option}.{at}", _path(draft, (option, at)), text


def step_commands(draft: Draft) -> Iterator[tuple[str, Path, str | tuple[str, ...]]]:
    """The commands of a step: the option's name, its path in the file, the command."""
    for path in _COMMANDS:
        value = _at(draft.step, path)
        if value is not None:
            yield ".".join(path), _path(draft, path), value


def is_after(name: str) -> bool:
    """True of an option that is looked at once the step has run, and so sees what came of it."""
    return name.rpartition(".")[2] in _AFTER or name in _AFTER


def _at(value: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - options are of many kinds
    for part in path:
        value = getattr(value, part, None)
    return value


def _path(draft: Draft, path: Path) -> Path:
    """The path in the file: that of the workflow's `defaults` for what the step does not set itself."""
    first = str(path[0])
    own = first in draft.own and (first != "env" or _has(draft.source, (*draft.path, *path)))
    return (*draft.path, *path) if own else ("defaults", *path)


def _has(source: Source, path: Path) -> bool:
    value = source.document.data
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True
