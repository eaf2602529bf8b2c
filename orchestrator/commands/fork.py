"""A run that goes on from another one: all that it takes over, and the refs and files that it makes again.

Rerunning a workflow from a step on and restoring a checkpoint differ in what they find; from here on they are one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from lib.config.model import Config
from lib.events import Asked, Event, StepAdded
from lib.git.inspect import resolve
from lib.git.run import Repo
from lib.logs.sentences import whence
from lib.model import Base, Definition, Step, Usage
from lib.origin import Origin
from lib.project.paths import MERGED_WORKTREE, Project
from lib.question import asked
from lib.steps import StepKind

#: The id of a run that does not have one yet.
NEW: Final = "NEW"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """The beginning of a new run that goes on from another one, at `phase` and `action`, with `feedback` for that.

    `steps` gives its steps by its id. If it waits for a person, `question` is what it asks. `design` is the text of the
    design. `again` is the command that makes such a run.
    """

    origin: Origin
    requirement: str
    config: Config
    definition: Definition | None
    base: Base
    steps: Callable[[str], tuple[Step, ...]]
    again: str
    phase: str = "execution"
    action: str = "execution"
    feedback: str = ""
    question: Asked | None = None
    design: str | None = None

    def events(self, run: str) -> Iterator[Event]:
        """The first events of the new run: its steps, and the question that it asks."""
        for step in self.steps(run):
            yield StepAdded(step=step)
        if self.question is not None:
            text = self.question.model_dump_json().replace(self.origin.run, run)
            yield Asked.model_validate_json(text)

    @property
    def label(self) -> str:
        """The label of the checkpoint that the new run begins with."""
        place = self.origin.step or f"checkpoint {self.origin.checkpoint}"
        return f"from {place} of {self.origin.run}"


def plan(project: Project, fork: Fork) -> dict[str, Any]:
    """The beginning of the run that would go on, for a person to read."""
    repo, branch = Repo.of(project), fork.base.branch
    found = resolve(repo, f"refs/heads/{branch}")
    later = "" if found == fork.base.commit else f"; it is at {found[:10]} now" if found else "; it is gone"
    own = fork.steps(NEW)
    steps = [step for step in own if step.kind is not StepKind.WORKSPACE]
    branches = {step.branch: step.commit for step in own if step.branch and step.commit}
    if fork.origin.merged:
        branches[f"relay/{NEW}/{MERGED_WORKTREE}"] = fork.origin.merged
    named = {
        "goes on": whence(fork.origin.model_dump()),
        "base": f"{branch} at {fork.base.commit[:10]}{later}",
        "begins": f"asks you to {asked(fork.question.action)}" if fork.question else f"{fork.action}, in {fork.phase}",
        "kept": [f"{step.id}: {step.shown.value}" for step in steps if not step.status.wants_slot],
        "to be done": [f"{step.id}: {step.shown.value}" for step in steps if step.status.wants_slot],
        "branches": [f"{name} at {commit[:10]}" for name, commit in branches.items()],
    }
    return {key: value for key, value in named.items() if value}


def taken_over(step: Step, old: str, new: str) -> Step:
    """A step of the run `old` as the run `new` has it: what it used was used there, its jobs are there, and so are the
    conversations of its assistant.
    """
    branch, worktree = (text.replace(f"/{old}/", f"/{new}/") for text in (step.branch, step.worktree))
    changes = {"job": None, "usage": Usage(), "session": None, "branch": branch, "worktree": worktree, "given_up": 0}
    return step.model_copy(update=changes)
