"""`run`: a command, in the worktree that a workflow's steps share, or in none. Pure."""

from __future__ import annotations

from typing import Any

from lib.jobs import JobResult
from lib.model import Step
from lib.workflow.schemas import misfits
from phases.steps import Moved, Moves
from phases.steps._nodes import node_of
from phases.steps._work import Worker, after_work, command, misfit


def _work(step: Step, moves: Moves) -> Moved:
    return Moved({}, command(moves.view, step, "run", "run", gives=True))


def _about(step: Step, moves: Moves) -> dict[str, Any]:
    made = command(moves.view, step, "run", "run")
    return {"command": made.command, "env": dict(made.env)}


def _worked(step: Step, moves: Moves, result: JobResult) -> Moved:
    schema = node_of(moves.view, step).step.output_schema
    if schema is not None and (wrong := misfits(schema, result.output)):
        return Moved(misfit(step, moves, "output", wrong))
    return after_work(moves.view, step, result.output)


mover = Worker(_work, _about, _worked)
