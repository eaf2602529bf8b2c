"""Consequences of a failure in a workflow: another attempt, or what the step says that follows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lib.contracts import PhaseView
from lib.design.failures import problem_of
from lib.jobs import Job, JobResult
from lib.model import Step, StepChange
from lib.scheduling.retries import (
    FATAL,
    INTERRUPTED,
    LOSSES,
    LOST,
    QUESTION,
    REFUSED,
    SPENT,
    UNJUDGED,
    another_round,
    feedback_of,
    jittered,
    named,
    reading,
)
from lib.scheduling.run_time import left_s
from lib.steps import StepKind, StepStatus
from lib.workflow.options import FailureKind, Join, OnFailure, OnInterrupt, Retry
from lib.workflow.plan import Node
from phases.steps._nodes import around, node_of

#: A step failed by no job of its own.
NO_JOB: Final = "step_failed"
#: Ends by which it is not known what a step has done already.
CUT_OFF: Final = frozenset({LOST, "rebooted", "stopped"})
#: The kinds of failures, by their codes; a command that verifies has a kind of its own.
_KINDS: Final[Mapping[str, FailureKind]] = {
    "exit_nonzero": FailureKind.EXIT,
    "timeout": FailureKind.TIMEOUT,
    "idle": FailureKind.IDLE,
    "schema": FailureKind.SCHEMA,
    **dict.fromkeys(("memory_limit", "output_limit", "process_limit", "budget"), FailureKind.LIMIT),
    LOST: FailureKind.LOST,
    REFUSED: FailureKind.REFUSED,
}


def ended_badly(view: PhaseView, step: Step, job: Job, result: JobResult) -> StepChange:
    """The changes of a step's record after a job of it failed."""
    node = node_of(view, step)
    fields = _told(view, step, job.spec.name, result)
    if result.code == QUESTION:  # a person is there to answer it, whatever may fail
        return fields | _left_to_ci(view)
    if result.code in CUT_OFF and job.is_process and node.step.on_interrupt is not OnInterrupt.RERUN:
        return fields | _interrupted(view, node)
    if _is_uncounted(step, result):
        lost = result.code == LOST
        pause: StepChange = _later(view, 1.0 + step.losses) if lost else {"retry_at_mono_s": None}
        return {**fields, **pause, "status": StepStatus.RETRYING, "attempt": step.attempt - 1,
                "losses": step.losses + lost}  # fmt: skip
    is_over = result.code in FATAL or is_out_of_time(view, step)
    if is_over or step.attempt >= step.attempts or not _deserves(node.step.retry, job.spec.name, result):
        return fields | final(view, step)
    return fields | {"status": StepStatus.RETRYING} | _later(view, _pause_s(node.step.retry or Retry(), step))


def fails(view: PhaseView, step: Step, message: str) -> StepChange:
    """The changes of the record of a step that fails by no job of its own: an expression has no value, say."""
    problem = problem_of(JobResult(ok=False, code=NO_JOB, message=message), f"{step.id}: {message}")
    told: StepChange = {"error": problem.model_copy(update={"at": view.now.wall}), "note": message}
    return told | final(view, step)


def is_late(view: PhaseView) -> bool:
    """True if the time for the steps of the run is over."""
    left = left_s(view.definition, view.state.created_at, view.now)
    return left is not None and left <= 0


def is_out_of_time(view: PhaseView, step: Step) -> bool:
    """True if the step may not go on, as the time is over and it is none of `finally`."""
    return is_late(view) and not node_of(view, step).final


def final(view: PhaseView, step: Step) -> StepChange:
    """The end of a step that has no attempts left. Nobody is asked about it once the run's time is over."""
    is_turn = bool(step.parent) and view.steps[step.parent].kind is StepKind.LOOP
    if node_of(view, step).step.optional and not is_turn:
        return {"status": StepStatus.SKIPPED, "ended_at": view.now.wall}
    tolerated = is_out_of_time(view, step) or any(_tolerates(view, each) for each in around(view.steps, step))
    return {"status": StepStatus.FAILED, "tolerated": tolerated, "given_up": view.dispatch, "ended_at": view.now.wall}


def handed_back(view: PhaseView, step: Step) -> StepChange | None:
    """The changes of the record of a step that failed, once a person has handed it back."""
    if step.tolerated or step.given_up >= view.dispatch:
        return None
    words: StepChange = {"content": ""} if view.feedback else {}  # what they bring about is this run's own
    return another_round(step, view.feedback, view.config) | words


def _tolerates(view: PhaseView, step: Step) -> bool:
    """True if the run goes on after a failure of the step, or in it where it is a box."""
    own = node_of(view, step).step
    joins_all = step.kind is StepKind.FAN and own.foreach is not None and own.foreach.join is Join.ALL_DONE
    return own.on_failure is OnFailure.CONTINUE or own.optional or joins_all


def _told(view: PhaseView, step: Step, name: str, result: JobResult) -> StepChange:
    problem = problem_of(result, f"{step.id}: {named(name, result)}: {result.message}", reading(step.id, result), name)
    heard = result.code in {*INTERRUPTED, QUESTION}
    return {
        "error": problem.model_copy(update={"at": view.now.wall}),
        "note": result.message,
        "session": step.session if result.session is None else result.session or None,
        "feedback": step.feedback if heard else feedback_of(name, result),
    }


def _interrupted(view: PhaseView, node: Node) -> StepChange:
    if node.step.on_interrupt is OnInterrupt.SKIP:
        return {"status": StepStatus.SKIPPED, "ended_at": view.now.wall}
    return _left_to_ci(view)


def _left_to_ci(view: PhaseView) -> StepChange:
    return {"status": StepStatus.FAILED, "given_up": view.dispatch, "ended_at": view.now.wall}


def _is_uncounted(step: Step, result: JobResult) -> bool:
    """True if the end says nothing about the step: others killed it, or a resumed conversation is spent."""
    if result.code == LOST:
        return step.losses < LOSSES
    return result.code in UNJUDGED or (result.code == SPENT and step.session is not None)


def _deserves(retry: Retry | None, name: str, result: JobResult) -> bool:
    """True if the failure is of a kind that deserves another attempt."""
    if retry is None:
        return True
    if retry.exit_codes and result.exit_status is not None and result.exit_status not in retry.exit_codes:
        return False
    kind = FailureKind.VERIFY if name == "verify" else _KINDS.get(result.code)
    return not retry.on or kind in retry.on


def _pause_s(retry: Retry, step: Step) -> float:
    plain = min(retry.max_delay_s, retry.delay_s * retry.backoff ** (step.attempt - 1))
    return jittered(plain, f"{step.id}.{step.attempt}") if retry.jitter else plain


def _later(view: PhaseView, pause_s: float) -> StepChange:
    return {"retry_at_mono_s": view.now.mono_s + pause_s, "retry_boot_id": view.now.boot_id}
