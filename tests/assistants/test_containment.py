"""A real program's tools write outside its worktree: neither Relay's sandbox nor codex's own lets them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from assistants import parts
from assistants.endpoint.mind import Run, Script
from assistants.office import RUN_S, Office

pytestmark = pytest.mark.timeout(RUN_S + 60)


@pytest.mark.parametrize(("program", "sandbox"), [("codex", "off"), ("codex", "require"), ("claude", "require")])
def test_a_tool_writes_only_in_the_worktree(program: str, sandbox: str, office: Callable[[Script], Office]) -> None:
    at = office(parts.script({"one": lambda task: (Run(f"echo mine >{at.relay.root}/stray.txt"), *parts.built(task))}))
    at.start_parts(program, {"one": None}, sandbox=sandbox)
    at.landed()
    assert (at.relay.root / "one.txt").read_text() == "one is built\n"
    assert not (at.relay.root / "stray.txt").exists()
