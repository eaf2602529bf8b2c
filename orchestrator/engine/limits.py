"""Limits on what jobs may take, and the consequences of limits that assistants meet. Pure.

A turn is ended that ran, was silent, printed, waited or cost too much. An assistant that met a limit, or whose service
fails, is held: nothing of it is launched until that is over, for none of the builders.
"""

from __future__ import annotations

import zlib
from datetime import UTC, timedelta

from lib.events import AssistantFreed, AssistantHeld, JobProgressed
from lib.jobs import Condition, Cooldown, Effect, Job, JobResult, Progress
from lib.scheduling.assistant_choice import hold_name, is_held, is_later, program
from lib.scheduling.budget import builder_budget, run_budget
from lib.scheduling.retries import HOLDING
from lib.scheduling.run_time import RUN_TIME, left_s
from lib.scheduling.step_limits import limited
from orchestrator.engine.decision import Draft, Output, Seen

#: After so much silence a turn counts as silent: a note, its limit is `idle_timeout_s`.
SILENT_AFTER_S = 60.0
#: What a person has to mend: no time lifts it.
LASTING = frozenset({"auth", "not_available", "credits", "model"})
#: Ends of what would take ever more while it is being asked to end.
MEMORY_LIMIT, PROCESS_LIMIT = "memory_limit", "process_limit"
#: Ends that are over soon as a rule: the first pause after them is this much shorter.
PASSING = frozenset({"server", "network", "busy"})
PASSING_SHARE = 6


def enforce_limits(turn: Draft, seen: Seen) -> None:
    """Notes how running turns are doing, and ends what is beyond its limits."""
    for job in turn.run.ledger.live():
        if not job.is_process or job.process is None or job.stopping or job.delay is not None:
            continue
        output = seen.output.get(job.id)
        if output is not None:
            _note_progress(turn, job, output)
        reason, due = _limit(turn, turn.run.jobs[job.id], output)
        if reason:
            turn.stop(job, reason)
        turn.wake_at(due)
    _stop_beyond_budget(turn)
    _stop_late(turn)


def note_end(turn: Draft, job: Job) -> None:
    """Holds or frees the assistant of a turn that has ended."""
    result = job.result
    if job.turn is None or result is None:
        return
    name = program(job.assistant)
    hold = turn.run.engine.holds.get(name)
    if result.code in HOLDING:
        _hold(turn, hold_name(job.assistant, result.code), result)
    elif result.ok and hold is not None and is_later(job, hold, turn.now):
        turn.emit(AssistantFreed(assistant=name))


def free_all(turn: Draft) -> None:
    """A person has handed back: whatever held an assistant, it is tried again."""
    for name in list(turn.run.engine.holds):
        turn.emit(AssistantFreed(assistant=name))


# --- while a turn runs -----------------------------------------------------------------------------------------------


def _note_progress(turn: Draft, job: Job, output: Output) -> None:
    new = output.progress
    if new.condition is Condition.WORKING and output.silent_s >= SILENT_AFTER_S:
        new = new.model_copy(update={"condition": Condition.SILENT})
    elif new.condition is Condition.WORKING:
        turn.wake_at(turn.now.mono_s + SILENT_AFTER_S - output.silent_s)
    old = job.progress
    if new == old:
        return
    turn.emit(JobProgressed(job=job.id, progress=new))
    if job.turn is None:
        return
    name = program(job.assistant)
    hold = turn.run.engine.holds.get(name)
    if new.condition is Condition.RATE_LIMITED:
        # Its own next try says little of when the limit is lifted; an answer to it frees the others at once.
        _hold(turn, name, JobResult(ok=False, code="rate_limit", message=new.reason))
    elif hold is not None and (_recovered(old, new) or (new.answered and is_later(job, hold, turn.now))):
        turn.emit(AssistantFreed(assistant=name))


def _recovered(old: Progress, new: Progress) -> bool:
    return old.condition is Condition.RATE_LIMITED and new.condition is Condition.WORKING


