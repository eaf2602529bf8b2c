"""`relay restore`: a new run with state and code as a checkpoint has them; the run that made it stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from pydantic import ValidationError

from lib.config.model import Config
from lib.errors import RelayError, UsageError
from lib.events import Asked
from lib.git.pins import missing
from lib.git.run import Repo
from lib.model import NO_ACTION, Definition, Owner, Problem, RunOutcome, State, Step
from lib.names import from_json
from lib.origin import Origin
from lib.project.paths import MERGED_WORKTREE, Project
from lib.question import HINT
from lib.steps import BOXES, StepKind, StepStatus
from lib.store.rows import StoredCheckpoint
from lib.store.rundb import RunDB
from lib.workflow.compiled import plan_of
from lib.workflow.options import OnInterrupt
from lib.workflow.plan import Node
from orchestrator.commands.fork import Fork, taken_over
from orchestrator.engine.run import Engine
from orchestrator.persistence.run_store import ENGINE
from phases.design_build import port_base

#: Actions whose handlers come to their questions again by themselves.
_FINDS_AGAIN: Final = frozenset({"design", "execution", "merge_build"})
#: The action to begin with where a run was cancelled, by its phase.
_OF_PHASE: Final[Mapping[str, str]] = {
    "init": "design",
    "design": "design",
    "execution": "execution",
    "merge_build": "merge_build",
}
_MERGED: Final = frozenset({RunOutcome.LANDED, RunOutcome.STORED})
_INTERRUPTED: Final = "it was at work when the checkpoint was made, and may have done something already"
_SHOWN: Final = 5


class Beginning(NamedTuple):
    """The phase and action that a restored run begins with, and what it asks if it waits for a person."""

    phase: str
    action: str
    question: Asked | None = None


def fork_from(project: Project, db: RunDB, number: int) -> Fork:
    """The beginning of a run that goes on from a checkpoint.

    Raises `RelayError` (`unknown_checkpoint`, `checkpoint_unreadable`, `checkpoint_old`, `nothing_left`,
    `commits_gone`).
    """
    with db.look_at_checkpoints() as look:
        made = look.one(number)
        run = look.run(made.run).stored
    fork = of_checkpoint(made, Definition.model_validate(run.definition) if run.definition else None)
    if gone := missing(Repo.of(project), made.commits):
        names = ", ".join(f"{name} ({made.commits[name][:10]})" for name in gone[:_SHOWN])
        message = f"commits of checkpoint {number} are no longer in the repository: {names}"
        raise RelayError(message, remedy=f"relay checkpoints {made.run} --check", code="commits_gone")
    return fork


def of_checkpoint(made: StoredCheckpoint, definition: Definition | None) -> Fork:
    """The beginning of a run that goes on from a checkpoint of a run with that workflow. Pure.

    Raises `RelayError` (`checkpoint_unreadable`, `checkpoint_old`, `nothing_left`).
    """
    if made.config is None:
        message = f"checkpoint {made.id} was made by version 0.1, which kept neither configuration nor design"
        raise RelayError(message, remedy=f"relay show {made.run}", code="checkpoint_old")
    header = dict(made.header)
    try:
        engine = Engine.model_validate(header.pop(ENGINE))
        state, config = State.model_validate(header), Config.model_validate(made.config)
        steps = [from_json(Step, row.data) for row in made.steps]
    except (ValidationError, LookupError) as error:
        message = f"checkpoint {made.id} can't be read by this version: {error}"
        raise RelayError(message, remedy="pipx upgrade relay-orchestrator", code="checkpoint_unreadable") from error
    begun = beginning(made, state, engine)
    kept = as_restored(steps, begun, definition)

    def those_of(new: str) -> tuple[Step, ...]:
        own = (taken_over(step, made.run, new) for step in kept)
        return tuple(_with_ports(step, config, new, place) for place, step in enumerate(own))

    return Fork(
        origin=Origin(run=made.run, checkpoint=made.id, label=made.label,
                      merged=made.commits.get(MERGED_WORKTREE, "")),
        requirement=state.requirement,
        config=config,
        definition=definition,
        base=state.base,
        steps=those_of,
        again=f"relay restore {made.id}",
        phase=begun.phase,
        action=begun.action,
        feedback=engine.feedback if engine.begun else state.feedback,
        question=begun.question,
        design=made.design or None,
    )  # fmt: skip


def beginning(made: StoredCheckpoint, state: State, engine: Engine) -> Beginning:
    """The place at which the run begins. A question is put again, by its handler if that finds it by itself. Pure.

    Raises `RelayError` (`nothing_left`).
    """
    if state.outcome in _MERGED:
        return Beginning("merge_build", "merge_build")
    if state.outcome is RunOutcome.CANCELLED and state.phase in _OF_PHASE:
        return Beginning(state.phase, _OF_PHASE[state.phase])
    if state.outcome is not None:
        message = f"at checkpoint {made.id} the run had ended as {state.outcome.value}: nothing is left to do"
        raise RelayError(message, remedy=f"relay checkpoints {made.run}", code="nothing_left")
    if state.action_owner is Owner.CODE:
        return Beginning(state.phase, state.action_needed)
    if engine.asking or state.next_action in _FINDS_AGAIN:
        return Beginning(state.phase, state.next_action)
    question = Asked(
        action=state.action_needed,
        message=state.message,
        answers=state.answers,
        next_action=state.next_action or NO_ACTION,
        error=state.error,
        decisions=engine.decisions,
    )
    return Beginning(state.phase, state.next_action, question)


def as_restored(steps: Sequence[Step], begun: Beginning, definition: Definition | None) -> list[Step]:
    """The steps as they were, but that those at work, or cancelled, begin again. Pure.

    A step of a workflow that is not to be done again when it was interrupted is skipped, or asked about.
    """
    at_work = {step.id: step for step in steps if step.status is StepStatus.RUNNING and step.kind not in BOXES}
    nodes = plan_of(definition).nodes if definition else {}
    return [_cut_off(_again(step, at_work, begun), step, nodes) for step in steps]


def _cut_off(again: Step, step: Step, nodes: Mapping[str, Node]) -> Step:
    """The step as it was left where it had begun and, by its `on_interrupt`, is not simply done again."""
    is_again = again.status is StepStatus.PENDING and step.status is not StepStatus.PENDING
    if step.kind not in {StepKind.PROMPT, StepKind.RUN} or not is_again or step.started_at is None:
        return again
    match nodes[step.node].step.on_interrupt if step.node in nodes else OnInterrupt.RERUN:
        case OnInterrupt.SKIP:
            left = {"status": StepStatus.SKIPPED, "note": _INTERRUPTED, "ended_at": step.started_at}
        case OnInterrupt.ASK:
            problem = Problem.of("interrupted", f"{step.id}: {_INTERRUPTED}", HINT)
            left = {"status": StepStatus.FAILED, "note": _INTERRUPTED, "error": problem, "ended_at": step.started_at}
        case _:
            return again
    return again.model_copy(update=left)


def _again(step: Step, at_work: Mapping[str, Step], begun: Beginning) -> Step:
    if step.kind is StepKind.WORKSPACE:
        return _workspace(step, at_work, begun)
    if step.kind in BOXES and step.status is StepStatus.CANCELLED and step.members:
        return step.model_copy(update={"status": StepStatus.RUNNING, "tolerated": False, "ended_at": None})
    if step.id in at_work or step.status is StepStatus.CANCELLED:
        return _pending(step)
    later = {"retry_at_mono_s": None} if step.status is StepStatus.RETRYING else {}
    return step.model_copy(update=later)


def _pending(step: Step) -> Step:
    """The step before the attempt that it was at. A builder begins at the commit that it had, if it had one."""
    is_builder = step.kind is StepKind.BUILDER
    taken_back = {} if is_builder and step.commit else {"base_commit": "", "commit": ""}
    changes = {
        "status": StepStatus.PENDING,
        "stage": "",
        "attempt": max(0, step.attempt - 1),
        "tolerated": False,
        "ruled_out": False,
        "decision": "",
        "note": "",
        "error": None,
        "retry_at_mono_s": None,
        "started_at": None,
        "ended_at": None,
    }
    return step.model_copy(update=changes | taken_back)


def _workspace(step: Step, at_work: Mapping[str, Step], begun: Beginning) -> Step:
    """The shared worktree, which is made again, without the commit of a step that begins again."""
    if begun.action != "execution":
        return step
    writer = next((each for each in at_work.values() if each.commit and each.commit == step.commit), None)
    commit = writer.base_commit if writer else step.commit
    if commit == step.base_commit and writer:
        commit = ""
    return _pending(step).model_copy(
        update={"attempt": 0, "occupant": "", "commit": commit, "base_commit": step.base_commit}
    )


def _with_ports(step: Step, config: Config, run: str, place: int) -> Step:
    if not step.port_base:
        return step
    return step.model_copy(update={"port_base": port_base(config, run, place)})


def number_of(db: RunDB, text: str, run: str, *, is_given: bool) -> int:
    """The checkpoint that a number, of that run if it `is_given`, or a label of the run names; of several the newest.

    Raises `RelayError` (`unknown_checkpoint`) and `UsageError` (`other_run`).
    """
    with db.look_at_checkpoints() as look:
        if text.isdecimal():
            made = look.one(int(text))
            if is_given and made.run != run:
                message = f"checkpoint {text} is one of {made.run}"
                raise UsageError(message, remedy=f"relay checkpoints {run}", code="other_run")
            return made.id
        found = look.labelled(text, run)
    if not found:
        message = f"{run} has no checkpoint with the label {text!r}"
        raise RelayError(message, remedy=f"relay checkpoints {run}", code="unknown_checkpoint")
    return found[-1]
