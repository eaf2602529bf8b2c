"""A workflow's graph: whether a step may begin, and what follows where none can be moved. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from lib.contracts import Advance, AskCi, Finish, Outcome, PhaseView, Proceed, Wait
from lib.errors import UsageError
from lib.model import RunOutcome, Step
from lib.project.paths import SHARED_WORKTREE
from lib.question import CANCEL, HINT, Answer
from lib.scheduling.assistant_choice import choose, lifted, nobody, to_answer
from lib.scheduling.retries import QUESTION, gave_up
from lib.steps import AT_WORK, BuilderStatus, StepKind, StepStatus
from lib.workflow.evaluating import EvaluationError, condition
from lib.workflow.rules import Need, Start, start
from phases.steps import Moved, Moves, mover_of
from phases.steps._failing import fails, is_late
from phases.steps._leaving_out import end_of, is_cut_off, left_out
from phases.steps._names import known_outputs, names_for, names_of_run
from phases.steps._nodes import is_full, last_steps, node_of, plan_in
from phases.steps.gate import left_for, question

_SHOWN: Final = 30


def parallel(view: PhaseView) -> int:
    """The number of steps that may be at work at once."""
    return plan_in(view).workflow.parallel or view.config.parallel


def enter(step: Step, moves: Moves) -> Moved | None:
    """The first move of a pending step: it begins, is left out, or waits (None)."""
    view = moves.view
    if step.kind is StepKind.WORKSPACE:
        return mover_of(step.kind).move(step, moves)
    if not _box_is_open(step, moves):
        return None
    if is_cut_off(step, moves):
        return left_out(view, step, "the run ends")
    decision = _decision(view, step)
    if decision is Start.WAIT or _is_stopped(moves) or is_full(step, moves):
        return None
    if decision is Start.SKIP:
        return left_out(view, step, "what it needs did not let it start")
    try:
        is_wanted = _is_wanted(view, step)
    except (EvaluationError, UsageError) as error:
        return Moved(fails(view, step, f"when: {error.message}"))
    return mover_of(step.kind).move(step, moves) if is_wanted else left_out(view, step, "its condition is false")


def rest(view: PhaseView) -> Outcome:
    """The outcome where no step moves."""
    ledger, moves = view.ledger, Moves(view)
    retrying, working = ledger.within(BuilderStatus.RETRYING), [s for s in ledger.within(*AT_WORK) if _is_busy(view, s)]
    ready = [] if _is_stopped(moves) else [step for step in ledger.ready() if _may_begin(step, moves)]
    pauses = [step.retry_at_mono_s for step in retrying if step.retry_at_mono_s]
    until = min((at for at in [*pauses, *lifted(view)] if at > view.now.mono_s), default=None)
    gates = [step for step in working if step.kind is StepKind.GATE and not step.decision]
    if gates:
        ends = [view.now.mono_s + left for gate in gates if (left := left_for(view, gate)) is not None]
        until = min((at for at in (until, *ends) if at is not None), default=None)
        return replace(question(view, gates[0]), until_mono_s=until)
    failed = [] if is_late(view) else [step for step in ledger.within(BuilderStatus.FAILED) if not step.tolerated]
    if asking := [step for step in failed if step.error is not None and step.error.code == QUESTION]:
        said = {step.id: (step.error.message.partition(" it asks: ")[2],) for step in asking if step.error}
        return replace(to_answer(said, "execution", said), until_mono_s=until)
    if not working and (nobody_can := _nobody(view, [*retrying, *ready])):
        return nobody_can
    if working or retrying or ready:
        return Wait(until)
    if failed:
        return _ask(failed)
    final = last_steps(view)
    return Proceed(added=final) if final else _over(view)


def outputs(view: PhaseView) -> dict[str, Any]:
    """The outputs of a run's workflow."""
    return known_outputs(plan_in(view).outputs, names_of_run(view))


