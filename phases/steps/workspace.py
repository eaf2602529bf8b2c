"""`workspace`: the worktree that the steps of a workflow share is prepared, and set up. Pure."""

from __future__ import annotations

from lib.effects import Prepare, PrepareResult
from lib.jobs import Command, Job, JobSpec, effect
from lib.model import Step, StepChange
from lib.scheduling.retries import delayed, failed, retry_is_due
from lib.steps import Stage, StepStatus
from phases.steps import Moved, Moves


class Workspace:
    """Done once steps can work in it; a step that emptied it sends it back."""

    takes_slot = False

    def move(self, step: Step, moves: Moves) -> Moved | None:
        view = moves.view
        job = view.jobs.get(step.job or "")
        if step.status is StepStatus.PENDING:
            return _prepare(step, moves)
        if step.status is StepStatus.RETRYING:
            return _prepare(step, moves) if retry_is_due(step, view.now) else None
        if step.status is StepStatus.FAILED:
            handed_back = job is not None and job.dispatch < view.dispatch
            return Moved({"status": StepStatus.RETRYING, "retry_at_mono_s": None}) if handed_back else None
        if job is None or job.result is None:
            return None
        return _next(step, moves, job)


def _prepare(step: Step, moves: Moves) -> Moved:
    args = Prepare(branch=step.branch, base=moves.view.state.base.commit, set_up=not moves.view.config.setup)
    fields: StepChange = {"status": StepStatus.RUNNING, "stage": Stage.PREPARING, "attempt": step.attempt + 1,
                          "note": "", "error": None, "started_at": step.started_at or moves.view.now.wall}  # fmt: skip
    return Moved(fields, effect(args, step=step.id, worktree=step.id))


def _next(step: Step, moves: Moves, job: Job) -> Moved:
    view, result = moves.view, job.result
    if result is None or not result.ok:
        if job.is_process and result is not None:
            return Moved(failed(step, job.spec.name, result, view.config, view.now))
        tries = sum(other.spec == job.spec for other in view.ledger.jobs_of(step.id))
        return Moved(delayed(step, job, tries, view.config, view.now))
    ready: StepChange = {"status": StepStatus.DONE, "ended_at": view.now.wall}
    if job.spec.name == "setup":
        return Moved(ready)
    base: StepChange = {"base_commit": step.base_commit or PrepareResult.of(result).base}
    if view.config.setup:
        return Moved(base, _set_up(step, view.config.setup, view.config.command_timeout_s))
    return Moved(base | ready)


def _set_up(step: Step, line: str, timeout_s: float) -> JobSpec:
    return Command(name="setup", step=step.id, worktree=step.id, command=line, timeout_s=timeout_s)


mover = Workspace()
