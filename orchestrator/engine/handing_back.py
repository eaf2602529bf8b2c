"""Hand-backs: what a person's edit that gives the run to code does to it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lib.contracts import PhaseHandler
from lib.events import Advanced, Noted, StepChanged
from lib.model import Edit, Owner, Step, StepChange
from lib.project.paths import BASE_WORKTREE
from lib.scheduling.retries import NOT_LOST, another_round
from lib.steps import BuilderStatus, StepKind, StepStatus
from orchestrator.engine.cancelling import CANCEL, cancel
from orchestrator.engine.decision import Draft
from orchestrator.engine.limits import free_all
from orchestrator.engine.run import Run

RETRY, SKIP = "retry", "skip"
#: Actions that the machine carries out itself.
VERBS = (RETRY, SKIP, CANCEL)
#: What was done, or has never been begun.
_NOT_RETRIED = frozenset({StepStatus.DONE, StepStatus.CANCELLED, StepStatus.PENDING})


def warn(turn: Draft, sentences: Sequence[str]) -> None:
    """Notes each of the sentences as a warning."""
    for words in sentences:
        turn.emit(Noted(message=words, level="warning"))


def action_of(run: Run) -> str:
    """The action of code that is under way, or follows when ci hands back."""
    return run.state.next_action if run.state.action_owner is Owner.CI else run.state.action_needed


def legal_actions(run: Run, handlers: Mapping[str, PhaseHandler]) -> list[str]:
    """The actions of code that may be asked for in the run's phase: verbs, which ids of steps may follow, and the
    decisions of the gate that asks.
    """
    actions = [name for name, handler in handlers.items() if run.state.phase in handler.phases]
    return [*actions, *VERBS, *run.engine.decisions]


def handed_back(turn: Draft, before: Run, edit: Edit) -> None:
    """An edit that gives the run to code, or that names another action while code has it."""
    if before.state.outcome is not None or turn.run.state.action_owner is Owner.CI:
        return
    asked = before.state.action_owner is Owner.CI
    if not asked and edit.action_needed is None:
        return
    free_all(turn)
    current = action_of(before)
    wanted = edit.action_needed or current
    verb, *names = wanted.split(" ")
    if verb == CANCEL:
        cancel(turn, current)
    elif verb in _VERBS:
        reopened = [name for name in names if verb == RETRY and _fails_merged(before, name)]
        for name in names:
            (_reopen if name in reopened else _VERBS[verb])(turn, turn.run.steps[name])
        if reopened:
            _hand_to(turn, "execution", answered="", phase="execution")
        elif asked and not (names and _gave_up(turn.run)):
            _hand_to(turn, current, answered="")
        else:
            turn.verb_done(verb, current)
    elif before.engine.decisions and wanted in {current, *before.engine.decisions}:
        _answer_gate(turn, before, wanted if wanted != current else before.engine.decisions[0])
    elif wanted == current and before.engine.asking:
        for name in before.engine.asking:
            _retry(turn, turn.run.steps[name])
        turn.verb_done("answer", current)
    else:
        _hand_to(turn, wanted, answered=before.state.action_needed if asked and wanted == current else "")


def _answer_gate(turn: Draft, before: Run, decision: str) -> None:
    answer: StepChange = {"decision": decision, "feedback": turn.run.state.feedback}
    for name in before.engine.asking:
        turn.emit(StepChanged(step=name, of=StepKind.GATE, changes=answer))
    turn.verb_done(decision, action_of(before))


def _fails_merged(run: Run, name: str) -> bool:
    """True if ci is asked about a merged tree that fails, which the builder's work is in."""
    is_red = run.state.phase == "merge_build" and run.state.action_needed == "fix_failure"
    return is_red and may_reopen(run.steps[name])


def may_reopen(step: Step) -> bool:
    """True if its work is in the merged tree, or about to be, and has not landed."""
    return step.status is StepStatus.DONE and not step.landed


def nothing_to_retry(run: Run, name: str) -> str:
    """A sentence if a retry of the builder changes nothing now; empty if it gets another round."""
    step = run.steps[name]
    if step.status not in _NOT_RETRIED or _fails_merged(run, name):
        return ""
    return f"{name} is {step.shown.value}: there is nothing to retry"


def _gave_up(run: Run) -> bool:
    """True if failed builders remain that nobody decided on: a new dispatch would give them new attempts."""
    return bool(run.ledger.count(BuilderStatus.FAILED))


def _hand_to(turn: Draft, action: str, answered: str, phase: str = "") -> None:
    """A new dispatch; what runs of the old one, and belongs to no builder, is stopped."""
    for job in turn.run.ledger.live():
        if job.spec.step is None:
            turn.stop(job, "superseded")
    turn.emit(
        Advanced(
            phase=phase or turn.run.state.phase,
            action=action,
            message=f"{action} follows",
            answered=answered,
            workflow=turn.run.state.workflow,
        )
    )


def _retry(turn: Draft, builder: Step) -> None:
    """Another round of attempts, also for one that is at work or was skipped."""
    if vain := nothing_to_retry(turn.run, builder.id):
        warn(turn, [vain])
        return
    if builder.members and builder.status is StepStatus.RUNNING:
        _retry_inside(turn, builder)
        return
    _end_job(turn, builder, "retry")
    changes = another_round(builder, turn.run.state.feedback, turn.run.config)
    turn.emit(StepChanged(step=builder.id, changes=changes))


def _retry_inside(turn: Draft, box: Step) -> None:
    """Another round for what has failed in a box that is at work."""
    for name in box.members:
        inner = turn.run.steps[name]
        if inner.status is StepStatus.FAILED or (inner.members and inner.status is StepStatus.RUNNING):
            _retry(turn, inner)


def _reopen(turn: Draft, builder: Step) -> None:
    """Another round for a builder that is built, with how the merged tree fails; its work is merged again then."""
    told = builder.model_copy(update={"feedback": _red(turn.run)})
    changes = another_round(told, turn.run.state.feedback, turn.run.config)
    turn.emit(StepChanged(step=builder.id, changes=changes))


def _red(run: Run) -> str:
    """The last failure of the merged tree, for the builder that is to mend it."""
    commands = (job for job in reversed(run.ledger.jobs_of(None)) if job.command and job.result)
    job = next((job for job in commands if job.spec.worktree != BASE_WORKTREE), None)
    if job is None or job.result is None or job.result.ok:
        return ""
    tail = job.result.tail.strip()
    return f"With the work of all builders merged, {job.spec.name} failed: {job.result.message}\n\n{tail}".strip()


def _skip(turn: Draft, builder: Step) -> None:
    for name in builder.members:
        if turn.run.steps[name].status.is_unfinished:
            _skip(turn, turn.run.steps[name])
    if not builder.merged:
        _end_job(turn, builder, "skipped")
        turn.emit(StepChanged(step=builder.id, changes={"status": StepStatus.SKIPPED, "note": "skipped", **NOT_LOST,
                                                       "ended_at": turn.now.wall}))  # fmt: skip


_VERBS = {RETRY: _retry, SKIP: _skip}


def _end_job(turn: Draft, builder: Step, reason: str) -> None:
    job = turn.run.jobs.get(builder.job or "")
    if job is not None and job.result is None:
        turn.stop(job, reason)
