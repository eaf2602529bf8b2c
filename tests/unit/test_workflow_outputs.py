"""The outputs of a workflow are kept with the end of its run, however that ends. Pure."""

from __future__ import annotations

import pytest
from world import World, new_workflow

MAKES = "{id: a, run: make it}"
TEXT = """\
name: small
steps:
  - %s
  - {id: ok, needs: [a], gate: {message: "Ship it?"}}
outputs: {by: "{{ steps.ok.output.by }}"}
"""


@pytest.mark.parametrize(
    ("step", "land", "outcome"),
    [(MAKES, "auto", "landed"), (MAKES, "branch", "stored"), ("{id: a, run: ls, access: read}", "auto", "done")],
)
def test_a_run_ends_with_the_outputs_of_its_workflow(step: str, land: str, outcome: str) -> None:
    world = World(new_workflow(TEXT % step, land=land, gates={"design": "none"}))
    world.settle()
    assert (world.run.state.outcome, world.run.engine.outputs) == (outcome, {"by": "--yes"})


def test_the_end_counts_a_box_by_what_is_in_it_and_no_shared_worktree() -> None:
    fan = "{id: a, run: ls, access: read, foreach: {in: [x, y]}}"
    world = World(new_workflow(TEXT % fan, gates={"design": "none"}))
    world.settle()
    assert world.run.state.message.startswith("3 of 3 steps done")
