"""Output of a verify command goes back into the conversation in which the work was done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from assistants import parts
from assistants.endpoint.mind import Script, Step, Task, Write, has_history
from assistants.endpoint.talk import Say
from assistants.office import RUN_S, Office
from assistants.pointing import PROGRAMS

pytestmark = pytest.mark.timeout(RUN_S + 60)


def careless(task: Task) -> Sequence[Step]:
    """Wrong at first, right when told."""
    return Write("one.txt", "right\n" if task.has_feedback else "wrong\n"), Say("one is built.")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_failure_goes_back_into_the_same_session(program: str, office: Callable[[Script], Office]) -> None:
    at = office(parts.script({"one": careless}))
    at.start_parts(program, {"one": None}, verify="grep right one.txt || { echo it must be right; exit 1; }")
    at.landed()
    assert (at.relay.root / "one.txt").read_text() == "right\n"
    assert at.builder("one")["attempt"] == 2
    first, *_, last = at.model.tasks("builder", "one")
    assert not has_history(first.talk.messages)
    assert has_history(last.talk.messages)
    assert last.task is not None
    assert "it must be right" in last.task.prompt
