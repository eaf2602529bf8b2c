"""Playbooks: what a scripted assistant says, writes and runs, as YAML that a person can read.

    name: greeting
    description: One component that greets.
    requirement: A program that greets
    match: [greet, greeting]
    architect:
      say: One component is enough.
      design: {components: [{id: hello, files: [hello.py]}]}
    builders:
      hello:
        - say: Writing the greeting.
        - write: {hello.py: print('hello')}

`architect` may be a list: the answer whose `on_feedback` words are in the person's feedback, or that has `on_errors:
true` when a design went back with errors, comes before the one without a condition; `{feedback}` in it is replaced. A
builder may have `attempts: {1: [...], 2: [...]}`; an attempt that is not listed plays the steps of the last one before.
`reviewer` and `resolver`, where there are any, are steps or attempts like those of a builder: what they say counts.

A playbook for a workflow has `steps` instead of `architect` and `builders`: by the ids of its prompts, steps or
attempts like those of a builder. An instance of a fan-out plays those of its own id (`look:security`), else those of
`look`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.errors import UsageError
from lib.names import quote
from lib.playbook.player import GROUP, RECORD, UNIT
from lib.project.templates import shipped

#: An action of `lib.playbook.player` and its values; `fail` has one more in front, the attempts that it is for.
Step = tuple[str, ...]
Steps = tuple[Step, ...]

_NO_SEPARATORS = dict.fromkeys(map(ord, (GROUP, RECORD, UNIT)))

ARCHITECT = "architect"
BUILDER = "builder"
STEP = "step"
#: Roles that a playbook may leave out.
FURTHER = ("reviewer", "resolver")


@dataclass(frozen=True, slots=True)
class Answer:
    """One thing that the architect may answer. `on_feedback` are words in the feedback; an empty one matches any."""

    say: str
    design: Mapping[str, Any] | None
    on_feedback: tuple[str, ...] = ()
    on_errors: bool = False
    steps: Steps = ()

    def fits(self, feedback: str, errors: str) -> bool:
        """True if this answer has a condition that is met."""
        if self.on_errors:
            return bool(errors)
        return bool(feedback) and any(word.lower() in feedback.lower() for word in self.on_feedback)


@dataclass(frozen=True, slots=True)
class Playbook:
    """A playbook that was read from `file`.

    `builders` holds the steps by builder and first attempt that plays them, `roles` and `steps` those of other roles
    and of a workflow's steps likewise.
    """

    file: Path
    name: str
    description: str
    requirement: str
    match: tuple[str, ...]
    architect: tuple[Answer, ...]
    builders: Mapping[str, Mapping[int, Steps]]
    roles: Mapping[str, Mapping[int, Steps]]
    steps: Mapping[str, Mapping[int, Steps]]

    def score(self, requirement: str) -> int:
        """Number of the `match` words and phrases that are in the requirement."""
        return sum(bool(re.search(rf"\b{re.escape(word)}\b", requirement, re.IGNORECASE)) for word in self.match)


def find(variant: str) -> Path:
    """The file of a shipped playbook's name, or of a path. Raises `UsageError` (`no_playbook`)."""
    if "/" in variant or variant.endswith((".yaml", ".yml")):
        file = Path(variant).expanduser()
        if not file.is_file():
            raise UsageError(f"there is no playbook {file}", remedy=f"ls {quote(file.parent)}", code="no_playbook")
        return file
    names = shipped_names()
    if variant not in names:
        near = difflib.get_close_matches(variant, names, n=1) or names
        message = f"there is no playbook called {variant}; shipped are {', '.join(names)}"
        raise UsageError(message, remedy=f"relay start --assistant scripted:{near[0]} …", code="no_playbook")
    return shipped("playbooks") / f"{variant}.yaml"


def shipped_names() -> list[str]:
    return sorted(file.stem for file in shipped("playbooks").glob("*.yaml"))


def matching(requirement: str) -> str:
    """The name of the shipped playbook that fits the requirement best. Raises `UsageError` (`no_playbook`)."""
    from lib.playbook.reader import read_playbook

    books = [read_playbook(find(name)) for name in shipped_names()]
    best = max(books, key=lambda book: book.score(requirement))
    if best.score(requirement):
        return best.file.stem
    listed = "; ".join(f'{book.name} ("{book.requirement}")' for book in books)
    message = f"no shipped playbook fits this requirement; there are: {listed}"
    remedy = f'relay start --assistant scripted:{best.file.stem} "{best.requirement}"'
    raise UsageError(message, remedy=remedy, code="no_playbook")


def steps_for(book: Playbook, role: str, builder: str, attempt: int, prompt: str) -> list[Step]:
    """The player's steps in one turn. Raises `UsageError` (`no_role`) where the book has no answer."""
    if role == ARCHITECT:
        steps = _architect(book, prompt)
    else:
        rounds = _rounds(book, role, builder)
        if rounds is None:
            who = f"the {role} {builder}" if role in {BUILDER, STEP} else f"the role {role}"
            known = ", ".join([*book.builders, *book.roles, *book.steps])
            message = f"the playbook {book.name} has no steps for {who}; it has {known}"
            raise UsageError(message, remedy=f"$EDITOR {quote(book.file)}", code="no_role")
        steps = rounds[max(first for first in rounds if first <= attempt)]
    return [step for step in (_settled(step, attempt) for step in steps) if step]


def _rounds(book: Playbook, role: str, name: str) -> Mapping[int, Steps] | None:
    match role:
        case "builder":
            return book.builders.get(name)
        case "step":
            return book.steps.get(name) or book.steps.get(name.partition(":")[0])
    return book.roles.get(role)


def plan(prompt: str, steps: Sequence[Step]) -> str:
    """The input of `lib.playbook.player`: the prompt, and the steps after it."""
    return f"{prompt}\n{GROUP}" + RECORD.join(UNIT.join(step) for step in steps)


def _architect(book: Playbook, prompt: str) -> Steps:
    feedback, errors = _section(prompt, "feedback"), _section(prompt, "errors")
    plain = [answer for answer in book.architect if not answer.on_errors and not answer.on_feedback]
    mending_first = sorted(book.architect, key=lambda answer: not answer.on_errors)
    answer = next((answer for answer in mending_first if answer.fits(feedback, errors)), plain[0])
    said = answer.say.replace("{feedback}", feedback.translate(_NO_SEPARATORS))
    if answer.design is not None:
        design = json.dumps(answer.design, indent=2, ensure_ascii=False)
        said += f"\n\n```json\n{design.replace('{feedback}', json.dumps(feedback, ensure_ascii=False)[1:-1])}\n```"
    return (*answer.steps, ("say", said))


def _section(prompt: str, tag: str) -> str:
    """The text that the shipped prompts put between two lines of their own, `<tag>` and `</tag>`."""
    found = re.search(rf"^<{tag}>\n(.*)\n</{tag}>$", prompt, re.DOTALL | re.MULTILINE)
    return found[1].strip() if found else ""


def _settled(step: Step, attempt: int) -> Step | None:
    """The step for this attempt: `fail` is for the first so many only."""
    action, *values = step
    if action != "fail":
        return step
    return (action, *values[1:]) if attempt <= int(values[0]) else None
