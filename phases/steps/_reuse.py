"""Reuse of what an equal step of another run gave: which steps may, by which content, and what follows. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from lib.contracts import Change, PhaseView
from lib.effects import Reuse, ReuseResult
from lib.jobs import effect
from lib.model import Step, StepChange
from lib.project.paths import SHARED_WORKTREE
from lib.steps import StepStatus
from lib.workflow.options import Access, Continue
from lib.workflow.plan import Node
from phases.steps import Moved, Moves
from phases.steps._nodes import around, node_of, plan_in, shares, workspace_of

#: Changes with each change of what the digests are made of, so that none of before is equal by accident.
_FORMAT: Final = 1


def looks(view: PhaseView, step: Step) -> bool:
    """True if the step is to look for an equal one: it begins for the first time, or its look has failed."""
    definition, job = view.definition, view.jobs.get(step.job or "")
    own = node_of(view, step).step.cache
    if definition is None or not (definition.reuse if own is None else own):
        return False
    has_failed = job is not None and job.args(Reuse) is not None and job.result is not None and not job.result.ok
    is_again = definition.again in {each.id for each in around(view.steps, step)}
    return (step.job is None or has_failed) and not is_again and step.session is None


def content_of(view: PhaseView, step: Step, about: Mapping[str, Any]) -> str:
    """The digest of the content that decides the work of a step that begins, with what its kind says `about` it; empty
    where no other run may take what it gives.

    The tree and the outputs before it are compared by themselves. So an id, a place and a limit of time are no part of
    it, but for the instances of a fan-out and the turns of a loop that the step is, or is in.
    """
    node = node_of(view, step)
    if node.step.artifacts or step.feedback or _is_in_conversation(view, node):
        return ""
    own, config = node.step, view.config
    material = {
        "format": _FORMAT,
        "kind": step.kind.value,
        "instances": [part.partition(":")[2] for part in step.id.split(".") if ":" in part],
        "workspace": own.workspace.value,
        "access": own.access.value,
        "schema": own.output_schema,
        "env": config.env,
        "secrets": [secret.model_dump() for secret in plan_in(view).secrets],
        "setup": config.setup if shares(node) else None,
        "about": about,
    }
    text = json.dumps(material, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def kept_content(step: Step, head: str) -> str:
    """The digest that a step which begins another attempt still has: its work is no longer on the tree of the first one
    where others have written meanwhile.
    """
    return step.content if step.base_commit == head else ""


def look(step: Step, moves: Moves, content: str, fields: StepChange) -> Moved:
    """The look for an equal step. A step that writes keeps others from the worktree meanwhile."""
    node = node_of(moves.view, step)
    if not shares(node):
        return Moved(fields, effect(Reuse(content=content), step=step.id))
    shared = moves.step(SHARED_WORKTREE)
    args = Reuse(content=content, head=fields["base_commit"], branch=shared.branch)
    is_ours = node.step.access is Access.WRITE and shared.occupant in {"", step.id}
    others = (Change(SHARED_WORKTREE, {"occupant": step.id}),) if is_ours else ()
    return Moved(fields, effect(args, step=step.id, worktree=SHARED_WORKTREE), others=others)


def taken(view: PhaseView, step: Step, found: ReuseResult) -> Moved:
    """The end of a step for which an equal one was found."""
    fields: StepChange = {
        "status": StepStatus.DONE,
        "output": found.output,
        "reused": found.run,
        "verified": found.verified,
        "assistant": found.assistant,
        "note": f"reused from {found.run}",
        "ended_at": view.now.wall,
    }
    node = node_of(view, step)
    if not shares(node) or node.step.access is not Access.WRITE:
        return Moved(fields)
    fields |= {"commit": found.commit, "reach": found.reach}
    shared: StepChange = {}
    if found.commit != step.base_commit:
        shared = {"commit": found.commit, "occupant": ""}
    elif workspace_of(view).occupant == step.id:
        shared = {"occupant": ""}
    return Moved(fields, others=(Change(SHARED_WORKTREE, shared),) if shared else ())


def _is_in_conversation(view: PhaseView, node: Node) -> bool:
    """True if the step goes on in the conversation of another one, or another one in that of the step."""
    return isinstance(node.step.session, Continue) or node.id in plan_in(view).continued
