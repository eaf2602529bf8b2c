"""Each real program carries a requirement from one sentence to landed code, alone and with the others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest
from assistants.calculator import PARTS, REQUIREMENT, script
from assistants.endpoint.mind import Script
from assistants.office import RUN_S, Office
from assistants.pointing import PROGRAMS

pytestmark = pytest.mark.timeout(RUN_S + 60)
#: Those that tell what a turn cost.
PRICED = {"claude", "opencode"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_whole_run(program: str, office: Callable[[Script], Office]) -> None:
    at = office(script())
    at.configure(sandbox="require", parallel=4)
    at.start(program, REQUIREMENT)
    state = at.landed()
    command = [sys.executable, "-B", "-m", "unittest", "discover", "-s", "tests"]
    tested = subprocess.run(command, cwd=at.relay.root, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    for part in PARTS:
        builder = at.builder(part)
        assert (builder["status"], builder["assistant"], builder["attempt"]) == ("landed", program, 1)
    assert state["usage"]["input_tokens"] > 1000
    assert state["usage"]["output_tokens"] > 100
    assert (state["usage"]["cost_usd"] > 0) == (program in PRICED)
    told = json.loads(at.relay("status", "--json"))
    assert told["tokens"] == state["usage"]["input_tokens"] + state["usage"]["output_tokens"]
    assert told["cost_usd"] == state["usage"]["cost_usd"]
    assert {each.task.component for each in at.model.asked if each.task} == {"", *PARTS}


def test_a_different_program_for_each_builder(office: Callable[[Script], Office]) -> None:
    chosen = dict(zip(PARTS, [*PROGRAMS, "codex"], strict=True))
    at = office(script(assistants=chosen))
    at.start("claude", REQUIREMENT)
    at.landed()
    assert {part: at.builder(part)["assistant"] for part in PARTS} == chosen
    wires = {"claude": "anthropic", "codex": "responses", "gemini": "gemini", "opencode": "chat"}
    for part, program in chosen.items():
        assert {each.talk.wire for each in at.model.tasks("builder", part)} == {wires[program]}
