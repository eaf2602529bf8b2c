"""Reading a playbook's file: an error in it names file, line and the nearest thing that would be right."""

from __future__ import annotations

import difflib
import json
import os
import posixpath
import sys
from collections.abc import Callable, Mapping
from errno import ENOENT
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.events import CollectionEndEvent, CollectionStartEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from lib.errors import UsageError
from lib.files.safe_read import NotPlainError, read_plain
from lib.names import quote
from lib.playbook.book import FURTHER, Answer, Playbook, Step, Steps
from lib.playbook.player import GROUP, RECORD, UNIT

MAX_BYTES = 10_000_000
MAX_DEPTH = 64
#: Built of C, and many times faster where it is there.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_playbook(file: Path) -> Playbook:
    """The playbook in `file`, checked whole. Raises `UsageError` (`playbook_invalid`) with file and line."""
    reader = _Reader(file)
    try:
        text = read_plain(file.resolve(), limit=MAX_BYTES)
        if text is None:
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT))
        root = reader.composed(text.decode("utf-8"))
    except NotPlainError as error:
        raise UsageError(f"{file} is {error.what}", remedy=f"ls -ld {quote(file)}", code="no_playbook") from error
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}", remedy=f"ls -l {quote(file)}", code="no_playbook") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise reader.error(mark, f"not YAML: {getattr(error, 'problem', None) or error}") from error
    return reader.playbook(root)


