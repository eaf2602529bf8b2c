"""Records of a run's steps made of the nodes of its plan, and the nodes of records. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from lib.contracts import PhaseView
from lib.model import Component, Definition, Step
from lib.project.paths import SHARED_WORKTREE
from lib.scheduling.retries import DEFAULT_ATTEMPTS
from lib.steps import AT_WORK, StepKind
from lib.workflow.compiled import plan_of
from lib.workflow.options import OnFailure, Workspace
from lib.workflow.plan import TOP, Node, Plan
from phases.steps import Moves

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")
_OTHERS: Final = re.compile(r"[^A-Za-z0-9_-]+")


def plan_in(view: PhaseView) -> Plan:
    if view.definition is None:
        raise TypeError(f"{view.state.run} has no workflow of its own")
    return plan_of(view.definition)


def node_of(view: PhaseView, step: Step) -> Node:
    return plan_in(view).nodes[step.node]


def workspace_of(view: PhaseView) -> Step:
    return view.steps[SHARED_WORKTREE]


def shares(node: Node) -> bool:
    """True if steps of the node work in the worktree that a workflow's steps share."""
    works = node.kind.value in {StepKind.PROMPT, StepKind.RUN}
    return works and node.step.workspace is Workspace.SHARED


def first_steps(definition: Definition, run: str, attempts: int) -> tuple[Step, ...]:
    """The steps that a run begins with: its shared worktree, if any step works there, and its own level. Preparing the
    worktree has so many `attempts`.
    """
    plan = plan_of(definition)
    shared = Step(
        id=SHARED_WORKTREE,
        kind=StepKind.WORKSPACE,
        component=Component(id="workflow", title=plan.workflow.name),
        branch=f"relay/{run}/{SHARED_WORKTREE}",
        worktree=f".project/worktrees/{run}/{SHARED_WORKTREE}",
        attempts=attempts,
    )
    own = tuple(_step(node, "") for node in plan.within(TOP) if not node.final)
    return (shared, *own) if any(shares(node) for node in plan.nodes.values()) else own


def last_steps(view: PhaseView) -> tuple[Step, ...]:
    """The steps of `finally` that the run has not begun yet."""
    final = (_step(node, "") for node in plan_in(view).within(TOP) if node.final)
    return tuple(step for step in final if step.id not in view.steps)


def children(view: PhaseView, box: Step) -> list[Step]:
    """The steps in a group or include."""
    plan = plan_in(view)
    made = [_step(plan.nodes[name], box.id) for name in plan.nodes[box.node].children]
    before = _turn_before(view, box)
    known = {step.id: view.steps.get(before + step.id.removeprefix(box.id)) for step in made} if before else {}
    return [_going_on(view, step, last) if (last := known.get(step.id)) else step for step in made]


def _turn_before(view: PhaseView, box: Step) -> str:
    """The turn of a loop before the one that a box is; empty for none, or where each has conversations of its own."""
    loop = view.steps.get(box.parent)
    if loop is None or loop.kind is not StepKind.LOOP or box.id not in loop.members[1:]:
        return ""
    known = node_of(view, loop).step.loop
    return "" if known is None or known.fresh_session else loop.members[loop.members.index(box.id) - 1]


def instances(view: PhaseView, fan: Step, items: Iterable[tuple[str, Any]]) -> list[Step]:
    """The instances of a step that fans out, one for each key and item."""
    node = node_of(view, fan)
    kind = StepKind.LOOP if node.step.loop else StepKind(node.kind.value)
    return [_record(node, kind, f"{fan.id}:{_plain(key)}", fan.id, item=item) for key, item in items]


def turn_of(view: PhaseView, loop: Step, number: int) -> Step:
    """A turn of a loop, which goes on in the conversation of the one before it unless the loop says otherwise."""
    node = node_of(view, loop)
    before = view.steps.get(loop.members[number - 2]) if number > 1 else None
    turn = _record(node, StepKind(node.kind.value), f"{loop.id}:{number}", loop.id)
    return turn if before is None else _going_on(view, turn, before)


def _going_on(view: PhaseView, step: Step, before: Step) -> Step:
    loop = node_of(view, step).step.loop
    if loop is not None and loop.fresh_session:
        return step
    return step.model_copy(update={"session": before.session, "assistant": before.assistant})


def is_full(step: Step, moves: Moves) -> bool:
    """True if as many instances beside it are at work as may be at once."""
    view = moves.view
    if not step.parent or view.steps[step.parent].kind is not StepKind.FAN:
        return False
    foreach = node_of(view, step).step.foreach
    if foreach is None or foreach.max_parallel is None:
        return False
    beside = (each for each in moves.at_work(view.ledger.within(*AT_WORK)) if each.parent == step.parent)
    return sum(1 for _ in beside) >= foreach.max_parallel


def attempts(node: Node) -> int:
    """The number of attempts that a step of the node has."""
    if node.step.retry is not None:
        return node.step.retry.max_attempts
    return DEFAULT_ATTEMPTS if node.step.on_failure is OnFailure.RETRY else 1


def _step(node: Node, box: str) -> Step:
    kind = StepKind.FAN if node.fans_out else StepKind.LOOP if node.step.loop else StepKind(node.kind.value)
    needs = dict.fromkeys(_within(box, _level(need, node.parent)) for need in node.needs)
    name = _within(box, node.id.rpartition(".")[2])
    return _record(node, kind, name, box, needs=tuple(needs), rule=node.step.trigger_rule)


def _record(node: Node, kind: StepKind, name: str, parent: str, **more: Any) -> Step:  # noqa: ANN401 - its other fields
    """The record of a step of the node. A loop has turns for attempts."""
    tries = node.step.loop.max_iterations if kind is StepKind.LOOP and node.step.loop else attempts(node)
    return Step(id=name, kind=kind, node=node.id, parent=parent, attempts=tries, per_round=tries, **more)


def _within(box: str, local: str) -> str:
    return f"{box}.{local}" if box else local


def _level(need: str, box: str) -> str:
    """The member of the box that a step is, or is in: those that need a part of an include wait for all of it."""
    return need.removeprefix(f"{box}.").partition(".")[0] if box else need.partition(".")[0]


def _plain(key: str) -> str:
    """A key as a part of an id: of another one than it is, the digest keeps two apart."""
    if _PLAIN_KEY.fullmatch(key):
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{_OTHERS.sub('-', key).strip('-')[:40] or 'item'}-{digest}"


def around(steps: Mapping[str, Step], step: Step) -> Iterator[Step]:
    """The step, and the boxes that it is in, the innermost first."""
    yield step
    while step.parent:
        step = steps[step.parent]
        yield step
