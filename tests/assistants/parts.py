"""Small components: each writes one file with its name in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assistants.endpoint.mind import Script, Step, Task, Write
from assistants.endpoint.talk import Say


def built(task: Task) -> tuple[Step, ...]:
    """All that its builder does when nothing is in its way."""
    return Write(f"{task.component}.txt", f"{task.component} is built\n"), Say(f"{task.component} is built.")


def script(special: Mapping[str, Script]) -> Script:
    """Every component is built in one step, but those that are special."""

    def steps(task: Task) -> Sequence[Step]:
        return special.get(task.component, built)(task)

    return steps
