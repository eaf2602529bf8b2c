"""Consequences of a failed attempt: another one after a pause, or giving up. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from lib.config.model import Config
from lib.design.failures import digest, last_lines, problem_of, without_command
from lib.display import counted
from lib.jobs import Job, JobResult
from lib.model import Now, Step, StepChange
from lib.question import Answer
from lib.scheduling.passing_failures import DISK_FULL, pause_s
from lib.steps import StepStatus

#: Failures that another attempt can't mend: the same input meets the same refusal.
FATAL = frozenset({"conflict", "budget", "unknown_assistant", "question", "secret_missing"})
#: A builder's turn left its tree empty.
TREE_EMPTIED = "tree_emptied"
#: A file that a step of a workflow was to make is not there.
NO_ARTIFACT = "no_artifact"
#: Faults of a turn that a step of Relay's own has found: another turn follows, and not that step again.
OF_THE_WORK = frozenset({TREE_EMPTIED, NO_ARTIFACT})
#: It asks something that a person has to answer.
QUESTION = "question"
#: How often a command is tried that fails while the disk is full.
FULL_TRIES = 10
#: How many attempts a step of a workflow has that is to be retried and does not say how often.
DEFAULT_ATTEMPTS = 3
#: A person has decided on a step of a workflow: no other goes on as if it were lost.
NOT_LOST: StepChange = {"ruled_out": False, "tolerated": False}
#: Somebody else killed it, before its exit could be recorded.
LOST = "lost"
#: The conversation can't go on, and a new one can: it is full, or its service refuses what is in it.
SPENT = "session_spent"
#: The assistant's service refuses this request for good: another assistant is asked, and this one not again.
REFUSED = "refused"
#: The model that was asked for is not to be had.
MODEL = "model"
#: So often in a row another's kill counts no attempt; then something here kills it each time.
LOSSES = 5
#: Steps that are commands of the project, and how much of one is shown.
COMMANDS = frozenset({"setup", "verify"})
COMMAND_CHARS = 120
#: Ends that say nothing about the builder: the next attempt follows at once and is not counted.
UNCOUNTED = frozenset({"stopped", "not_started", "rebooted", "superseded", "run_budget", REFUSED})
#: Ends that say something about the assistant, which is held for them, and nothing about the builder.
HOLDING = frozenset({"rate_limit", "server", "network", "busy", "auth", "not_available", "credits", "model"})
UNJUDGED = UNCOUNTED | HOLDING
#: Ends in the middle of the work: its assistant is to go on, and has done nothing that could be criticised.
INTERRUPTED = UNJUDGED | {LOST, SPENT, "idle", "timeout"}
#: Steps that are done for a builder before its turn: it is not told of their failures, as it can't mend them.
NOT_THE_BUILDERS = frozenset({"prepare", "setup"})


def failed(
    builder: Step, step: str, result: JobResult, config: Config, now: Now, others: Iterable[Step] = ()
) -> StepChange:
    """The changes of a builder's record after `step` failed: `retrying` with a time, or `failed`.

    `others` are the run's other builders: what fails in two of them alike is not for a builder to mend.
    """
    failure = failure_digest(step, result)
    again = _came_back(builder, failure, result, others)
    problem = problem_of(
        result, f"{builder.id}: {named(step, result)}: {result.message}{again}", reading(builder.id, result), step
    )
    fields: StepChange = {
        "error": problem.model_copy(update={"at": now.wall}),
        "note": result.message,
        "session": builder.session if result.session is None else result.session or None,
        "feedback": builder.feedback if _is_not_its_own(step, result) else feedback_of(step, result),
        "failure": failure or builder.failure,
    }
    if _is_uncounted(builder, step, result):
        lost = result.code == LOST
        due: StepChange = {"retry_at_mono_s": now.mono_s + backoff_s(config, builder.losses + 1, builder.id),
               "retry_boot_id": now.boot_id} if lost else {"retry_at_mono_s": None}  # fmt: skip
        return {**fields, "status": StepStatus.RETRYING, "attempt": builder.attempt - 1,
                "losses": builder.losses + lost, **due}  # fmt: skip
    if result.code in FATAL or again or builder.attempt >= builder.attempts:
        return {**fields, "status": StepStatus.FAILED, "ended_at": now.wall}
    pause_s = backoff_s(config, builder.attempt, builder.id)
    return {**fields, "status": StepStatus.RETRYING, "retry_at_mono_s": now.mono_s + pause_s,
            "retry_boot_id": now.boot_id}  # fmt: skip


def reading(name: str, result: JobResult) -> Answer:
    """The way to what a failed job of the builder `name`, or of the merged tree, printed."""
    if result.printed:
        return Answer(f"relay logs {name} --failed", "what failed, and its last lines")
    return Answer(f"relay logs {name}", "what it printed")


def delayed(builder: Step, job: Job, tries: int, config: Config, now: Now) -> StepChange:
    """The changes of a builder's record after Relay's own part of its work failed so many times.

    That part is done again after a pause. No attempt of the builder is counted, and nothing of its turn is lost.
    """
    result = job.result or JobResult(ok=False)
    patience = FULL_TRIES if result.code == DISK_FULL else config.attempts
    again = result.code not in FATAL and tries < patience
    pause = pause_s(tries) if result.code == DISK_FULL else backoff_s(config, tries, builder.id)
    fields = failed(builder, job.spec.name, result, config, now)
    ends: StepChange = (
        {"retry_at_mono_s": now.mono_s + pause, "retry_boot_id": now.boot_id} if again else {"ended_at": now.wall}
    )
    return {
        "error": fields["error"],
        "note": fields["note"],
        "status": StepStatus.RETRYING if again else StepStatus.FAILED,
        "attempt": builder.attempt - (again and job.spec.name == "prepare"),  # preparing counts it again
        **ends,
    }


def _is_not_its_own(step: str, result: JobResult) -> bool:
    return step in NOT_THE_BUILDERS or result.code in {*INTERRUPTED, QUESTION}


def _is_uncounted(builder: Step, step: str, result: JobResult) -> bool:
    """True if the end says nothing about the builder: others killed it, or a resumed conversation is spent."""
    if result.code == LOST:
        return step == "build" and builder.losses < LOSSES
    return result.code in UNJUDGED or (result.code == SPENT and builder.session is not None)


def named(step: str, result: JobResult) -> str:
    """The step, with its command if it is one."""
    command = " ".join(result.command.split())
    return f"{step} ({command[:COMMAND_CHARS]})" if command else step


def failure_digest(step: str, result: JobResult) -> str:
    """The digest of a command's failure, by its exit and what it printed; empty for any other end."""
    if step not in COMMANDS or result.code != "exit_nonzero":
        return ""
    return digest(without_command(result) or result.message)


