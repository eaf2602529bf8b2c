"""The model that answers behind every wire protocol: it takes the steps of a script, one a request.

It remembers nothing of a conversation: how far it is, is counted in what the program sends. So it shows whether a
resumed session came with its history, and goes on wherever a program was killed.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assistants.endpoint import tools
from assistants.endpoint.talk import Answer, Hang, Message, Refuse, Say, Talk

#: How the templates of the prompts begin.
_ROLES = {
    "architect": re.compile(r"You are the architect of a team"),
    "builder": re.compile(r"You build one component, `([^`]+)`"),
    "reviewer": re.compile(r"You review one component, `([^`]+)`"),
    "resolver": re.compile(r"Two pieces of work, each built by an assistant"),
}
_WORKTREE = re.compile(r"(?:Yours is|the repository, which is in|You are in(?: its worktree,)?)\s(/[^\s,]+?)[.,]\s")


@dataclass(frozen=True, slots=True)
class Write:
    """A file, by its path in the worktree."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """A shell command."""

    command: str


Step = Write | Run | Say | Refuse | Hang


@dataclass(frozen=True, slots=True)
class Task:
    """A task that a prompt of Relay's sets. `calls` counts the tools called since, `wire` is how it was asked."""

    role: str
    component: str
    worktree: str
    prompt: str
    wire: str
    calls: int

    @property
    def has_feedback(self) -> bool:
        return "<feedback>" in self.prompt


Script = Callable[[Task], Sequence[Step]]


def task_of(talk: Talk) -> Task | None:
    """The newest task in the conversation; None if it holds none, or is one that the program has with itself."""
    if not talk.tools and not talk.system.startswith("Act as an expert"):  # as aider, which has none, begins
        return None
    for at in range(len(talk.messages) - 1, -1, -1):
        message = talk.messages[at]
        for role, pattern in _ROLES.items():
            if message.role == "user" and (found := pattern.search(message.text)):
                name = found.group(1) if found.groups() else ""
                where = _WORKTREE.search(message.text)
                calls = sum(later.calls for later in talk.messages[at:])
                return Task(role, name, where.group(1) if where else "", message.text, talk.wire, calls)
    return None


class Mind:
    """Safe for use by several threads."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._refused: Counter[tuple[str, str, int]] = Counter()
        self._lock = threading.Lock()

    def answer(self, talk: Talk) -> Answer:
        task = task_of(talk)
        if task is None:
            return Say("OK")
        steps = self._script(task)
        return self._next(talk, task, steps) if talk.tools else _in_one(steps)

    def _next(self, talk: Talk, task: Task, steps: Sequence[Step]) -> Answer:
        done = task.calls
        for at, step in enumerate(steps):
            if isinstance(step, Say):
                return step
            if isinstance(step, Refuse | Hang):
                if done == 0 and not self._is_over(task, at, step):
                    return step
            elif done:
                done -= 1
            elif isinstance(step, Write):
                return tools.write(talk, f"{task.worktree}/{step.path}", step.text)
            else:
                return tools.run(talk, step.command)
        raise LookupError("a script ends with something to say")

    def _is_over(self, task: Task, at: int, step: Refuse | Hang) -> bool:
        if isinstance(step, Hang) or step.times is None:
            return False
        with self._lock:
            self._refused[task.wire, task.component, at] += 1
            return self._refused[task.wire, task.component, at] > step.times


def _in_one(steps: Sequence[Step]) -> Say:
    """For a program without tools, which takes whole files out of the text: a path, then its content in a fence."""
    files = [f"{step.path}\n```\n{step.text}```\n" for step in steps if isinstance(step, Write)]
    words = [step.text for step in steps if isinstance(step, Say)]
    return Say("\n".join(files + words))


def has_history(messages: Sequence[Message]) -> bool:
    """True if a conversation holds an earlier task that was answered before the newest one."""
    tasks = [
        at for at, message in enumerate(messages)
        if message.role == "user" and any(pattern.search(message.text) for pattern in _ROLES.values())
    ]  # fmt: skip
    return len(tasks) > 1 and any(message.role == "assistant" for message in messages[tasks[0] : tasks[-1]])
