"""`relay rerun`: a new run of a workflow, from one of its steps on, with the tree and the outputs that the step saw."""

from __future__ import annotations

from collections.abc import Iterable

from lib.config.model import Config
from lib.errors import RelayError, UsageError
from lib.git.inspect import resolve
from lib.git.run import Repo
from lib.model import Base, Definition, Step
from lib.names import from_json
from lib.origin import Origin
from lib.project.paths import SHARED_WORKTREE, Project
from lib.steps import StepKind, StepStatus
from lib.store.rundb import RunDB
from orchestrator.commands.fork import Fork, taken_over
from phases.steps._nodes import around, first_steps


def fork_at(project: Project, db: RunDB, run: str, name: str, *, reuse: bool = False) -> Fork:
    """The beginning of a run from the step `name` of `run` on; with `reuse`, those after it may take what equal ones
    gave.

    Raises `RelayError` (`unknown_run`, `commits_gone`) and `UsageError` (`not_a_workflow`, `unknown_step`).
    """
    with db.look(run) as look:
        stored, rows = look.stored, look.steps()
    if stored.definition is None:
        message = f"{stored.row.id} ran {stored.row.workflow}, whose steps a design makes: it can only be started again"
        raise UsageError(message, remedy='relay start "…"', code="not_a_workflow")
    steps = {step.id: step for step in (from_json(Step, row.data) for row in rows)}
    begun = _begun(steps, name)
    definition = Definition.model_validate(stored.definition)
    old = Base.model_validate(stored.header["base"])
    kept = tuple(_noted(step) for step in _ended_before(steps, begun))
    tree = begun.base_commit or _last_commit(kept) or old.commit
    if resolve(Repo.of(project), tree) is None:
        message = f"the tree that {name} saw, {tree[:10]}, is no longer in the repository"
        raise RelayError(message, remedy="relay recover", code="commits_gone")
    first = definition.model_copy(update={"base": definition.base or old.commit, "reuse": reuse, "again": name})
    base, config = Base(branch=old.branch, commit=tree), Config.model_validate(stored.options)

    def those_of(new: str) -> tuple[Step, ...]:
        known = {step.id for step in kept}
        fresh = [step for step in first_steps(first, new, config.attempts) if step.id not in known]
        return (*(taken_over(step, run, new) for step in kept), *(_with_tree(step, base, first) for step in fresh))

    return Fork(
        origin=Origin(run=stored.row.id, step=name),
        requirement=stored.row.requirement,
        config=config,
        definition=first,
        base=base,
        steps=those_of,
        again=f"relay rerun {run} --from {name}{' --reuse' if reuse else ''}",
    )


def _with_tree(step: Step, base: Base, definition: Definition) -> Step:
    is_moved = step.kind is StepKind.WORKSPACE and base.commit != definition.base
    return step.model_copy(update={"commit": base.commit}) if is_moved else step


def _begun(steps: dict[str, Step], name: str) -> Step:
    """The step, if a run can begin with it. Raises `UsageError` (`unknown_step`)."""
    own = {each.id: each for each in steps.values() if not each.parent and each.kind is not StepKind.WORKSPACE}
    step = own.get(name)
    if step is None or step.started_at is None:
        what = "has not begun" if step is not None else "is no step of the workflow's own level"
        begun = ", ".join(each.id for each in own.values() if each.started_at) or "none has begun"
        raise UsageError(f"{name} {what}; a run can go on from: {begun}", remedy="relay show", code="unknown_step")
    return step


def _ended_before(steps: dict[str, Step], begun: Step) -> Iterable[Step]:
    """The steps that were over when one began, with all boxes that they are in."""
    for step in steps.values():
        if all(_was_over(each, begun) for each in around(steps, step)):
            yield step


def _was_over(step: Step, begun: Step) -> bool:
    is_over = step.is_satisfied or step.is_lost
    ended = step.ended_at
    return (is_over and step.id not in {begun.id, SHARED_WORKTREE} and ended is not None
            and begun.started_at is not None and ended <= begun.started_at)  # fmt: skip


def _noted(step: Step) -> Step:
    return step.model_copy(update={"note": step.note or "from the run before"})


def _last_commit(kept: Iterable[Step]) -> str:
    made = [step for step in kept if step.commit and step.status is StepStatus.DONE and step.ended_at]
    return max(made, key=lambda step: step.ended_at or 0).commit if made else ""