def _came_back(builder: Step, failure: str, result: JobResult, others: Iterable[Step]) -> str:
    """The reason to stop after a failure that is known already, for the message; empty for a new one."""
    if failure and failure == builder.failure:
        return "; it came back unchanged"
    same = [other.id for other in others if other.id != builder.id and failure and failure == other.failure]
    return f"; {same[0]} fails in the same way" if same and result.printed else ""


def backoff_s(config: Config, attempt: int, salt: str) -> float:
    """Seconds before the attempt that follows `attempt`: doubling, capped, with jitter by `salt`."""
    plain = min(config.retry_delay_max_s, config.retry_delay_s * 2.0 ** (attempt - 1))
    return jittered(plain, f"{salt}.{attempt}")


def jittered(pause_s: float, salt: str) -> float:
    """The pause with up to a quarter more, the same for the same `salt`."""
    return pause_s * (1 + zlib.crc32(salt.encode()) % 256 / 1024)


def retry_is_due(builder: Step, now: Now) -> bool:
    """True if the pause is over; after a reboot the clock that it was counted on is gone, and so is the pause."""
    if builder.retry_at_mono_s is None or builder.retry_boot_id != now.boot_id:
        return True
    return now.mono_s >= builder.retry_at_mono_s


def gave_up(builder: Step) -> str:
    """One sentence on why a builder failed."""
    why = builder.error.message if builder.error else "no reason recorded"
    printed = builder.error is not None and builder.error.action in COMMANDS
    lines = f". Its last lines: {last_lines(builder.feedback)}" if printed and builder.feedback else ""
    return f"{why} ({counted(builder.attempt, 'attempt')}){lines}"


def another_round(builder: Step, words: str, config: Config) -> StepChange:
    """The changes that give a builder that failed as many attempts again, with a person's words for it."""
    return {
        "status": StepStatus.RETRYING,
        "attempts": builder.attempt + (builder.per_round or config.attempts),
        "budgets": builder.budgets + (builder.error is not None and builder.error.code == "budget"),
        "feedback": "\n\n".join(part for part in (words, builder.feedback) if part),
        **NOT_LOST,
        "failure": "",
        "losses": 0,
        "retry_at_mono_s": None,
        "ended_at": None,
        "error": None if words else builder.error,
    }


def feedback_of(step: str, result: JobResult) -> str:
    """Feedback for the next attempt: the step and how it failed, then the end of what a command printed, if any."""
    tail = result.tail.strip()
    said = f"{step} failed: {result.message}"
    return f"{said}\n\n{tail}" if tail else said