class _Reader:
    """Turns YAML nodes, which know their lines, into values."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def error(self, mark: Any, problem: str) -> UsageError:  # noqa: ANN401 - marks of both parsers differ in type
        where = f"{self.file}:{mark.line + 1}" if mark else str(self.file)
        return UsageError(f"{where}: {problem}", remedy=f"$EDITOR {quote(self.file)}", code="playbook_invalid")

    def composed(self, text: str) -> Node | None:
        """The document in the text; no deep nesting reaches libyaml's composer, which recurses in C."""
        depth = 0
        for event in yaml.parse(text, Loader=_LOADER):
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise self.error(event.start_mark, f"it is nested more than {MAX_DEPTH} deep")
        return yaml.compose(text, Loader=_LOADER)

    def playbook(self, root: Node | None) -> Playbook:
        if root is None:
            raise self.error(None, "the file is empty")
        of_workflow = isinstance(root, MappingNode) and any(key.value == "steps" for key, _ in root.value)
        top = self.fields(root, required=("name", *(("steps",) if of_workflow else ("architect", "builders"))),
                          optional=("description", "requirement", "match", *FURTHER))  # fmt: skip
        return Playbook(
            file=self.file,
            name=self.text(top["name"]),
            description=self.text(top["description"]) if "description" in top else "",
            requirement=self.text(top["requirement"]) if "requirement" in top else "",
            match=tuple(self.text(node) for node in self.items(top["match"])) if "match" in top else (),
            architect=() if of_workflow else self.answers(top["architect"]),
            builders=self.named(top.get("builders")),
            steps=self.named(top.get("steps")),
            roles={role: self.rounds(top[role]) for role in FURTHER if role in top},
        )

    # --- parts of a playbook ---

    def answers(self, node: Node) -> tuple[Answer, ...]:
        several = self.items(node) if isinstance(node, SequenceNode) else [node]
        answers = tuple(self.answer(each) for each in several)
        if all(answer.on_errors or answer.on_feedback for answer in answers):
            raise self.error(node.start_mark, "the architect needs an answer without on_feedback and on_errors")
        return answers

    def answer(self, node: Node) -> Answer:
        fields = self.fields(node, required=("say",), optional=("design", "on_feedback", "on_errors", "steps"))
        words: tuple[str, ...] = ()
        if "on_feedback" in fields:
            condition = fields["on_feedback"]
            words = tuple(map(self.text, self.items(condition))) if isinstance(condition, SequenceNode) else ("",)
        design = None
        if "design" in fields:
            self.mapping(fields["design"])
            design = self.value(fields["design"])
        on_errors = "on_errors" in fields and self.flag(fields["on_errors"])
        steps = self.played(fields["steps"]) if "steps" in fields else ()
        return Answer(self.text(fields["say"]), design, words, on_errors, steps)

    def named(self, node: Node | None) -> dict[str, Mapping[int, Steps]]:
        return {} if node is None else {name: self.rounds(each) for name, each in self.mapping(node).items()}

    def rounds(self, node: Node) -> Mapping[int, Steps]:
        if not isinstance(node, MappingNode):
            return {1: self.played(node)}
        attempts = self.mapping(self.fields(node, required=("attempts",))["attempts"])
        rounds = {}
        for key, steps in attempts.items():
            if not key.isdecimal():
                raise self.error(steps.start_mark, f"{key!r} is no number of an attempt")
            rounds[int(key)] = self.played(steps)
        if 1 not in rounds:
            raise self.error(node.start_mark, "attempts must begin with 1")
        return rounds

    def played(self, node: Node) -> Steps:
        return tuple(step for each in self.items(node) for step in self.step(each))

    def step(self, node: Node) -> list[Step]:
        """The steps of one entry: one for each file that it is about."""
        fields = self.mapping(node)
        if len(fields) != 1:
            raise self.error(node.start_mark, f"a step has one action, this one has {', '.join(fields) or 'none'}")
        [(action, value)] = fields.items()
        if action not in _VALUES:
            raise self.error(node.start_mark, f"there is no action {action}; {_nearest(action, _VALUES)}")
        return [(action, *values) for values in _VALUES[action](self, value)]

    # --- values of steps ---

    def one_text(self, node: Node) -> list[Step]:
        return [(self.text(node),)]

    def one_number(self, node: Node) -> list[Step]:
        return [(str(self.number(node)),)]

    def status(self, node: Node) -> list[Step]:
        return [(str(self.whole(node)),)]

    def nothing(self, node: Node) -> list[Step]:
        self.flag(node)
        return [()]

    def contents(self, node: Node) -> list[Step]:
        return [(self.inside(path, value), self.text(value)) for path, value in self.mapping(node).items()]

    def paths(self, node: Node) -> list[Step]:
        several = self.items(node) if isinstance(node, SequenceNode) else [node]
        return [(self.inside(self.text(each), each),) for each in several]

    def inside(self, path: str, node: Node) -> str:
        if path.startswith("/") or posixpath.normpath(path).split("/")[0] in {"..", "."}:
            raise self.error(node.start_mark, f"{path!r} is not inside the worktree; for that there is edit_outside")
        return path

    def usage(self, node: Node) -> list[Step]:
        fields = self.fields(node, optional=("input_tokens", "output_tokens", "cost_usd"))
        used = {key: self.number(value) if key == "cost_usd" else self.whole(value) for key, value in fields.items()}
        return [(json.dumps(used),)]

    def failure(self, node: Node) -> list[Step]:
        fields = self.fields(node, optional=("status", "times", "say"))
        times = self.whole(fields["times"]) if "times" in fields else sys.maxsize
        status = self.whole(fields["status"]) if "status" in fields else 1
        said = self.text(fields["say"]) if "say" in fields else "it fails, as its playbook says"
        return [(str(times), str(status), said)]

    # --- values of YAML ---

    def fields(self, node: Node, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> dict[str, Node]:
        found = self.mapping(node)
        for key, value in found.items():
            if key not in required + optional:
                raise self.error(value.start_mark, f"unknown key {key}; {_nearest(key, required + optional)}")
        if missing := [key for key in required if key not in found]:
            raise self.error(node.start_mark, f"{' and '.join(missing)} missing")
        return found

    def mapping(self, node: Node) -> dict[str, Node]:
        if not isinstance(node, MappingNode):
            raise self.error(node.start_mark, f"expected `key: value`, found {_kind(node)}")
        found: dict[str, Node] = {}
        for key, value in node.value:
            name = self.text(key)
            if name in found:
                raise self.error(key.start_mark, f"{name} is there twice")
            found[name] = value
        return found

    def items(self, node: Node) -> list[Node]:
        if not isinstance(node, SequenceNode):
            raise self.error(node.start_mark, f"expected a list, found {_kind(node)}")
        return list(node.value)

    def text(self, node: Node) -> str:
        if not isinstance(node, ScalarNode):
            raise self.error(node.start_mark, f"expected text, found {_kind(node)}")
        if set(node.value) & {GROUP, RECORD, UNIT}:
            raise self.error(node.start_mark, "it holds a separator character (1D, 1E or 1F), which can't be played")
        return str(node.value)

    def value(self, node: Node) -> Any:  # noqa: ANN401 - a design can hold anything
        """The JSON value of the node; a date becomes text."""
        try:
            return json.loads(json.dumps(SafeConstructor().construct_document(node), default=str))
        except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None) or node.start_mark
            raise self.error(mark, str(getattr(error, "problem", error))) from error

    def number(self, node: Node) -> float:
        value = self.value(node)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
            raise self.error(node.start_mark, f"expected a number from 0 up, found {value!r}")
        return value

    def whole(self, node: Node) -> int:
        value = self.number(node)
        if not isinstance(value, int):
            raise self.error(node.start_mark, f"expected a whole number, found {value!r}")
        return value

    def flag(self, node: Node) -> bool:
        value = self.value(node)
        if value is not True:
            raise self.error(node.start_mark, f"expected true, or the key left out; found {value!r}")
        return True


_VALUES: Mapping[str, Callable[[_Reader, Node], list[Step]]] = {
    "say": _Reader.one_text,
    "write": _Reader.contents,
    "append": _Reader.contents,
    "delete": _Reader.paths,
    "run": _Reader.one_text,
    "sleep": _Reader.one_number,
    "commit": _Reader.one_text,
    "usage": _Reader.usage,
    "fail": _Reader.failure,
    "exit": _Reader.status,
    "hang": _Reader.nothing,
    "ignore_term": _Reader.nothing,
    "fork_away": _Reader.one_number,
    "flood": _Reader.one_number,
    "edit_outside": _Reader.one_text,
}


def _kind(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "`key: value`"
    return "a list" if isinstance(node, SequenceNode) else "text"


def _nearest(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