def _need(step: Step) -> Need:
    if step.is_satisfied:
        return Need.DONE if step.status is StepStatus.DONE else Need.WAIVED
    return Need.SKIPPED if step.ruled_out else Need.FAILED if step.tolerated else Need.PENDING


def _box_is_open(step: Step, moves: Moves) -> bool:
    return not step.parent or moves.step(step.parent).status is StepStatus.RUNNING


def _decision(view: PhaseView, step: Step) -> Start:
    return start(step.rule, [_need(view.steps[name]) for name in step.needs])


def _may_begin(step: Step, moves: Moves) -> bool:
    """True if nothing but an assistant, a slot or the worktree is missing for a pending step to begin."""
    is_own = step.kind is not StepKind.WORKSPACE
    return is_own and _box_is_open(step, moves) and _decision(moves.view, step) is Start.RUN


def _is_busy(view: PhaseView, step: Step) -> bool:
    """True if a step that is at work has something to do itself: a box waits for its members."""
    job = view.jobs.get(step.job or "")
    return not step.members or (job is not None and job.result is None)


def _is_wanted(view: PhaseView, step: Step) -> bool:
    """True if the step's condition is. That of a fan-out, or of a loop, is asked once for all that it makes.

    Raises `EvaluationError`, `UsageError`.
    """
    node = node_of(view, step)
    is_made = bool(step.parent) and view.steps[step.parent].node == step.node
    return node.when is None or is_made or condition(node.when, names_for(view, step))


def _is_stopped(moves: Moves) -> bool:
    """True if nothing new starts, as a step has failed."""
    view = moves.view
    if plan_in(view).workflow.on_error == "continue":
        return False
    known = {step.id: step for step in view.ledger.within(BuilderStatus.FAILED)} | moves.changed
    return any(moves.step(name).status is StepStatus.FAILED and not moves.step(name).tolerated for name in known)


def _nobody(view: PhaseView, left: Iterable[Step]) -> Outcome | None:
    """The question where no assistant can be had for any step that waits for one. Others wait for the worktree, unless
    they are in the pause before another attempt.
    """
    from phases.steps.prompt import chain_of

    choices = []
    for step in left:
        if step.kind is StepKind.PROMPT:
            chain = chain_of(view, step, node_of(view, step), names_for(view, step))
            choices.append(choose(view, chain, name="turn", builder=step.id))
        elif step.status is StepStatus.RETRYING:
            return None
    return nobody(choices[0], "execution") if choices and all(choice.problem for choice in choices) else None


def _ask(failed: list[Step]) -> AskCi:
    names = " ".join(step.id for step in failed[:_SHOWN] if step.kind is not StepKind.WORKSPACE)
    why = "; ".join(gave_up(step) for step in failed[:5])
    without = [Answer(f"relay skip {names}", "goes on as if it were done")] if names else []
    answers = (HINT, *without, CANCEL)
    return AskCi("fix_failure", why, "execution", error=failed[0].error, answers=answers)


def _over(view: PhaseView) -> Outcome:
    ended = end_of(Moves(view))
    if ended is not None and ended["status"] != "done":
        reason = ended["reason"] or f"the workflow ended as {ended['status']}"
        return Finish(RunOutcome(ended["status"]), reason, outputs=outputs(view))
    counts = view.ledger.counts()
    told = {"left out": counts.get(BuilderStatus.SKIPPED, 0), "failed": counts.get(BuilderStatus.FAILED, 0)}
    done = f"{counts.get(BuilderStatus.DONE, 0)} of {sum(counts.values())} steps done"
    words = ", ".join([done, *(f"{count} {what}" for what, count in told.items() if count)])
    shared = view.steps.get(SHARED_WORKTREE)
    if shared is not None and shared.has_work:
        return Advance("merge_build", "merge_build", words)
    return Finish(RunOutcome.DONE, f"{words}; no file was changed", outputs=outputs(view))
