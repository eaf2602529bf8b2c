"""Each real program as reviewer and as resolver: what it answers, and what it leaves in the files, is understood."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from assistants.endpoint.mind import Script, Step, Task, Write
from assistants.endpoint.talk import Say
from assistants.office import RUN_S, Office
from assistants.pointing import PROGRAMS

pytestmark = pytest.mark.timeout(RUN_S + 60)
#: Two builders write the same file, which then has both lines.
LINES = {"one": "the line of one\n", "two": "the line of two\n"}
SENT_BACK = '{"verdict": "send_back", "comments": ["shared.txt: it lacks second thoughts"]}'
ACCEPTED = '{"verdict": "accept", "comments": []}'
RESOLVED = '{"removed": [], "added": []}'


def fenced(answer: str) -> Say:
    return Say(f"This is what I think.\n\n```json\n{answer}\n```")


def steps(task: Task) -> Sequence[Step]:
    match task.role:
        case "reviewer" if task.component == "one" and "second thoughts" not in task.prompt:
            return (fenced(SENT_BACK),)
        case "reviewer":
            return (fenced(ACCEPTED),)
        case "resolver":
            return Write("shared.txt", "".join(LINES.values())), fenced(RESOLVED)
    if task.component == "one" and "lacks second thoughts" in task.prompt:
        return Write("thoughts.txt", "second thoughts\n"), Say("Mended.")
    return Write("shared.txt", LINES[task.component]), Say(f"{task.component} is built.")


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_reviews_and_resolves(program: str, office: Callable[[Script], Office]) -> None:
    at = office(steps)
    at.start_parts(program, {"one": None, "two": None}, review=True)
    at.landed()
    assert (at.relay.root / "shared.txt").read_text() == "".join(LINES.values())
    assert (at.relay.root / "thoughts.txt").exists()
    assert (at.builder("one")["attempt"], at.builder("two")["attempt"]) == (2, 1)
    assert {each.task.role for each in at.model.asked if each.task} == {"builder", "reviewer", "resolver"}