def _limit(turn: Draft, job: Job, output: Output | None) -> tuple[str, float | None]:
    """The reason why the job must end now, as a code, or the time to look at it again."""
    now, spec = turn.now, job.spec
    if isinstance(spec, Effect):
        return "", None
    config = limited(turn.run.config, spec)
    due: list[float] = []
    if spec.timeout_s is not None:
        due.append(job.started_mono_s + spec.timeout_s)
        if now.mono_s >= due[-1]:
            return "timeout", None
    if output is None:
        return "", min(due, default=None)
    if output.output_bytes > config.output_max_mb * 1e6:
        return "output_limit", None
    if config.memory_max_mb is not None and output.memory_bytes > config.memory_max_mb * 1e6:
        return MEMORY_LIMIT, None
    if config.processes_max is not None and output.processes > config.processes_max:
        return PROCESS_LIMIT, None
    if output.progress.condition in _STUCK:
        due.append(now.mono_s + config.stuck_timeout_s - output.condition_s)
        if output.condition_s >= config.stuck_timeout_s:
            return output.progress.code or output.progress.condition.value, None
    if spec.idle_timeout_s is not None:
        due.append(now.mono_s + spec.idle_timeout_s - output.silent_s)
        if output.silent_s >= spec.idle_timeout_s:
            return "idle", None
    return "", min(due, default=None)


_STUCK = frozenset({Condition.ASKING, Condition.RETRYING, Condition.RATE_LIMITED})


def _stop_beyond_budget(turn: Draft) -> None:
    run = turn.run
    live = [job for job in run.ledger.live() if job.turn and job.process and not job.stopping]
    spent = run_budget(run.config, run.engine.budgets, run.state.usage, run.ledger)
    for job in live:
        if job.progress.ended:
            continue  # what it has done is paid for: it is judged like any other
        builder = run.steps.get(job.spec.step or "")
        if spent:
            turn.stop(job, spent.code)
        elif builder is not None and builder_budget(limited(run.config, job.spec), builder, job.progress.usage):
            turn.stop(job, "budget")


def _stop_late(turn: Draft) -> None:
    """Ends what the steps of a workflow run once the time for all of them is over, but for those of `finally`."""
    run = turn.run
    if run.definition is None:
        return
    from lib.workflow.compiled import plan_of
    from lib.workflow.faults import WorkflowError

    try:
        left, nodes = left_s(run.definition, run.state.created_at, turn.now), plan_of(run.definition).nodes
    except WorkflowError:
        return  # its handler reports that
    if left is None or left > 0:
        turn.wake_at(None if left is None else turn.now.mono_s + left)
        return
    for job in run.ledger.live():
        step = run.steps.get(job.spec.step or "")
        if job.is_process and step is not None and step.node in nodes and not nodes[step.node].final:
            turn.stop(job, RUN_TIME)


# --- holds -----------------------------------------------------------------------------------------------------------


def _hold(turn: Draft, name: str, result: JobResult) -> None:
    """Several turns that meet the same limit make one hold; one that says when it is lifted knows best."""
    now, old = turn.now, turn.run.engine.holds.get(name)
    told = result.retry_at is not None or result.retry_after_s is not None
    if old is not None and is_held(old, now) and not told:
        return
    strikes = old.strikes + 1 if old is not None and not is_held(old, now) else old.strikes if old is not None else 0
    reason = _REASONS.get(result.code, result.code)
    hold = Cooldown(code=result.code, reason=f"{reason} ({result.message})" if result.message else reason,
                remedy=result.remedy, does=result.does, since_mono_s=now.mono_s, boot_id=now.boot_id,
                strikes=strikes)  # fmt: skip
    if result.code not in LASTING:
        delay_s = _delay_s(turn, name, result, strikes)
        hold = hold.model_copy(update={"until": now.wall + timedelta(seconds=delay_s),
                                       "until_mono_s": now.mono_s + delay_s})  # fmt: skip
    if old is None or hold.until != old.until:
        turn.emit(AssistantHeld(assistant=name, hold=hold))


def _delay_s(turn: Draft, name: str, result: JobResult, strikes: int) -> float:
    """Seconds until the assistant may be tried: as it said, else doubling from hold to hold, with some jitter.

    A time that has passed, or did not help when it had, is not taken at its word: it would be tried over and over.
    """
    told_s = result.retry_after_s
    if result.retry_at is not None:
        told_s = (result.retry_at.astimezone(UTC) - turn.now.wall).total_seconds()
    if told_s is not None and told_s > 0 and not strikes:
        return told_s
    config = turn.run.config
    soon = result.code in PASSING or told_s is not None
    first_s = config.limit_delay_s / PASSING_SHARE if soon else config.limit_delay_s
    plain_s = min(config.limit_delay_max_s, first_s * 2.0 ** min(strikes, 60))
    return max(told_s or 0.0, plain_s * (1 + zlib.crc32(f"{name}.{strikes}".encode()) % 256 / 1024))


_REASONS = {
    "rate_limit": "rate limited",
    "server": "its service fails",
    "network": "its service can't be reached",
    "busy": "its own files are locked by another turn of it",
    "auth": "logged out, or its account refused",
    "not_available": "not installed",
    "credits": "its plan or credits are used up",
    "model": "its model can't be used",
}
